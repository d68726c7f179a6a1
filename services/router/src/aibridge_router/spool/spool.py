"""The spool as an exchange and the application see it: written here first, settled elsewhere, kept until it is."""

import fcntl
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import anyio
from msgspec import Struct

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import Clock
from aibridge_common.errors import AIBridgeError, Unavailable
from aibridge_common.events.usage import APPLIED_SUBJECT, UsageRecorded
from aibridge_common.telemetry.log import get_logger
from aibridge_router.spool.publisher import Publisher
from aibridge_router.spool.records import Final, Progress, Start, encode, encode_event
from aibridge_router.spool.recovery import Left, read_left
from aibridge_router.spool.segment import Position, SegmentName, frame
from aibridge_router.spool.state import Ranges, SpoolState
from aibridge_router.spool.writer import Writer

RETRY_AFTER_S = 5
ASK_AGAIN_S = 0.5
"""Billing tells after every commit that it settled something; it is asked what no more often than this."""

ASK_EVERY_S = 5.0
"""And this often without being told, as long as something waits."""

TICK_S = 1.0
EXIT_UNTRUSTED_DISK = 74
"""EX_IOERR. What the disk has not confirmed it has dropped; the next start reads what is really there."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""It is part of subjects of the bus and of a path."""

Exit = Callable[[int], None]


class SpoolInUse(ValueError):
    """Another process has this folder: two writers would number their usage alike."""


class Counters(Struct, frozen=True, kw_only=True):
    """What to watch."""

    size_bytes: int
    unapplied: int
    oldest_unapplied_s: float
    sent_again: int
    recovered: int
    torn_bytes: int


