"""Programs that tests kill: a router that spools, a billing, a bus; and what the router said before it died."""

import subprocess
import sys
from pathlib import Path
from typing import Self
from uuid import UUID

from tests.fixtures.services import TOKEN

ROOT = Path(__file__).parents[3]


class Router:
    """`routing.py` on one folder; starting it again is the next run."""

    def __init__(self, folder: Path, nats_url: str, billing_url: str, account: UUID) -> None:
        self.folder = folder
        self._arguments = [str(folder), nats_url, billing_url, TOKEN, str(account)]
        self._said = folder.with_suffix(".said")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._said.open("ab") as said, self.folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.spool.routing", *self._arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def segments(self) -> int:
        """How many it has on its disk."""
        return len(list(self.folder.glob("*.spool")))

    def serve(self, rounds: int) -> None:
        """Twenty exchanges at once, so many times."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % rounds)
        self._process.stdin.flush()

    def kill(self) -> None:
        """Outright."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    def stop(self) -> int:
        """In order; its exit code."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(40)
        self._process = None
        return code

    def said(self, word: str) -> set[UUID]:
        """The exchanges of which it said this."""
        lines = self._said.read_text().splitlines() if self._said.exists() else []
        return {
            UUID(line.split()[-1])
            for line in lines
            if line.startswith(word) and len(line.split()[-1]) == 36
        }

    def passed(self) -> dict[UUID, int]:
        """The last count it passed on, by exchange."""
        found: dict[UUID, int] = {}
        for line in self._said.read_text().splitlines():
            words = line.split()
            if words[0] == "passed":
                found[UUID(words[2])] = int(words[1])
        return found
