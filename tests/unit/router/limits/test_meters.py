"""Billing is asked once what a key has spent, and again each minute beside the requests."""

import asyncio
from datetime import UTC, date, datetime
from typing import cast
from uuid import UUID

import pytest

from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import FrozenClock
from aibridge_common.contracts.billing import UsageSum
from aibridge_common.errors import Unavailable
from aibridge_common.limits import KeyLimits
from aibridge_router.limits.meter import KeyLimitReached
from aibridge_router.limits.meters import ASK_EVERY_S, FORGOTTEN_AFTER_S, KeyMeters

pytestmark = pytest.mark.anyio
ACCOUNT, KEY = UUID(int=2), UUID(int=3)
DAILY, MONTHLY = KeyLimits(spend_per_day_tokens=10), KeyLimits(spend_per_month_tokens=10)


class Books:
    """Billing, with one sum a day."""

    def __init__(self) -> None:
        self.days = {date(2026, 5, 2): 6_000_000, date(2026, 5, 30): 3_000_000}
        self.asked: list[tuple[UUID, UUID, datetime]] = []
        self.away = False

    async def usage_of_key(self, account_id: UUID, key_id: UUID, since: datetime) -> list[UsageSum]:
        self.asked.append((account_id, key_id, since))
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("billing is away")
        return [
            UsageSum(
                day=day,
                requests=1,
                input_tokens="1",
                cached_tokens="0",
                output_tokens="1",
                charge_microtokens=str(amount),
            )
            for day, amount in self.days.items()
        ]


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 5, 30, 12, tzinfo=UTC))


@pytest.fixture
def meters(books: Books, clock: FrozenClock) -> KeyMeters:
    return KeyMeters(cast("BillingClient", books), clock)


async def test_many_first_requests_ask_once(meters: KeyMeters, books: Books) -> None:
    await asyncio.gather(*(meters.admit(ACCOUNT, KEY, MONTHLY) for _ in range(20)))

    assert books.asked == [(ACCOUNT, KEY, datetime(2026, 5, 1, tzinfo=UTC))]


async def test_what_was_spent_before_counts(meters: KeyMeters) -> None:
    await meters.admit(ACCOUNT, KEY, MONTHLY)
    meters.charged(KEY, 5, 1_000_000)

    with pytest.raises(KeyLimitReached, match="10 tokens that it may in a month"):
        await meters.admit(ACCOUNT, KEY, MONTHLY)
    await meters.admit(ACCOUNT, KEY, DAILY)


async def test_what_another_router_served_is_heard_of_within_a_minute(
    meters: KeyMeters, books: Books, clock: FrozenClock
) -> None:
    await meters.admit(ACCOUNT, KEY, DAILY)
    books.days[date(2026, 5, 30)] = 10_000_000
    clock.advance(ASK_EVERY_S)
    await meters.admit(ACCOUNT, KEY, DAILY)
    await asyncio.sleep(0.01)

    with pytest.raises(KeyLimitReached):
        await meters.admit(ACCOUNT, KEY, DAILY)
    assert len(books.asked) == 2


async def test_nothing_is_served_while_nobody_knows_what_was_spent(
    meters: KeyMeters, books: Books
) -> None:
    books.away = True
    with pytest.raises(Unavailable):
        await meters.admit(ACCOUNT, KEY, DAILY)
    books.away = False
    await meters.admit(ACCOUNT, KEY, DAILY)


async def test_once_it_is_known_billing_may_be_away(
    meters: KeyMeters, books: Books, clock: FrozenClock
) -> None:
    await meters.admit(ACCOUNT, KEY, DAILY)
    books.away = True
    clock.advance(ASK_EVERY_S)
    for _ in range(3):
        await meters.admit(ACCOUNT, KEY, DAILY)
        await asyncio.sleep(0.01)


async def test_limits_of_a_minute_ask_nobody(meters: KeyMeters, books: Books) -> None:
    await meters.admit(ACCOUNT, KEY, KeyLimits(requests_per_minute=1))

    with pytest.raises(KeyLimitReached):
        await meters.admit(ACCOUNT, KEY, KeyLimits(requests_per_minute=1))
    await meters.admit(ACCOUNT, UUID(int=4), KeyLimits(requests_per_minute=1))
    assert books.asked == []


async def test_a_key_that_is_not_used_is_forgotten(
    meters: KeyMeters, books: Books, clock: FrozenClock
) -> None:
    await meters.admit(ACCOUNT, KEY, DAILY)
    clock.advance(FORGOTTEN_AFTER_S + 1)
    await meters.admit(ACCOUNT, UUID(int=4), DAILY)
    books.days[date(2026, 5, 30)] = 10_000_000

    with pytest.raises(KeyLimitReached):
        await meters.admit(ACCOUNT, KEY, DAILY)
