"""Every event reaches the bus once, in order, however often the bus fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import msgspec
import pytest

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.errors import Unavailable
from aibridge_common.events.usage import (
    Outcome,
    UsageEnvelope,
    UsageRecorded,
    UsageSource,
)
from aibridge_common.usage import Usage
from aibridge_router.spool import outbox
from aibridge_router.spool.outbox import BATCH_EVENTS_MAX, Outbox

pytestmark = pytest.mark.anyio


class FakeBus:
    """Keeps what it took; loses its word `silent` times after it took a message, fails `broken` times before."""

    def __init__(self) -> None:
        self.broken = 0
        self.silent = 0
        self.tries: list[tuple[str, str]] = []
        self.taken: dict[str, UsageEnvelope] = {}
        self.repeated = 0

    async def append(self, subject: str, data: bytes, message_id: str) -> bool:
        self.tries.append((subject, message_id))
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise BusUnavailable("no")
        self.repeated += message_id in self.taken
        self.taken[message_id] = msgspec.json.decode(data, type=UsageEnvelope)
        if self.silent:
            self.silent -= 1
            raise BusUnavailable("no word")
        return False

    @property
    def events(self) -> list[int]:
        return [event.event_id.int for envelope in self.taken.values() for event in envelope.events]


def event(number: int) -> UsageRecorded:
    return UsageRecorded(
        event_id=UUID(int=number),
        account_id=UUID(int=1),
        key_id=None,
        lease_id=None,
        requested_model="m",
        billed_model="m",
        provider="p",
        price_version=1,
        usage=Usage(input=number),
        source=UsageSource.FINAL,
        outcome=Outcome.COMPLETED,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(outbox, "BATCH_WAIT_S", 0.001)
    monkeypatch.setattr(outbox, "RETRY_S_MAX", 0.001)
    return iter(())


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
async def running(bus: FakeBus) -> AsyncIterator[Outbox]:
    box = Outbox("router-0")
    task = asyncio.ensure_future(box.run(cast("Bus", bus)))
    yield box
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class TestSending:
    async def test_events_arrive_in_order_and_numbered(self, bus: FakeBus, running: Outbox) -> None:
        for number in range(250):
            running.put(event(number))
        await running.drain(2)
        envelopes = list(bus.taken.values())

        assert bus.events == list(range(250))
        assert [(e.first, e.last) for e in envelopes] == [(1, 100), (101, 200), (201, 250)]
        assert all(len(e.events) <= BATCH_EVENTS_MAX for e in envelopes)
        assert {e.router for e in envelopes} == {"router-0"}
        assert len({e.epoch for e in envelopes}) == 1

    async def test_it_goes_to_the_routers_own_subject(self, bus: FakeBus, running: Outbox) -> None:
        running.put(event(1))
        await running.drain(2)
        ((subject, message_id),) = bus.tries
        (envelope,) = bus.taken.values()

        assert subject == "usage.v1.router-0"
        assert message_id == f"router-0:{envelope.epoch}:1-1"

    async def test_events_that_come_together_travel_together(
        self, bus: FakeBus, running: Outbox
    ) -> None:
        await asyncio.sleep(0.005)
        for number in range(5):
            running.put(event(number))
        await running.drain(2)

        assert len(bus.tries) == 1

    async def test_an_idle_outbox_takes_up_again(self, bus: FakeBus, running: Outbox) -> None:
        for number in range(3):
            running.put(event(number))
            await running.drain(2)

        assert bus.events == [0, 1, 2]

    async def test_two_runs_differ_in_their_epoch(self) -> None:
        assert Outbox("router-0")._epoch != Outbox("router-0")._epoch


class TestTroubledBus:
    @pytest.mark.parametrize("failures", [1, 3])
    async def test_nothing_is_lost_and_nothing_overtakes(
        self, bus: FakeBus, running: Outbox, failures: int
    ) -> None:
        bus.broken = failures
        for number in range(150):
            running.put(event(number))
        await running.drain(2)

        assert bus.events == list(range(150))
        assert len(bus.tries) == 2 + failures

    async def test_a_message_is_sent_again_under_its_own_id(
        self, bus: FakeBus, running: Outbox
    ) -> None:
        """The bus may have taken it without a word: the id is how it knows."""
        bus.silent = 2
        running.put(event(1))
        await running.drain(2)

        assert len(bus.tries) == 3
        assert len({message_id for _, message_id in bus.tries}) == 1
        assert bus.repeated == 2

    async def test_events_that_come_meanwhile_wait_for_their_turn(
        self, bus: FakeBus, running: Outbox
    ) -> None:
        bus.broken = 2
        running.put(event(0))
        await asyncio.sleep(0.01)
        running.put(event(1))

        assert running.unsent == 2

        await running.drain(2)

        assert bus.events == [0, 1]
        assert running.unsent == 0


class TestDrain:
    async def test_it_waits_for_what_is_on_its_way(self, running: Outbox) -> None:
        running.put(event(1))
        await running.drain(2)

        assert running.unsent == 0

    async def test_it_ends_with_its_time(self) -> None:
        box = Outbox("router-0")
        box.put(event(1))
        await box.drain(0.03)

        assert box.unsent == 1


class TestRoom:
    async def test_new_work_is_refused_when_too_much_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "WAITING_EVENTS_MAX", 2)
        box = Outbox("router-0")
        box.put(event(1))
        box.check_room()
        box.put(event(2))

        with pytest.raises(Unavailable):
            box.check_room()

    async def test_work_that_was_begun_is_always_recorded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "WAITING_EVENTS_MAX", 1)
        box = Outbox("router-0")
        for number in range(3):
            box.put(event(number))

        assert box.unsent == 3
