"""`aibridge-sandbox serve`."""

import argparse
import signal
import sys
from types import FrameType

from uvicorn import Server

from aibridge_sandbox.app import create_app
from aibridge_sandbox.server import build_server
from aibridge_sandbox.settings import Settings


class _Announced(Server):
    async def startup(self, *args: object, **kwargs: object) -> None:
        await super().startup(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        for server in self.servers:
            for bound in server.sockets:
                print(f"sandbox vendors listen on {_address(bound.getsockname())}", flush=True)


def _address(name: object) -> str:
    match name:
        case (str(host), int(port), *_):
            return f"http://{host}:{port}"
        case _:
            return str(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aibridge-sandbox", description="Stand-in OpenAI, Anthropic and Google vendors."
    )
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    serve.add_argument("--uds", help="a unix socket instead of host and port")
    serve.add_argument("--log", metavar="FILE", help="append the true usage as JSON lines")
    serve.add_argument("--lenient", action="store_true", help="accept what a vendor refuses")
    serve.add_argument("--key", action="append", default=[], help="accept only these keys")
    serve.add_argument(
        "--model", action="append", default=[], help="vendor/id or vendor/id=known-id"
    )
    serve.add_argument("--pace-ms", type=float, default=0.0, help="pause before a stream event")
    serve.add_argument("--seed", type=int, default=1, help="decides probabilities and ids")
    return parser


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Being told to stop is no failure; uvicorn raises the signal again once it has stopped."""
    sys.exit(0)


def main() -> None:
    """Serve until told to stop; SIGTERM and SIGINT end it with status 0."""
    arguments = _parser().parse_args()
    settings = Settings(
        strict=not arguments.lenient,
        keys=tuple(arguments.key),
        models=tuple(arguments.model),
        log_file=arguments.log,
        pace_ms=arguments.pace_ms,
        seed=arguments.seed,
    )
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    app = create_app(settings)
    server = build_server(app, host=arguments.host, port=arguments.port, uds=arguments.uds)
    _Announced(server.config).run()
