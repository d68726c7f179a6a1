"""From the journal to the bus: consecutive usage in envelopes, several on their way, each sent until it is taken."""

import random
from collections import deque
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.clock import Clock
from aibridge_common.events.usage import SUBJECT
from aibridge_common.structs import Event
from aibridge_common.telemetry.log import get_logger
from aibridge_router.spool.records import Final, decode, document, is_final
from aibridge_router.spool.segment import Position, scan
from aibridge_router.spool.state import Batch, SpoolState
from aibridge_router.spool.writer import Writer

EVENTS_MAX = 200
EVENTS_BYTES_MAX = 240 * 1024
"""The stream takes 256 KiB with the envelope and its headers."""

GATHER_S = 0.05
IN_FLIGHT_MAX = 8
RETRY_S, RETRY_S_MAX = 0.1, 5.0
READ_BYTES = 512 * 1024
"""More than the largest envelope with the starts and the progress between its finals."""


class _Envelope(Event, frozen=True, kw_only=True, tag_field="type", tag="usage.recorded.v1"):
    """A `UsageEnvelope` of events that are JSON already."""

    router: str
    epoch: int
    first: int
    last: int
    events: list[Any]


class _Numbered(Struct, frozen=True):
    epoch: int
    sequence: int
    event: bytes
    position: Position


class Publisher:
    """Sends what the journal holds, from its oldest segment on."""

    def __init__(self, router: str, state: SpoolState, writer: Writer, clock: Clock) -> None:
        self._router = router
        self._state = state
        self._writer = writer
        self._clock = clock
        self._cursor = Position(state.oldest_segment, 0)
        self._ready: deque[_Numbered] = deque()
        self._again: deque[Batch] = deque()
        self._in_flight = 0
        self._more = anyio.Event()
        self._log = get_logger()

    def wake(self) -> None:
        """There may be something new to send."""
        self._more.set()

    def send_again(self, batches: list[Batch]) -> None:
        """These were lost on their way."""
        self._again.extend(batches)
        self.wake()

    @property
    def is_idle(self) -> bool:
        """Whether the bus has taken everything that was written."""
        return (
            not self._in_flight
            and not self._again
            and not self._ready
            and self._cursor >= self._writer.end
        )

    async def run(self, bus: Bus) -> None:
        """Send for ever."""
        slots = anyio.Semaphore(IN_FLIGHT_MAX)
        async with anyio.create_task_group() as tasks:
            while True:
                await slots.acquire()
                batch, payload = await self._next()
                self._in_flight += 1
                tasks.start_soon(self._send, bus, batch, payload, slots)

    async def _next(self) -> tuple[Batch, bytes]:
        while True:
            while self._again:
                if (lacking := self._take_again(self._again.popleft())) is not None:
                    return lacking
            self._fill()
            if self._ready:
                return self._take()
            self._more = anyio.Event()
            if self._cursor >= self._limit:
                await self._more.wait()
                await anyio.sleep(GATHER_S)  # what ends meanwhile travels along

    @property
    def _limit(self) -> Position:
        """Usage is sent once it is durable; when the disk takes nothing, what is in memory is sent as it is."""
        return self._writer.end if self._state.is_disk_full else self._writer.durable

    def _fill(self) -> None:
        """Read on until an envelope is full or there is no more."""
        covers = self._state.covers
        self._cursor = max(self._cursor, Position(self._state.oldest_segment, 0))
        while len(self._ready) < EVENTS_MAX and self._cursor < self._limit:
            found, self._cursor = self._read(self._cursor, self._limit)
            self._ready.extend(
                each for each in found if not covers(each.epoch, each.sequence, each.sequence)
            )

    def _read(self, cursor: Position, limit: Position) -> tuple[list[_Numbered], Position]:
        segment = cursor.segment
        is_last = segment == limit.segment
        size = limit.offset - cursor.offset if is_last else READ_BYTES
        frames, _ = scan(self._writer.read(cursor, min(size, READ_BYTES)))
        if not frames:
            return [], limit if is_last else Position(self._state.segment_after(segment), 0)
        found: list[_Numbered] = []
        at = cursor
        for end, record in frames:
            begin, at = at, Position(segment, cursor.offset + end)
            if is_final(record):
                final = decode(record)
                assert isinstance(final, Final), "as its tag says"
                if final.sequence and isinstance(final.event, bytes):
                    found.append(_Numbered(segment.epoch, final.sequence, final.event, begin))
        return found, at

    def _take(self) -> tuple[Batch, bytes]:
        """The first consecutive numbers of one run, as many as fit."""
        ready, first = self._ready, self._ready[0]
        events: list[bytes] = []
        size = 0
        while ready and len(events) < EVENTS_MAX:
            found = ready[0]
            if (found.epoch, found.sequence) != (first.epoch, first.sequence + len(events)):
                break
            size += len(found.event)
            if events and size > EVENTS_BYTES_MAX:
                break
            events.append(ready.popleft().event)
        batch = Batch(
            epoch=first.epoch,
            first=first.sequence,
            last=first.sequence + len(events) - 1,
            position=first.position,
        )
        return batch, self._pack(batch, events)

    def _take_again(self, batch: Batch) -> tuple[Batch, bytes] | None:
        """What billing lacks of a lost batch: its first consecutive numbers; None when it lacks nothing.

        An earlier run may have cut its envelopes elsewhere: then a part is settled, and its segment may be gone.
        """
        lacking = self._read_again(batch)
        if not lacking:
            return None
        first = lacking[0]
        events: list[bytes] = []
        for each in lacking:
            if each.sequence != first.sequence + len(events):
                break
            events.append(each.event)
        last = first.sequence + len(events) - 1
        if last < batch.last:
            self._again.appendleft(msgspec.structs.replace(batch, first=last + 1))
        batch = msgspec.structs.replace(
            batch, first=first.sequence, last=last, position=first.position
        )
        return batch, self._pack(batch, events)

    def _read_again(self, batch: Batch) -> list[_Numbered]:
        lacking: list[_Numbered] = []
        cursor = max(batch.position, Position(self._state.oldest_segment, 0))
        limit, at = self._limit, batch.first
        while at <= batch.last and cursor < limit and cursor.segment.epoch == batch.epoch:
            found, cursor = self._read(cursor, limit)
            for each in found:
                at = each.sequence + 1
                if batch.first <= each.sequence <= batch.last and not self._state.covers(
                    each.epoch, each.sequence, each.sequence
                ):
                    lacking.append(each)
        return lacking

    def _pack(self, batch: Batch, events: list[bytes]) -> bytes:
        return msgspec.json.encode(
            _Envelope(
                router=self._router,
                epoch=batch.epoch,
                first=batch.first,
                last=batch.last,
                events=[document(event) for event in events],
            )
        )

    async def _send(self, bus: Bus, batch: Batch, payload: bytes, slots: anyio.Semaphore) -> None:
        message_id = f"{self._router}:{batch.epoch}:{batch.first}-{batch.last}"
        if (
            batch.round
        ):  # the bus would drop what it believes to have; so does its memory outlive our restarts
            message_id += f":{self._state.epoch}-{batch.round}"
        pause_s = RETRY_S
        while True:
            try:
                await bus.append(f"{SUBJECT}.{self._router}", payload, message_id)
            except BusUnavailable as error:
                self._log.warning("usage.not_taken", error=str(error), batch=message_id)
                await anyio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
                pause_s = min(RETRY_S_MAX, pause_s * 2)
            else:
                break
        self._in_flight -= 1
        self._state.taken(self._clock.monotonic_s(), batch)
        slots.release()
