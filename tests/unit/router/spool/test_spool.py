"""Every event is on the disk, reaches the bus, and stays until billing has it, however often anything fails."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast
from uuid import UUID

import msgspec
import pytest

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import FrozenClock
from aibridge_common.contracts.billing import AppliedRange, SpoolApplied, SpoolEpoch
from aibridge_common.errors import Unavailable
from aibridge_common.events.usage import Outcome, UsageEnvelope
from aibridge_router.spool import publisher, spool, writer
from aibridge_router.spool.publisher import EVENTS_BYTES_MAX, EVENTS_MAX
from aibridge_router.spool.segment import scan
from aibridge_router.spool.spool import Spool, SpoolInUse
from aibridge_router.spool.state import AGAIN_AFTER_S
from tests.fixtures.tiny_disk import fill
from tests.unit.router.spool.made import NOON, event, progress, start, written

pytestmark = pytest.mark.anyio


class FakeBus:
    """Keeps what it took; fails `broken` times before it takes, loses its word `silent` times after."""

    def __init__(self) -> None:
        self.broken = self.silent = 0
        self.tries: list[tuple[str, str]] = []
        self.taken: dict[str, UsageEnvelope] = {}

    async def append(self, subject: str, data: bytes, message_id: str) -> bool:
        self.tries.append((subject, message_id))
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise BusUnavailable("no")
        self.taken[message_id] = msgspec.json.decode(data, type=UsageEnvelope)
        if self.silent:
            self.silent -= 1
            raise BusUnavailable("no word")
        return False

    async def subscribe(self, _subject: str, handler: object) -> None:
        self.tell = handler

    @property
    def events(self) -> list[int]:
        return [one.event_id.int for envelope in self.taken.values() for one in envelope.events]


class FakeBilling:
    """Has what a test says it has."""

    def __init__(self) -> None:
        self.has: dict[int, list[tuple[int, int]]] = {}
        self.away = False
        self.asked = 0

    async def spool(self, router: str, epoch_min: int) -> SpoolApplied:
        self.asked += 1
        if self.away:
            raise Unavailable("billing is away")
        return SpoolApplied(
            router=router,
            epochs=[
                SpoolEpoch(epoch=epoch, applied=[AppliedRange(first=a, last=b) for a, b in ranges])
                for epoch, ranges in self.has.items()
                if epoch >= epoch_min
            ],
        )


class Rig:
    """A spool, what is around it, and its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bus, self.billing = FakeBus(), FakeBilling()
        self.clock = FrozenClock(NOON)
        self.watermarks: list[int] = []

    def open(self) -> Spool:
        return Spool(self.folder, "router-0", self.clock, bytes_max=2**20)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Spool]:
        """An opened spool at work; left as a process that is killed leaves it, but for the lock."""
        one = self.open()
        task = asyncio.ensure_future(
            one.run(
                cast("Bus", self.bus),
                cast("BillingClient", self.billing),
                self.watermarks.append,
            )
        )
        await asyncio.sleep(0.01)
        yield one
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        one.close()

    @property
    def segments(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.spool"))

    def records(self) -> int:
        return sum(len(scan((self.folder / n).read_bytes())[0]) for n in self.segments)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(publisher, "GATHER_S", 0.002)
    monkeypatch.setattr(publisher, "RETRY_S", 0.001)
    monkeypatch.setattr(publisher, "RETRY_S_MAX", 0.001)
    monkeypatch.setattr(writer, "BATCH_WAIT_S", 0.001)
    monkeypatch.setattr(spool, "TICK_S", 0.02)
    monkeypatch.setattr(spool, "ASK_AGAIN_S", 0.005)
    monkeypatch.setattr(spool, "ASK_EVERY_S", 0.02)
    return iter(())


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "spool")


