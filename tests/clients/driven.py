"""A client's process: its own home, its own environment, a bound in time."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

WITHIN_S = 100.0


class Ran(Struct, frozen=True, kw_only=True):
    """How a run ended."""

    code: int
    out: str
    err: str
    took_s: float

    @property
    def said(self) -> str:
        """Everything it showed."""
        return f"{self.out}\n{self.err}"

    @property
    def document(self) -> dict[str, Any]:
        """Its output as one JSON document; notices may stand before it."""
        return json.loads(self.out[self.out.index("{") :])

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


class Place(Struct, frozen=True, kw_only=True):
    """Where a client lives and works. Nothing of the caller's home or environment gets in, but the PATH."""

    home: Path
    work: Path
    environment: dict[str, str]

    def run(self, *command: str | Path, **more: str) -> Ran:
        """Without a terminal and without input. Raises `TimeoutExpired` after `WITHIN_S`."""
        started = time.monotonic()
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        return Ran(
            code=done.returncode,
            out=done.stdout,
            err=done.stderr,
            took_s=time.monotonic() - started,
        )


def new_place(folder: Path, proxied: dict[str, str]) -> Place:
    """An empty home and an empty folder to work in."""
    home, work, temporary = (folder / name for name in ("home", "work", "tmp"))
    for each in (home, work, temporary):
        each.mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "NO_COLOR": "1",
    }
    return Place(home=home, work=work, environment=environment | proxied)