class Spool:
    """Opening it recovers what an earlier run left. Raises `SpoolInUse`, `Unreadable`, `OSError`."""

    def __init__(
        self,
        folder: Path,
        router: str,
        clock: Clock,
        *,
        bytes_max: int = 2**30,
        exit_process: Exit = os._exit,
    ) -> None:
        if _NAME.fullmatch(router) is None:
            raise ValueError(f"{router}: a router's name is letters, digits, _ and -")
        self._folder = folder
        self._router = router
        self._clock = clock
        self._exit = exit_process
        self._log = get_logger()
        self._lock = _lock(folder)
        names = _segments(folder)
        _make_durable(folder, names)
        left = read_left((name, (folder / name.file_name).read_bytes()) for name in names)
        newest = names[-1].epoch if names else 0
        epoch = max(int(clock.now().timestamp() * 1e9), newest + 1)
        started_in = {each.start.request_id: each.segment for each in left.unended}
        state = self._state = SpoolState(epoch, bytes_max, left.segments, started_in)
        self._writer = Writer(folder, epoch, state.opened)
        self._publisher = Publisher(router, state, self._writer, clock)
        self._told = anyio.Event()
        self._alarmed, self._refusal = False, state.refusal
        self._recovered = len(left.unended)
        self._torn_bytes = sum(torn.lost_bytes for torn in left.torn)
        self._recover(left)

    # --- for an exchange ----------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether new work can be recorded."""
        return self._state.refusal is None

    def check_room(self) -> None:
        """Raise `Unavailable` when new paid work must not begin: what cannot be recorded must not be served."""
        if self._state.refusal is not None:
            raise Unavailable("usage cannot be recorded at the moment", retry_after_s=RETRY_AFTER_S)

    def start(self, start: Start) -> None:
        """Write that a vendor is about to be asked; on return it outlives this process.

        Raises `Unavailable` when the disk is full: then the vendor must not be asked.
        """
        data = frame(encode(start))
        self._writer.append_now(data)
        self._state.started(start.request_id, len(data))
        if self._writer.is_full:
            self.nothing(start.request_id)
            self.check_room()

    def progress(self, progress: Progress) -> None:
        """Note how far a running exchange is; every 2 s or 50 chunks is often enough."""
        data = frame(encode(progress))
        self._writer.append(data)
        self._state.grew(len(data))

    def final(self, event: UsageRecorded) -> int:
        """It ended and this is to be charged, once. Waits for nobody; returns its number in this run."""
        sequence = self._state.next_sequence(self._clock.monotonic_s())
        final = Final(request_id=event.event_id, sequence=sequence, event=encode_event(event))
        self._end(final)
        return sequence

    def nothing(self, request_id: UUID) -> None:
        """It ended and nothing is to be charged."""
        self._end(Final(request_id=request_id))

    def flush(self) -> None:
        """What was noted until now outlives this process; a client must not have its whole answer before."""
        self._writer.flush()

    def _end(self, final: Final) -> None:
        data = frame(encode(final))
        self._writer.append(data)
        if final.sequence:
            self._writer.sync_soon()
        if self._writer.is_full:
            self._publisher.wake()  # it is sent from memory: no disk will say that it is there
        self._state.ended(final.request_id, final.sequence, len(data))

    # --- for the application ------------------------------------------------------------------

    async def run(
        self, bus: Bus, billing: BillingClient, on_applied: Callable[[int], None]
    ) -> None:
        """Make durable, send and learn what is settled, for ever.

        `on_applied` hears up to which number of this run billing has everything.
        """
        self._writer.start(self._durable, self._full, self._untrusted)
        await bus.subscribe(f"{APPLIED_SUBJECT}.{self._router}", self._heard)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            tasks.start_soon(self._learn, billing, on_applied)
            tasks.start_soon(self._publisher.run, bus)

    async def drain(self, timeout_s: float) -> None:
        """Wait until billing has settled everything, or the time is up; the rest is sent after the next start.

        Then leases can be given back whole: a charge that is not settled keeps its share set aside.
        """
        self._writer.sync_soon()
        self._writer.flush()
        with anyio.move_on_after(timeout_s):
            while self._state.unapplied or not self._publisher.is_idle:  # noqa: ASYNC110 - happens once, at shutdown
                await anyio.sleep(0.02)

    def close(self) -> None:
        """Wait for the disk and let another process have the folder."""
        self._writer.close()
        os.close(self._lock)

    @property
    def counters(self) -> Counters:
        """What to watch, now."""
        state = self._state
        return Counters(
            size_bytes=state.size_bytes,
            unapplied=state.unapplied,
            oldest_unapplied_s=state.oldest_unapplied_s(self._clock.monotonic_s()),
            sent_again=state.sent_again,
            recovered=self._recovered,
            torn_bytes=self._torn_bytes,
        )

    # --- inside -------------------------------------------------------------------------------

    def _recover(self, left: Left) -> None:
        for torn in left.torn:
            self._log.error(
                "spool.torn",
                segment=torn.name.file_name,
                kept_bytes=torn.kept_bytes,
                lost_bytes=torn.lost_bytes,
            )
        for unended in left.unended:
            event = unended.event
            if event is None:
                self.nothing(unended.start.request_id)
            else:
                self.final(event)
        self._writer.flush()
        if left.unended:
            self._log.warning("spool.recovered", count=len(left.unended))

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(TICK_S)
            now_s, state = self._clock.monotonic_s(), self._state
            if self._writer.is_full:
                self._writer.flush()
            state.tick(now_s)
            if due := state.due_again(now_s):
                self._log.warning("usage.lost_by_the_bus", envelopes=len(due))
                self._publisher.send_again(due)
            self._say(state)

    def _say(self, state: SpoolState) -> None:
        if state.is_alarming and not self._alarmed:
            self._log.error("spool.filling", size_bytes=state.size_bytes)
        if state.refusal is not None and state.refusal != self._refusal:
            self._log.error("spool.refuses", reason=state.refusal)
        self._alarmed, self._refusal = state.is_alarming, state.refusal

    async def _learn(self, billing: BillingClient, on_applied: Callable[[int], None]) -> None:
        state = self._state
        while True:
            self._told = anyio.Event()
            if state.unapplied or state.has_old_segments:
                await self._ask(billing)
                on_applied(state.watermark)
            await anyio.sleep(ASK_AGAIN_S)
            with anyio.move_on_after(ASK_EVERY_S):
                await self._told.wait()

    async def _ask(self, billing: BillingClient) -> None:
        try:
            found = await billing.spool(self._router, self._state.oldest_segment.epoch)
        except AIBridgeError as error:
            self._log.warning("spool.not_confirmed", error=error.code)
            return
        self._state.applied(
            self._clock.monotonic_s(),
            {
                epoch.epoch: Ranges((each.first, each.last) for each in epoch.applied)
                for epoch in found.epochs
            },
        )
        for name in self._state.take_deletable():
            self._writer.delete(name)

    async def _heard(self, _notice: bytes) -> None:
        self._told.set()

    def _durable(self, position: Position) -> None:
        self._state.durable(position)
        self._publisher.wake()

    def _full(self, full: bool) -> None:
        if full:
            self._log.error("spool.disk_full", folder=str(self._folder))
        self._state.disk_full(self._clock.monotonic_s(), full=full)
        self._publisher.wake()

    def _untrusted(self, error: OSError) -> None:
        sys.stderr.write(
            f'{{"event": "spool.disk_failed", "level": "critical", "error": "{error}"}}\n'
        )
        sys.stderr.flush()
        self._exit(EXIT_UNTRUSTED_DISK)


def _lock(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise SpoolInUse(f"{folder} is the spool of another running router") from None
    return lock


def _make_durable(folder: Path, names: list[SegmentName]) -> None:
    """A killed run leaves ends that the disk has not: believed and then lost to a power cut, they cost charges."""
    for name in names:
        file = os.open(folder / name.file_name, os.O_RDONLY)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)


def _segments(folder: Path) -> list[SegmentName]:
    names = (SegmentName.parse(path.name) for path in folder.iterdir())
    return sorted(name for name in names if name is not None)
