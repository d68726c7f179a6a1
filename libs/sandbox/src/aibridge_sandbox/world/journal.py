"""The log of the truth: what each vendor call really was and what it really used."""

from collections import deque
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from aibridge_sandbox.world.usage import Usage

Outcome = Literal["completed", "cut", "error", "client_gone"]

_ENCODER = msgspec.json.Encoder()
_IN_MEMORY_ONLY = ("headers", "body")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor call as it really was."""

    at: float
    vendor: str
    endpoint: str
    model: str
    stream: bool
    request_id: str
    """The caller's `x-client-request-id`; empty if it sent none."""
    key_last4: str
    status: int
    """The status written, 0 if the connection ended before one."""
    outcome: Outcome
    usage: Usage
    events_sent: int
    reported: bool
    """Whether the final usage reached the wire, true or falsified."""
    headers: tuple[tuple[str, str], ...]
    body_sha256: str
    body: str


class Journal:
    """Bounded in memory; with a file also one JSON line a call, without headers and bodies."""

    def __init__(self, file: str | None, entries_max: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=entries_max)
        self._path = file
        self._file: TextIO | None = None

    def open(self) -> None:
        """Raises `OSError` if the file cannot be appended to."""
        if self._path is not None:
            self._file = Path(self._path).open("a", encoding="utf-8")  # noqa: SIM115  # open as long as we are

    def close(self) -> None:
        """Later entries stay in memory only."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, entry: Entry) -> None:
        """Flushed at once, so that a killed process loses no line."""
        self._entries.append(entry)
        if self._file is not None:
            line: dict[str, Any] = msgspec.to_builtins(entry)
            for name in _IN_MEMORY_ONLY:
                del line[name]
            self._file.write(_ENCODER.encode(line).decode() + "\n")
            self._file.flush()

    def read(self, request_id: str | None = None, limit: int = 100) -> list[Entry]:
        """The newest entries, oldest first."""
        found = [
            entry for entry in self._entries if request_id is None or entry.request_id == request_id
        ]
        return found[-limit:] if limit > 0 else []

    def clear(self) -> None:
        """The file keeps its lines."""
        self._entries.clear()
