"""Usage goes from the bus to the balance exactly once, whatever the consumer goes through."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import nats
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from aibridge_billing.app import SCHEMA
from aibridge_billing.leases import sweeper
from aibridge_billing.ledger.journal import Settled
from aibridge_billing.metering import consumer
from aibridge_billing.metering.consumer import UsageConsumer, usage_stream
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import asyncpg_url
from aibridge_common.events.usage import APPLIED_SUBJECT, STREAM, SUBJECT
from aibridge_common.ids import uuid7
from tests.fixtures.books import Books, envelope, usage_event
from tests.fixtures.services import forget_usage, running_billing, until

pytestmark = pytest.mark.anyio
IMPATIENT_S = 0.5
CLOCK = SystemClock()


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """A router's connection; the stream is empty."""
    await forget_usage(nats_url)
    bus = await Bus.connect(nats_url, "router")
    await bus.ensure_stream(usage_stream(1))
    yield bus
    await bus._client.close()  # without waiting for what a killed consumer left unread


async def send(bus: Bus, *payloads: bytes) -> None:
    for payload in payloads:
        await bus.append(f"{SUBJECT}.r1", payload, uuid7().hex)


async def test_what_is_published_changes_the_balances(
    books: Books, bus: Bus, billing_url: str, nats_url: str
) -> None:
    account, other = await books.account(1000), await books.account(1000)

    async with running_billing(billing_url, nats_url):
        await send(
            bus,
            envelope(usage_event(account, 10), usage_event(other, 7)),
            envelope(usage_event(account, 20)),
        )
        await until(lambda: spent(books, account, 30))

    assert await spent(books, other, 7)


async def test_the_router_is_told_after_the_commit(
    books: Books, bus: Bus, billing_url: str, nats_url: str
) -> None:
    """When it hears, what it will be told by the database is there."""
    account = await books.account(1000)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await bus.subscribe(f"{APPLIED_SUBJECT}.r1", heard.put)

    async with running_billing(billing_url, nats_url):
        await send(bus, envelope(usage_event(account, 10)))
        await asyncio.wait_for(heard.get(), 5)
        noted = await books.value("SELECT count(*) FROM spool_applied WHERE router = 'r1'")

    assert noted == 1
    assert await spent(books, account, 10)