async def until(happens: object, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not happens():  # type: ignore[operator]  # noqa: ASYNC110 # pyright: ignore[reportCallIssue]
            await asyncio.sleep(0.005)


class TestWriting:
    async def test_a_start_is_in_the_file_before_the_vendor_is_asked(self, rig: Rig) -> None:
        async with rig.running() as one:
            one.start(start(1))

            assert rig.records() == 1

    async def test_the_rest_is_in_the_file_a_turn_later(self, rig: Rig) -> None:
        async with rig.running() as one:
            one.start(start(1))
            one.progress(progress(1, 5))
            one.final(event(1))
            assert rig.records() == 1
            await asyncio.sleep(0)

            assert rig.records() == 3

    async def test_finals_are_numbered_and_endings_without_a_charge_are_not(self, rig: Rig) -> None:
        async with rig.running() as one:
            one.start(start(1))
            one.nothing(UUID(int=1))

            assert [one.final(event(n)) for n in (2, 3)] == [1, 2]

    async def test_a_folder_has_one_writer(self, rig: Rig) -> None:
        async with rig.running():
            with pytest.raises(SpoolInUse, match="is the spool of another running router"):
                rig.open()
        async with rig.running():
            pass

    def test_a_name_that_is_no_part_of_a_subject_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="a router's name is"):
            Spool(tmp_path, "a.b", FrozenClock(NOON))

    def test_a_disk_that_cannot_be_trusted_ends_the_process(self, tmp_path: Path) -> None:
        """The wait for the disk fails for real: the file is a pipe, which cannot be waited for."""
        program = """
            import asyncio, os, sys
            from pathlib import Path
            from tests.unit.router.spool.made import event
            from tests.unit.router.spool.test_spool import FakeBilling, FakeBus, Rig

            async def main():
                rig = Rig(Path(sys.argv[1]))
                async with rig.running() as one:
                    os.dup2(os.pipe()[1], one._writer._file)
                    one.final(event(1))
                    await asyncio.sleep(20)

            asyncio.run(main())
        """
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
            capture_output=True,
            timeout=60,
            check=False,
        )

        assert ended.returncode == 74
        assert b"spool.disk_failed" in ended.stderr


