"""Appends frames to the newest segment and makes them durable, many at a time, in a thread of its own.

The loop writes into the page cache, which outlives the process; the thread waits for the disk, which outlives more.
"""

import asyncio
import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from aibridge_router.spool.segment import SEGMENT_BYTES_MAX, Position, SegmentName

BATCH_WAIT_S = 0.02
"""Finals that end within this share one wait for the disk. So much may be estimated after a power cut, at our cost."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors that end when somebody makes room. All others mean that the disk cannot be trusted."""

Fatal = Callable[[OSError], None]


class Writer:
    """One process appends here; call everything but `close` from the event loop."""

    def __init__(self, folder: Path, epoch: int, on_opened: Callable[[SegmentName], None]) -> None:
        self._folder = folder
        self._on_opened = on_opened
        self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._pending = bytearray()
        self._name = SegmentName(epoch, 0)
        self._written = 0
        self._wants_sync = False
        self._retired: deque[int] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._flush_is_due = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_durable: Callable[[Position], None] = _nobody
        self._on_full: Callable[[bool], None] = _nobody
        self._on_fatal: Fatal = _raise
        self.is_full = False
        self.durable = Position(self._name, 0)
        """Everything before this place survives a power cut."""
        self._file = self._open()
        self._flushed = (self._file, self.durable)
        os.fsync(self._directory)

    def start(
        self,
        on_durable: Callable[[Position], None],
        on_full: Callable[[bool], None],
        on_fatal: Fatal,
    ) -> None:
        """Begin to make durable. `on_fatal` is called from any thread and must not return."""
        self._loop = asyncio.get_running_loop()
        self._on_durable, self._on_full, self._on_fatal = on_durable, on_full, on_fatal
        if self._thread is None:
            self._thread = threading.Thread(target=self._make_durable, name="spool", daemon=True)
            self._thread.start()
        self.flush()
        if self.is_full:
            on_full(True)

    @property
    def end(self) -> Position:
        """Where the next frame goes."""
        return Position(self._name, self._written + len(self._pending))

    def append(self, frame: bytes) -> None:
        """Write with the other frames of this turn of the loop."""
        self._put(frame)
        if not self._flush_is_due and self._loop is not None:
            self._flush_is_due = True
            self._loop.call_soon(self._flush_soon)

    def append_now(self, frame: bytes) -> None:
        """Write before anything else happens, with what waited."""
        self._put(frame)
        self.flush()

    def sync_soon(self) -> None:
        """What was appended until now must become durable."""
        self._wants_sync = True

    def flush(self) -> None:
        """Write what waits, now. What does not fit on the disk goes on waiting, in order."""
        if self._pending:
            self._write()
        if self._wants_sync and not self._pending and self._thread is not None:
            self._wants_sync = False
            if not self._wake.is_set():  # setting it costs as much as a write
                self._wake.set()

    def read(self, position: Position, size: int) -> bytes:
        """Bytes from a place of any segment on, also those that the disk did not take."""
        path = self._folder / position.segment.file_name
        with path.open("rb") as file:
            file.seek(position.offset)
            data = file.read(size)
        if position.segment != self._name or not self._pending:
            return data
        skipped = max(0, position.offset - self._written)
        return data + bytes(self._pending[skipped : skipped + size - len(data)])

    def delete(self, name: SegmentName) -> None:
        """A segment that nobody needs; its name is gone for good once the next wait for the disk is over."""
        (self._folder / name.file_name).unlink(missing_ok=True)

    def close(self) -> None:
        """Write and wait for the disk, then let go of the files."""
        if self._pending:
            self._write()
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._sync(self._file)
        os.close(self._file)
        os.close(self._directory)

    # --- in the loop --------------------------------------------------------------------------

    def _put(self, frame: bytes) -> None:
        if self._written + len(self._pending) + len(frame) > SEGMENT_BYTES_MAX:
            self._next_segment()
        self._pending += frame

    def _flush_soon(self) -> None:
        self._flush_is_due = False
        self.flush()

    def _write(self) -> None:
        try:
            while self._pending:
                written = os.write(self._file, self._pending)
                del self._pending[:written]
                self._written += written
        except OSError as error:
            if error.errno not in FULL:
                self._on_fatal(error)
                raise
            self._note_full(full=True)
        else:
            # Only whole frames count as durable: who reads up to half of one would lose its place.
            self._flushed = (self._file, Position(self._name, self._written))
            self._note_full(full=False)

    def _note_full(self, *, full: bool) -> None:
        if full != self.is_full:
            self.is_full = full
            self._on_full(full)

    def _next_segment(self) -> None:
        """A segment whose end the disk does not take stays the newest, and grows beyond its size."""
        self.flush()
        if self._pending:
            return
        retired, name = self._file, self._name
        self._name = SegmentName(name.epoch, name.number + 1)
        try:
            self._file = self._open()
        except OSError as error:
            self._name = name
            if error.errno not in FULL:
                self._on_fatal(error)
                raise
            self._note_full(full=True)
            return
        self._flushed = (self._file, Position(self._name, 0))
        self._retired.append(retired)
        self._wants_sync = True

    def _open(self) -> int:
        file = os.open(
            self._folder / self._name.file_name,
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL,
            0o600,
        )
        self._written = 0
        self._on_opened(self._name)
        return file

    def _synced(self, position: Position) -> None:
        self.durable = position
        self._on_durable(position)

    # --- in the thread ------------------------------------------------------------------------

    def _make_durable(self) -> None:
        while True:
            self._wake.wait()
            if self._stopping:
                return
            self._wake.clear()
            time.sleep(BATCH_WAIT_S)
            # The place first: every segment before it is retired by then, and waited for too.
            file, position = self._flushed
            self._sync(file)
            assert self._loop is not None, "started in a loop"
            self._loop.call_soon_threadsafe(self._synced, position)

    def _sync(self, file: int) -> None:
        """Wait for the disk. What it refuses here it has forgotten: asking again would be answered with a lie."""
        retired = [self._retired.popleft() for _ in range(len(self._retired))]
        try:
            for each in {file, *retired}:
                os.fdatasync(each)
            if retired:
                os.fsync(self._directory)
        except OSError as error:
            self._on_fatal(error)
            raise
        for each in retired:
            os.close(each)


def _nobody(_value: object) -> None:
    """Nobody listens yet."""


def _raise(error: OSError) -> None:
    raise error