async def test_a_bus_that_lost_everything_is_used_again(
    books: Books, bus: Bus, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream is gone with its consumer; both come back without a restart of billing."""
    monkeypatch.setattr(consumer, "RETRY_S", 0.1)
    account = await books.account(1000)
    settlement = Settlement(books.database, PriceBook(books.database))
    async with running(UsageConsumer(bus, settlement, CLOCK)):
        await send(bus, envelope(usage_event(account, 10)))
        await until(lambda: spent(books, account, 10))
        await forget_usage(nats_url)
        await until(lambda: takes(bus, envelope(usage_event(account, 5))), within_s=20)
        await until(lambda: spent(books, account, 15))


async def takes(bus: Bus, payload: bytes) -> bool:
    try:
        await send(bus, payload)
    except BusUnavailable:
        return False
    return True


async def test_it_counts_what_it_did(books: Books, bus: Bus) -> None:
    account = await books.account(1000)
    twice = envelope(usage_event(account, 10), usage_event(uuid7(), 10))
    settlement = Settlement(books.database, PriceBook(books.database))
    counted = UsageConsumer(bus, settlement, CLOCK)

    async with running(counted):
        await send(bus, twice, twice, envelope(usage_event(account, 1)))
        await until(lambda: spent(books, account, 11))

    counters = counted.counters
    assert (counters.applied, counters.duplicates, counters.waiting_messages) == (2, 1, 0)
    assert counters.dead_letters >= 1
    assert 0 <= counters.lag_s < 10


async def test_a_delivery_twice_is_charged_once(
    books: Books, bus: Bus, billing_url: str, nats_url: str
) -> None:
    """Sent twice under different message ids: the bus does not know that they are the same."""
    account = await books.account(1000)
    twice = [envelope(usage_event(account, 10), usage_event(account, 5)) for _ in range(5)]

    async with running_billing(billing_url, nats_url):
        await send(bus, *twice, *twice, envelope(usage_event(account, 1)))
        await until(lambda: events(books, account, 11))

    assert await spent(books, account, 76)


async def test_the_bus_itself_drops_a_message_it_stored_before(bus: Bus) -> None:
    payload = envelope()

    assert not await bus.append(f"{SUBJECT}.r1", payload, "r1:1:1")
    assert await bus.append(f"{SUBJECT}.r1", payload, "r1:1:1")


class Died(Exception):
    """The process was killed here."""


class DiesAfterCommit(Settlement):
    """Settles once; nothing is acknowledged after that."""

    async def apply(self, payloads: list[bytes]) -> Settled:
        await super().apply(payloads)
        raise Died


class Counting(Settlement):
    """Remembers how many events came, new and known."""

    applied = duplicates = 0

    async def apply(self, payloads: list[bytes]) -> Settled:
        settled = await super().apply(payloads)
        self.applied += settled.applied
        self.duplicates += settled.duplicates
        return settled


async def test_a_consumer_killed_between_commit_and_acknowledgement_charges_once(
    books: Books, bus: Bus, nats_url: str
) -> None:
    account = await books.account(1000)
    prices = PriceBook(books.database)
    await send(bus, *(envelope(usage_event(account, 10)) for _ in range(5)))
    with pytest.raises(Died):
        await UsageConsumer(bus, DiesAfterCommit(books.database, prices), CLOCK).run()
    assert await spent(books, account, 50)

    settlement = Counting(books.database, prices)
    async with running(UsageConsumer(bus, settlement, CLOCK)):
        await send(bus, envelope(usage_event(account, 1)))
        await until(lambda: spent(books, account, 51))
        await until(lambda: everything_is_acknowledged(nats_url))
    assert (settlement.applied, settlement.duplicates) == (1, 5)


async def test_a_consumer_that_is_restarted_again_and_again_charges_once(
    books: Books, bus: Bus, nats_url: str
) -> None:
    account = await books.account(100_000)
    prices = PriceBook(books.database)
    sent = [envelope(*(usage_event(account, 1) for _ in range(5))) for _ in range(100)]
    await send(bus, *sent)

    for number in range(8):
        async with running(UsageConsumer(bus, Settlement(books.database, prices), CLOCK)):
            await asyncio.sleep(0.02 + 0.005 * number)
    async with running(UsageConsumer(bus, Settlement(books.database, prices), CLOCK)):
        await until(lambda: everything_is_acknowledged(nats_url))

    assert await spent(books, account, 500)


async def test_a_consumer_outlives_a_time_without_a_database_connection(
    books: Books, bus: Bus, billing_url: str
) -> None:
    """All connections of the pool are taken: that is no reason to stop settling for ever."""
    account = await books.account(1000)
    narrow = create_async_engine(
        asyncpg_url(billing_url),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.05,
        connect_args={"server_settings": {"search_path": SCHEMA}},
    )
    try:
        async with running(
            UsageConsumer(bus, Settlement(narrow, PriceBook(narrow)), CLOCK)
        ) as task:
            async with narrow.connect():
                await send(bus, envelope(usage_event(account, 10)))
                await asyncio.sleep(0.5)
                assert not task.done()
                assert await spent(books, account, 0)
            await until(lambda: spent(books, account, 10))
    finally:
        await narrow.dispose()


async def test_the_sweeper_outlives_a_time_without_a_database_connection(
    books: Books, billing_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "EVERY_S", 0.02)
    account = await books.account(100)
    narrow = create_async_engine(
        asyncpg_url(billing_url),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.05,
        connect_args={"server_settings": {"search_path": SCHEMA}},
    )
    sweeping = asyncio.create_task(sweeper.run_sweeper(narrow))
    try:
        async with narrow.connect():
            await books.lease(account, 60, hard_ttl_s=0)
            await asyncio.sleep(0.3)
            assert not sweeping.done()
        await until(lambda: reserved(books, account, 0))
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await narrow.dispose()


async def test_poison_does_not_hold_up_the_others(
    books: Books, bus: Bus, billing_url: str, nats_url: str
) -> None:
    """A bad account, an unknown price, an overflow and garbage of the largest size that the bus takes."""
    account = await books.account(1000)
    bad = [
        usage_event(uuid7(), 10),
        usage_event(account, 10, price_version=77),
        usage_event(account, 10**12),
        usage_event(account, 10, requested_model="\0"),
    ]
    poison = [*map(envelope, bad), b"\0" * 262_000]

    async with running_billing(billing_url, nats_url):
        await send(bus, *poison, envelope(usage_event(account, 10)), *poison)
        await until(lambda: spent(books, account, 10), within_s=5)
        await until(lambda: everything_is_acknowledged(nats_url))

    # By id: the bus is shared, and another test's usage may have nobody to be charged to here.
    ids = {event.event_id for event in bad}
    buried = [each.event_id for each in await books.dead_letters() if each.event_id in ids]
    assert sorted(buried) == sorted(ids)
    assert await spent(books, account, 10)


@contextlib.asynccontextmanager
async def running(consumer: UsageConsumer) -> AsyncGenerator[asyncio.Task[None]]:
    """The consumer at work, until it is killed."""
    task = asyncio.create_task(consumer.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def everything_is_acknowledged(nats_url: str) -> bool:
    """Deliveries that somebody took and forgot come again at once, not in a minute."""
    client = await nats.connect(nats_url)
    try:
        jetstream = client.jetstream()
        info = await jetstream.consumer_info(STREAM, "billing")
        if info.config.ack_wait != IMPATIENT_S:
            info.config.ack_wait = IMPATIENT_S
            await jetstream.add_consumer(STREAM, info.config)
            return False
    finally:
        await client.close()
    return (info.num_pending, info.num_ack_pending) == (0, 0)


async def spent(books: Books, account: object, utok: int) -> bool:
    found = await books.value("SELECT spent_utok FROM account WHERE id = :id", id=account)
    return found == utok


async def events(books: Books, account: object, count: int) -> bool:
    found = await books.value("SELECT count(*) FROM usage_event WHERE account_id = :id", id=account)
    return found == count


async def reserved(books: Books, account: object, utok: int) -> bool:
    found = await books.value("SELECT reserved_utok FROM account WHERE id = :id", id=account)
    return found == utok
