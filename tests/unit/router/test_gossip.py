"""Two routers on a real NATS: what one sees, the other knows."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from uuid import UUID

import msgspec
import pytest

from aibridge_common.bus.nats import Bus
from aibridge_common.clock import SystemClock
from aibridge_router import gossip
from aibridge_router.failover.breaker import SUCCESSES_TO_CLOSE
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.health import Change, Health, Notice, Way
from aibridge_router.gossip import Gossip, HealthChanged

pytestmark = pytest.mark.anyio

WAY: Way = ("anthropic", UUID(int=1), "claude-a")


class Router:
    """The part of a router that gossips."""

    def __init__(self, name: str) -> None:
        self.health = Health(random.Random(name))
        self.clock = SystemClock()
        self.gossip = Gossip(self.health, self.clock, name)

    def fails(self, failure: Failure) -> None:
        now_s = self.clock.monotonic_s()
        self.health.failed(now_s, WAY, failure, probe=self.health.begin(now_s, WAY))

    def succeeds(self) -> None:
        now_s = self.clock.monotonic_s()
        self.health.succeeded(now_s, WAY, probe=self.health.begin(now_s, WAY))

    @property
    def why_not(self) -> str | None:
        return self.health.why_not(self.clock.monotonic_s(), WAY)

    @property
    def waits_s(self) -> float:
        return self.health.rests_for_s(self.clock.monotonic_s(), WAY)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - hearing tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(nats_url, "test")
    yield connected
    await connected.close()


@pytest.fixture
async def pair(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Router, Router]]:
    """Both listen when the test begins, on a subject that no other test uses."""
    monkeypatch.setattr(gossip, "EVERY_S", 0.02)
    monkeypatch.setattr(gossip, "SUBJECT", f"test.health.{random.getrandbits(64):x}")
    routers = Router("router-a"), Router("router-b")
    buses = [await Bus.connect(nats_url, "test") for _ in routers]
    tasks = [
        asyncio.create_task(router.gossip.run(bus))
        for router, bus in zip(routers, buses, strict=True)
    ]
    await asyncio.sleep(0.1)
    yield routers
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for bus in buses:
        await bus.close()


Pair = tuple[Router, Router]


async def test_an_opening_is_heard(pair: Pair) -> None:
    one, other = pair
    one.fails(Failure.SILENT)
    await until(lambda: other.why_not == "circuit open")

    assert one.why_not == "circuit open"


@pytest.mark.parametrize("failure", [Failure.MONEY, Failure.ACCESS, Failure.MODEL_GONE])
async def test_an_ejection_and_its_end_are_heard(pair: Pair, failure: Failure) -> None:
    one, other = pair
    one.fails(failure)
    await until(lambda: other.waits_s > 590)
    other.succeeds()
    await until(lambda: one.why_not is None)

    assert other.why_not is None


async def test_a_cool_down_is_heard(pair: Pair) -> None:
    one, other = pair
    one.fails(Failure.RATE_LIMIT)
    await until(lambda: 4 < other.waits_s <= 5)


async def test_a_return_is_heard(pair: Pair) -> None:
    one, other = pair
    one.fails(Failure.SILENT)
    await until(lambda: other.why_not is not None)
    one.health.hear(
        one.clock.monotonic_s(),
        Notice(change=Change.CLOSED, provider=WAY[0], key=WAY[1], model=WAY[2]),
    )
    for _ in range(SUCCESSES_TO_CLOSE):
        one.succeeds()
    await until(lambda: other.why_not is None)

    assert one.why_not is None


async def test_what_was_heard_is_not_told_again(pair: Pair, bus: Bus) -> None:
    told: list[HealthChanged] = []

    async def listen(payload: bytes) -> None:
        told.append(msgspec.json.decode(payload, type=HealthChanged))

    await bus.subscribe(gossip.SUBJECT, listen)
    await asyncio.sleep(0.05)
    one, other = pair
    one.fails(Failure.SILENT)
    await until(lambda: other.why_not is not None)
    await asyncio.sleep(0.2)

    assert [(event.router, len(event.notices)) for event in told] == [("router-a", 1)]


async def test_what_changes_together_travels_together(pair: Pair, bus: Bus) -> None:
    told: list[bytes] = []

    async def listen(payload: bytes) -> None:
        told.append(payload)

    await bus.subscribe(gossip.SUBJECT, listen)
    await asyncio.sleep(0.05)
    for _ in range(20):
        pair[0].fails(Failure.MONEY)
    await until(lambda: pair[1].waits_s > 0)

    assert len(told) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"garbage",
        b"[]",
        b'{"type":"other.v1"}',
        b'{"type":"router.health.v1","router":"x","notices":[{"change":"explodes"}]}',
    ],
)
async def test_nonsense_is_not_believed_and_ends_nothing(
    pair: Pair, bus: Bus, payload: bytes
) -> None:
    one, other = pair
    await bus.publish(gossip.SUBJECT, payload)
    one.fails(Failure.SILENT)
    await until(lambda: other.why_not is not None)


async def test_what_a_newer_router_adds_is_ignored(pair: Pair, bus: Bus) -> None:
    event = {
        "type": "router.health.v1",
        "router": "router-new",
        "since": 7,
        "notices": [
            {
                "change": "ejected",
                "provider": "anthropic",
                "key": str(WAY[1]),
                "for_s": 9,
                "colour": "red",
            }
        ],
    }
    await bus.publish(gossip.SUBJECT, msgspec.json.encode(event))
    await until(lambda: all(8 < router.waits_s <= 9 for router in pair))


async def test_a_bus_that_is_gone_costs_only_the_notice(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gossip, "EVERY_S", 0.02)
    router = Router("router-c")
    bus = await Bus.connect(nats_url, "test")
    task = asyncio.create_task(router.gossip.run(bus))
    await asyncio.sleep(0.1)
    await bus.close()
    router.fails(Failure.SILENT)
    await asyncio.sleep(0.1)

    assert not task.done()
    assert router.health.take_notices() == []

    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
