"""`aibridge-sandbox serve` as a process."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx

from aibridge_sandbox.script import directive

from .rig import ask, credentials


def test_serves_and_leaves_with_a_stream_open(tmp_path: Path) -> None:
    """SIGTERM ends it with status 0 within its grace, and the log has the stream it broke off."""
    log = tmp_path / "truth.jsonl"
    command = Path(sys.executable).with_name("aibridge-sandbox")
    arguments = [command, "serve", "--port", "0", "--log", log, "--pace-ms", "1"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base = process.stdout.readline().split()[-1]
        body = ask("chat", directive(hang={"at": "content:1", "s": 60}))
        url = f"{base}/openai/v1/chat/completions"
        with (
            httpx.Client(timeout=5) as http,
            http.stream("POST", url, json=body, headers=credentials("k")) as response,
        ):
            pieces = response.iter_raw()
            first = next(pieces)
            health = httpx.get(f"{base}/_sandbox/health").json()
            process.send_signal(signal.SIGTERM)
            status = process.wait(5)

    assert first.startswith(b"data: ")
    assert health == {"status": "ok", "strict": True}
    assert status == 0
    assert '"outcome":"cut"' in log.read_text(encoding="utf-8")