class TestSending:
    async def test_events_arrive_in_order_and_numbered(self, rig: Rig) -> None:
        async with rig.running() as one:
            for number in range(450):
                one.final(event(number))
            await one.drain(10)
        envelopes = list(rig.bus.taken.values())

        assert rig.bus.events == list(range(450))
        assert [e.first for e in envelopes] == [1, *(e.last + 1 for e in envelopes[:-1])]
        assert all(e.last - e.first + 1 == len(e.events) <= EVENTS_MAX for e in envelopes)
        assert len({(e.router, e.epoch) for e in envelopes}) == 1
        assert [(subject, identity) for subject, identity in rig.bus.tries] == [
            ("usage.v1.router-0", f"router-0:{e.epoch}:{e.first}-{e.last}") for e in envelopes
        ]

    async def test_an_envelope_fits_the_bus(self, rig: Rig) -> None:
        async with rig.running() as one:
            for number in range(10):
                one.final(event(number, model="m" * 50_000))
            await one.drain(10)

        assert sorted(rig.bus.events) == list(range(10))
        assert all(
            len(msgspec.json.encode(envelope)) < EVENTS_BYTES_MAX + 1000
            for envelope in rig.bus.taken.values()
        )

    async def test_nothing_is_sent_before_it_is_durable(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "BATCH_WAIT_S", 0.3)
        async with rig.running() as one:
            one.final(event(1))
            await asyncio.sleep(0.01)
            one._publisher.wake()
            await asyncio.sleep(0.1)
            assert rig.bus.tries == []
            await one.drain(10)

        assert rig.bus.events == [1]

    async def test_a_message_is_sent_again_under_its_own_id(self, rig: Rig) -> None:
        rig.bus.broken, rig.bus.silent = 3, 2
        async with rig.running() as one:
            one.final(event(1))
            await one.drain(10)

        assert len(rig.bus.tries) == 6
        assert len({identity for _, identity in rig.bus.tries}) == 1

    async def test_what_the_bus_lost_comes_under_a_new_id(self, rig: Rig) -> None:
        async with rig.running() as one:
            for number in range(5):
                one.final(event(number))
            await one.drain(10)
            rig.bus.taken.clear()
            rig.clock.advance(AGAIN_AFTER_S + 1)
            await until(lambda: sorted(rig.bus.events) == list(range(5)))
            first, second = (identity for _, identity in rig.bus.tries)

            assert second.startswith(f"{first}:")
            assert one.counters.sent_again == 1

    async def test_what_billing_lacks_of_a_lost_envelope_comes_though_its_beginning_is_deleted(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An earlier run cut its envelopes elsewhere, so that one of this run may be settled in part."""
        monkeypatch.setattr(writer, "SEGMENT_BYTES_MAX", 1000)
        one = rig.open()
        for number in range(10):
            one.start(start(number))
            one.final(event(number))
        one.close()
        epoch = one._state.epoch
        async with rig.running() as one:
            await until(lambda: len(rig.bus.events) == 10)
            before = rig.segments
            rig.bus.taken.clear()
            rig.billing.has[epoch] = [(1, 4), (7, 7)]
            await until(lambda: len(rig.segments) < len(before))
            rig.clock.advance(AGAIN_AFTER_S + 1)
            await until(lambda: len(rig.bus.events) == 5)

            assert sorted(rig.bus.events) == [4, 5, 7, 8, 9]
            assert [(each.first, each.last) for each in rig.bus.taken.values()] == [(5, 6), (8, 10)]

    async def test_usage_beyond_one_segment_is_read_back_in_order(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "SEGMENT_BYTES_MAX", 5000)
        rig.bus.broken = 200
        async with rig.running() as one:
            for number in range(300):
                one.start(start(number))
                one.final(event(number))
                if number % 10 == 0:
                    await asyncio.sleep(0)
            await one.drain(20)

            assert len(rig.segments) > 20
        assert sorted(rig.bus.events) == list(range(300))


class TestSettled:
    async def test_segments_go_when_billing_has_them_and_the_watermark_is_told(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "SEGMENT_BYTES_MAX", 5000)
        async with rig.running() as one:
            for number in range(100):
                one.final(event(number))
            await one.drain(10)
            before = rig.segments
            [epoch] = {envelope.epoch for envelope in rig.bus.taken.values()}
            await asyncio.sleep(0.05)
            assert rig.segments == before
            rig.billing.has[epoch] = [(1, 60), (70, 100)]
            await until(lambda: 60 in rig.watermarks)
            some = rig.segments
            rig.billing.has[epoch] = [(1, 100)]
            await until(lambda: 100 in rig.watermarks)

            assert some == before[-len(some) :]
            assert 1 < len(some) < len(before)
            assert rig.segments == before[-1:]
            assert one.counters.unapplied == 0

    async def test_billing_that_is_away_deletes_nothing(self, rig: Rig) -> None:
        rig.billing.away = True
        async with rig.running() as one:
            one.final(event(1))
            await one.drain(10)
            await until(lambda: rig.billing.asked > 3)

            assert one.counters.unapplied == 1
            assert set(rig.watermarks) == {0}


class TestRestart:
    async def test_what_was_not_settled_is_sent_again_and_then_forgotten(self, rig: Rig) -> None:
        rig.bus.broken = 10**6
        async with rig.running() as one:
            for number in range(3):
                one.final(event(number))
            await asyncio.sleep(0.05)
        old = rig.segments
        rig.bus.broken = 0
        async with rig.running() as one:
            one.final(event(3))
            await one.drain(10)
            epochs = [envelope.epoch for envelope in rig.bus.taken.values()]
            assert rig.bus.events == [0, 1, 2, 3]
            assert epochs[0] < epochs[1]
            rig.billing.has = {epochs[0]: [(1, 3)]}
            await until(lambda: not set(old) & set(rig.segments))

            assert one.counters.unapplied == 1

    async def test_what_did_not_end_is_charged_once_by_the_next_run(self, rig: Rig) -> None:
        async with rig.running() as one:
            for number in (1, 2, 3):
                one.start(start(number))
            one.progress(progress(1, 30))
            one.progress(progress(3, 9))
            one.final(event(3))
            await one.drain(10)
        for _ in range(3):
            async with rig.running() as one:
                await one.drain(10)
        recovered = [
            (sent.event_id.int, sent.usage.output)
            for envelope in rig.bus.taken.values()
            for sent in envelope.events
            if sent.outcome is Outcome.RECOVERED
        ]

        assert recovered == [(1, 30)]

    async def test_a_torn_end_is_counted_and_costs_only_itself(self, rig: Rig) -> None:
        rig.bus.broken = 10**6
        async with rig.running() as one:
            one.start(start(1))
            one.progress(progress(1, 30))
            one.final(event(2))
        path = rig.folder / rig.segments[-1]
        os.truncate(path, path.stat().st_size - 1)
        rig.bus.broken = 0
        async with rig.running() as one:
            await one.drain(10)

            assert one.counters.torn_bytes > 0
            assert one.counters.recovered == 1
        assert rig.bus.events == [1]

    def test_what_a_killed_run_left_is_made_durable_before_it_counts(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = rig.open()
        one.start(start(1))
        one.close()
        synced: list[int] = []
        monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(os.fstat(file).st_ino))  # pyright: ignore[reportUnknownLambdaType]
        left = (rig.folder / rig.segments[0]).stat().st_ino
        rig.open().close()

        assert synced[0] == left

    async def test_the_epoch_grows_though_the_clock_went_back(self, rig: Rig) -> None:
        async with rig.running():
            first = rig.segments[-1]
        rig.clock.advance(-1000)
        async with rig.running():
            second = rig.segments[-1]

        assert int(first[:20]) < int(second[:20])


async def test_no_room_is_an_answer_that_says_when_to_come_again(rig: Rig) -> None:
    async with rig.running() as one:
        one.check_room()
        one._state.grew(2**20)
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable) as refusal:
            one.check_room()

        assert refusal.value.retry_after_s == 5


def test_a_segment_reads_as_it_was_written(rig: Rig) -> None:
    one = rig.open()
    one.start(start(1))
    one.close()

    assert (rig.folder / rig.segments[0]).read_bytes() == written(start(1))


class TestFullDisk:
    async def test_what_ends_meanwhile_is_sent_from_memory_at_once(self, tiny_disk: Path) -> None:
        """No disk says that it is there, so nothing else would wake who sends."""
        rig = Rig(tiny_disk / "spool")
        async with rig.running() as one:
            one.start(start(1))
            fill(tiny_disk)
            with suppress(Unavailable):
                for number in range(100, 300):
                    one.start(start(number))
            with pytest.raises(Unavailable):
                one.check_room()
            await asyncio.sleep(0.1)
            one.final(event(1))

            await until(lambda: 1 in rig.bus.events, within_s=2)

    async def test_a_frame_that_the_disk_took_half_of_loses_nobody_their_place(
        self, tiny_disk: Path
    ) -> None:
        rig = Rig(tiny_disk / "spool")
        async with rig.running() as one:
            for number in range(1, 41):
                one.start(start(number))
            filler = fill(tiny_disk)
            for number in range(1, 31):
                one.final(event(number))
                await asyncio.sleep(0.005)
            filler.unlink()
            for number in range(31, 41):
                await asyncio.sleep(0.01)
                one.final(event(number))

            await until(lambda: len(set(rig.bus.events)) == 40, within_s=3)
            assert sorted(rig.bus.events) == list(range(1, 41))
            assert rig.records() == 80
