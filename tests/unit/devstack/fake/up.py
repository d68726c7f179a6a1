"""`aibridge-dev up` with `program.py` in place of every AI-Bridge program."""

import os
import sys
from pathlib import Path

from aibridge_devstack.echo import Echo
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.up import up

PROGRAM = Path(__file__).with_name("program.py")


def find_program(name: str) -> Path:
    wrapper = Path(os.environ["AIBRIDGE_HOME"]) / "fakes" / name
    if not wrapper.exists():
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        kind = name.removeprefix("aibridge-")
        wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM} {kind} "$@"\n')
        wrapper.chmod(0o755)
    return wrapper


if __name__ == "__main__":
    try:
        llm = "FAKE_LLM" in os.environ
        sys.exit(up(os.environ, Echo(), llm=llm, find_program=find_program))
    except StartFailed as failure:
        sys.exit(str(failure))
