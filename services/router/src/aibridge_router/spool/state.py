"""What the spool knows: which usage billing has, what to send again, what may go, whether there is room. Pure.

Every method takes the time where it matters and does no I/O. Times are monotonic seconds.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from math import inf
from types import MappingProxyType
from uuid import UUID

from msgspec import Struct, structs

from aibridge_router.spool.segment import Position, SegmentName

AGAIN_AFTER_S = 60.0
"""Sent and still not settled after so long: the bus may have lost it, whatever it acknowledged."""

AGAIN_AFTER_S_MAX = 960.0
"""The wait doubles, so that a long backlog of billing is not fed with copies of itself."""

OLDEST_S_MAX = 15 * 60.0
"""Billing frees a dead worker's lease after this long: older usage may no longer be covered by anything."""

ALARM_SHARE = 0.6
REFUSE_SHARE = 0.9
"""The last tenth is for the exchanges that run."""

_MARK_EVERY_S = 1.0


class SegmentFacts(Struct, kw_only=True):
    """One segment, as far as its deletion is concerned."""

    name: SegmentName
    size_bytes: int = 0
    first: int = 0
    last: int = 0
    """The numbered finals in it; 0 when there is none."""
    open: int = 0
    """Exchanges whose start is here and whose final is not safe yet."""


class Batch(Struct, frozen=True, kw_only=True):
    """Consecutive usage of one run, and where the first of it stands."""

    epoch: int
    first: int
    last: int
    position: Position
    round: int = 0
    """How often it was sent under another message id before."""


class _Sent(Struct, kw_only=True):
    batch: Batch
    at_s: float


