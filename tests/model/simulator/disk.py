"""A disk in memory: what was written outlives the process, what was synced outlives the power."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from aibridge_router.spool.segment import Position, SegmentName
from aibridge_router.spool.writer import BATCH_WAIT_S

FLUSH_S = 0.0005
"""The rest of a turn of the loop."""

_FINAL = b"\xa4type\xa5final"

SYNC_S, SYNC_S_MAX = 0.002, 0.2

YOUNG_S = 2 * (BATCH_WAIT_S + SYNC_S_MAX) + FLUSH_S
"""What is older than one wait for the disk, and the one before it, is durable."""


@dataclass
class File:
    """A segment. `named` says whether its name would outlive the power."""

    data: bytearray = field(default_factory=bytearray)
    synced_bytes: int = 0
    named: bool = False
    torn_at: int | None = None
    """What stands behind this place is not what was written."""


class Disk:
    """The folder of one router."""

    def __init__(self) -> None:
        self.files: dict[SegmentName, File] = {}

    def segments(self) -> list[tuple[SegmentName, bytes]]:
        """What a start reads, oldest first."""
        return [(name, bytes(self.files[name].data)) for name in sorted(self.files)]

    def sync_all(self) -> None:
        """What a start makes durable before it believes it."""
        for file in self.files.values():
            file.synced_bytes, file.named = len(file.data), True

    @property
    def has_unsynced_finals(self) -> bool:
        """Whether a final is written and waits for the disk."""
        return any(_FINAL in file.data[file.synced_bytes :] for file in self.files.values())

    def has(self, place: Position) -> bool:
        """Whether a frame that ends there can still be read."""
        file = self.files.get(place.segment)
        if file is None:
            return False
        whole_bytes = len(file.data) if file.torn_at is None else file.torn_at
        return whole_bytes >= place.offset

    def has_for_good(self, place: Position) -> bool:
        """Whether it can be read after a power cut too."""
        if not self.has(place):
            return False
        file = self.files[place.segment]
        return file.named and file.synced_bytes >= place.offset

    def lose_power(self, random: Random) -> None:
        """Of what was not synced a part is gone; zeros or a torn frame may stand where it was."""
        for name, file in list(self.files.items()):
            if not file.named:
                del self.files[name]
                continue
            size = len(file.data)
            kept = random.randint(file.synced_bytes, size)
            if kept < size:
                file.torn_at = kept if file.torn_at is None else min(kept, file.torn_at)
                del file.data[kept:]
                file.data += bytes(random.choice((0, 0, 7, 64)))
            file.synced_bytes = len(file.data)


class After(Protocol):
    """Does something later, if the process still lives then."""

    def __call__(self, delay_s: float, do: Callable[..., None], *arguments: Any) -> None:
        """As `World.after`."""
        ...


class MemoryWriter:
    """What `Writer` promises, on that disk and in virtual time; its segments are small."""

    is_full = False

    def __init__(
        self,
        disk: Disk,
        epoch: int,
        segment_bytes_max: int,
        random: Random,
        after: After,
        on_opened: Callable[[SegmentName], None],
        on_durable: Callable[[Position], None],
    ) -> None:
        self._disk = disk
        self._segment_bytes_max = segment_bytes_max
        self._random = random
        self._after = after
        self._on_opened = on_opened
        self._on_durable = on_durable
        self._pending = bytearray()
        self._retired: list[File] = []
        self._flush_is_due = self._wants_sync = self._wakes = self._syncs = False
        self._open(SegmentName(epoch, 0))
        self._file.named = True
        self.durable = Position(self._name, 0)

    @property
    def end(self) -> Position:
        return Position(self._name, len(self._file.data) + len(self._pending))

    def append(self, frame: bytes) -> None:
        self._put(frame)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._after(FLUSH_S, self._flush_soon)

    def append_now(self, frame: bytes) -> None:
        self._put(frame)
        self.flush()

    def sync_soon(self) -> None:
        self._wants_sync = True

    def flush(self) -> None:
        self._file.data += self._pending
        self._pending.clear()
        if self._wants_sync:
            self._wants_sync = False
            self._wakes = True
            self._sync_next()

    def read(self, position: Position, size: int) -> bytes:
        data = self._disk.files[position.segment].data
        return bytes(data[position.offset : position.offset + size])

    def delete(self, name: SegmentName) -> None:
        del self._disk.files[name]

    def _put(self, frame: bytes) -> None:
        if len(self._file.data) + len(self._pending) + len(frame) > self._segment_bytes_max:
            self.flush()
            self._retired.append(self._file)
            self._open(SegmentName(self._name.epoch, self._name.number + 1))
            self._wants_sync = True
        self._pending += frame

    def _open(self, name: SegmentName) -> None:
        self._name, self._file = name, File()
        self._disk.files[name] = self._file
        self._on_opened(name)

    def _flush_soon(self) -> None:
        self._flush_is_due = False
        self.flush()

    def _sync_next(self) -> None:
        if self._wakes and not self._syncs:
            self._wakes, self._syncs = False, True
            self._after(BATCH_WAIT_S, self._sync)

    def _sync(self) -> None:
        slow = self._random.random() < 0.02
        place = Position(self._name, len(self._file.data))
        retired, self._retired = self._retired, []
        self._after(SYNC_S_MAX if slow else SYNC_S, self._synced, place, self._file, retired)

    def _synced(self, place: Position, file: File, retired: list[File]) -> None:
        file.synced_bytes = max(file.synced_bytes, place.offset)
        if retired:
            file.named = True
        for each in retired:
            each.synced_bytes, each.named = len(each.data), True
        self._syncs = False
        self.durable = place
        self._on_durable(place)
        self._sync_next()
