"""What a process really writes: one JSON object a line, without credentials."""

import json
import subprocess
import sys
import textwrap

CANARY = "sk-ant-api03-abcdefghijklmnop"
PROGRAM = textwrap.dedent("""
    import logging, sys
    from aibridge_common.telemetry.log import configure, get_logger
    canary = sys.argv[1]
    configure("auth", "info")
    log = get_logger()
    log.debug("not wanted")
    log.info("key.refused", key=canary, nested={"a": [canary]})
    try:
        raise ValueError(canary)
    except ValueError:
        log.exception("failed")
    logging.getLogger("uvicorn").warning("from a library: %s", canary)
""")


def test_lines() -> None:
    """Our own events and a library's, with the service named and the level obeyed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, CANARY], capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    events = [json.loads(line) for line in lines[:2]]

    assert CANARY not in done.stderr + done.stdout
    assert [event["event"] for event in events] == ["key.refused", "failed"]
    assert [event["service"] for event in events] == ["auth", "auth"]
    assert [event["level"] for event in events] == ["info", "error"]
    assert "ValueError" in events[1]["exception"]
    assert lines[2] == "WARNING uvicorn: from a library: [redacted]"
    assert len(lines) == 3