class Ranges:
    """Which sequence numbers of one run billing has."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = sorted(ranges)

    @property
    def watermark(self) -> int:
        """Everything up to here is settled."""
        return self._ranges[0][1] if self._ranges and self._ranges[0][0] == 1 else 0

    def cover(self, first: int, last: int) -> bool:
        """Whether all of these are settled. No number is always covered."""
        if first > last or last == 0:
            return True
        at = bisect_right(self._ranges, first, key=lambda found: found[0]) - 1
        return at >= 0 and self._ranges[at][1] >= last


_NONE = Ranges()


class SpoolState:
    """The account book of one spool."""

    def __init__(
        self,
        epoch: int,
        bytes_max: int,
        segments: Iterable[SegmentFacts] = (),
        started_in: Mapping[UUID, SegmentFacts] = MappingProxyType({}),
    ) -> None:
        self.epoch = epoch
        self.bytes_max = bytes_max
        self.sent_again = 0
        self.refusal: str | None = None
        """Why no new paid work may begin; None while there is room."""
        self._segments = deque(segments)
        self._bytes = sum(segment.size_bytes for segment in self._segments)
        self._started_in = dict(started_in)
        self._closing: deque[tuple[int, int, int, SegmentFacts]] = deque()
        self._sequence = 0
        self._marks: deque[tuple[int, float]] = deque()
        self._sent: dict[tuple[int, int], _Sent] = {}
        self._ranges: dict[int, Ranges] = {}
        self._watermark = 0
        self._asked_at_s = -inf
        self._disk_full = False
        self._old_since_s: float | None = None

    # --- what is written ----------------------------------------------------------------------

    def opened(self, name: SegmentName) -> None:
        """Everything from now on goes to this segment."""
        self._segments.append(SegmentFacts(name=name))

    def started(self, request_id: UUID, size_bytes: int) -> None:
        """A start was appended."""
        segment = self._current
        segment.open += 1
        segment.size_bytes += size_bytes
        self._bytes += size_bytes
        self._started_in[request_id] = segment

    def grew(self, size_bytes: int) -> None:
        """Something else was appended."""
        self._current.size_bytes += size_bytes
        self._bytes += size_bytes

    def next_sequence(self, now_s: float) -> int:
        """The number of the final that is appended next."""
        sequence = self._sequence = self._sequence + 1
        if not self._marks or now_s - self._marks[-1][1] >= _MARK_EVERY_S:
            self._marks.append((sequence, now_s))
        return sequence

    def ended(self, request_id: UUID, sequence: int, size_bytes: int) -> None:
        """A final was appended; `sequence` is 0 when there is nothing to charge."""
        segment = self._current
        segment.size_bytes += size_bytes
        self._bytes += size_bytes
        if sequence:
            segment.first = segment.first or sequence
            segment.last = sequence
        started_in = self._started_in.pop(request_id, None)
        if started_in is not None:
            # Its start must stand until this is durable, or settled; without a charge nothing can be lost.
            end = sequence and segment.size_bytes
            self._closing.append((segment.name.number, end, sequence, started_in))

    def durable(self, position: Position) -> None:
        """Everything before this place, which is in a segment of this run, survives a power cut."""
        closing, place = self._closing, (position.segment.number, position.offset)
        while closing and closing[0][:2] <= place:
            closing.popleft()[3].open -= 1

    def disk_full(self, now_s: float, *, full: bool) -> None:
        """The disk took nothing more, or takes again."""
        self._disk_full = full
        self.tick(now_s)

    @property
    def is_disk_full(self) -> bool:
        """Whether what is written waits in memory: usage is then sent before it is on the disk."""
        return self._disk_full

    @property
    def _current(self) -> SegmentFacts:
        return self._segments[-1]

    @property
    def oldest_segment(self) -> SegmentName:
        """The first that was not deleted."""
        return self._segments[0].name

    def segment_after(self, name: SegmentName) -> SegmentName:
        """The next one; `name` is not the newest."""
        return next(segment.name for segment in self._segments if segment.name > name)

    # --- what is sent -------------------------------------------------------------------------

    def taken(self, now_s: float, batch: Batch) -> None:
        """The bus has it; that moves nothing but the clock."""
        key = (batch.epoch, batch.first)
        if not self.covers(batch.epoch, batch.first, batch.last):
            self._sent[key] = _Sent(batch=batch, at_s=now_s)

    def due_again(self, now_s: float) -> list[Batch]:
        """Usage that the bus took and billing still does not have; to be sent under another message id.

        Only when billing was asked since: its silence is no loss. What is returned counts as not sent.
        """
        asked_at_s = min(now_s, self._asked_at_s)
        due = [
            (key, sent.batch)
            for key, sent in self._sent.items()
            if asked_at_s - sent.at_s >= min(AGAIN_AFTER_S_MAX, AGAIN_AFTER_S * 2**sent.batch.round)
        ]
        for key, _ in due:
            del self._sent[key]
        self.sent_again += len(due)
        return [structs.replace(batch, round=batch.round + 1) for _, batch in due]

    # --- what billing has ---------------------------------------------------------------------

    def applied(self, now_s: float, report: dict[int, Ranges]) -> None:
        """Billing's word from its database about what is settled."""
        self._ranges.update(report)
        self._asked_at_s = now_s
        self._watermark = max(
            self._watermark, self._ranges.get(self.epoch, _NONE).watermark
        )  # a database that was set back must not uncover charges
        while self._closing and self._closing[0][2] <= self._watermark:
            self._closing.popleft()[3].open -= 1
        if self._watermark >= self._sequence:
            self._marks.clear()
        while len(self._marks) > 1 and self._marks[1][0] <= self._watermark + 1:
            self._marks.popleft()
        for key, sent in list(self._sent.items()):
            if self.covers(sent.batch.epoch, sent.batch.first, sent.batch.last):
                del self._sent[key]
        self.tick(now_s)

    def covers(self, epoch: int, first: int, last: int) -> bool:
        """Whether billing has all of these."""
        return self._ranges.get(epoch, _NONE).cover(first, last)

    @property
    def watermark(self) -> int:
        """Every final of this run up to here is settled; never goes back."""
        return self._watermark

    def take_deletable(self) -> list[SegmentName]:
        """Segments that nobody needs, oldest first; they are forgotten here.

        Only ever a prefix of all: while a start stands, so does everything that was written after it, its final too.
        """
        gone: list[SegmentName] = []
        while len(self._segments) > 1:
            segment = self._segments[0]
            epoch = segment.name.epoch
            if segment.open or not self.covers(epoch, segment.first, segment.last):
                break
            self._segments.popleft()
            self._bytes -= segment.size_bytes
            gone.append(segment.name)
        return gone

    # --- room ---------------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Look at the bounds; call it about every second."""
        self._note_old(now_s)
        if self._disk_full:
            self.refusal = "the disk of the spool is full"
        elif self._bytes >= REFUSE_SHARE * self.bytes_max:
            self.refusal = "the spool is full"
        elif self.oldest_unapplied_s(now_s) > OLDEST_S_MAX:
            self.refusal = "usage has not been settled for too long"
        else:
            self.refusal = None

    @property
    def is_alarming(self) -> bool:
        """Whether so much waits that somebody should look."""
        return self._bytes >= ALARM_SHARE * self.bytes_max

    @property
    def size_bytes(self) -> int:
        """What all segments take."""
        return self._bytes

    @property
    def unapplied(self) -> int:
        """Finals, of this run and of earlier ones, that billing is not known to have."""
        return (self._sequence - self._watermark) + sum(
            segment.last - segment.first + 1 for segment in self._old_unapplied()
        )

    @property
    def has_old_segments(self) -> bool:
        """Whether an earlier run's segments wait to be deleted."""
        return self._segments[0].name.epoch != self.epoch

    def oldest_unapplied_s(self, now_s: float) -> float:
        """Since when the oldest of them waits. What an earlier run left counts from the start of this one."""
        since = [self._marks[0][1]] if self._marks else []
        if self._old_since_s is not None:
            since.append(self._old_since_s)
        return now_s - min(since) if since else 0.0

    def _note_old(self, now_s: float) -> None:
        if not any(True for _ in self._old_unapplied()):
            self._old_since_s = None
        elif self._old_since_s is None:
            self._old_since_s = now_s

    def _old_unapplied(self) -> Iterable[SegmentFacts]:
        for segment in self._segments:
            if segment.name.epoch == self.epoch:
                return
            if not self.covers(segment.name.epoch, segment.first, segment.last):
                yield segment
