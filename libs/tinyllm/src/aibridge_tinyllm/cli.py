"""`aibridge-tinyllm serve`."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import uvicorn

from aibridge_tinyllm.app import App, create_app

NAME = "smollm2-135m"
_GRACE_S = 1
"""How long open streams may go on after SIGTERM."""


def main() -> None:
    """Serve until told to stop; SIGTERM and SIGINT end it with status 0."""
    parser = argparse.ArgumentParser(
        prog="aibridge-tinyllm",
        description="SmolLM2-135M behind OpenAI Chat Completions, on the CPU.",
    )
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8910)
    serve.add_argument("--model", default=NAME, help="what clients call it")
    serve.add_argument("--file", type=Path, help="a GGUF of the same make (default: the wheel's)")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    app = _load(arguments.model, arguments.file)
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _load(name: str, file: Path | None) -> App:
    # One core, or what the variable says: the arithmetic waits for memory, and the stack needs the others.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    started = time.monotonic()
    try:
        from aibridge_tinyllm.gguf_file import shipped_file  # noqa: PLC0415 - needs the extra
        from aibridge_tinyllm.language_model import LanguageModel  # noqa: PLC0415 - the same

        path = file or shipped_file()
        print(f"loading {path.name}, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        model = LanguageModel.load(name, path)
    except (ImportError, FileNotFoundError) as error:
        sys.exit(f"aibridge-tinyllm: {error}. The model is an extra: run make demo once.")
    took_s = time.monotonic() - started
    print(f"{name} loaded in {took_s:.1f} s, context {model.context_tokens} tokens", flush=True)
    return create_app(model)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Being told to stop is no failure; uvicorn raises the signal again once it has stopped."""
    sys.exit(0)
