"""Requests are admitted from leases; billing is asked once for many, and gets back what is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest

from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import FrozenClock
from aibridge_common.contracts.billing import AcquireLease, Lease
from aibridge_common.errors import InsufficientBalance, Unavailable
from aibridge_router.credit import wallet
from aibridge_router.credit.book import EXPIRY_MARGIN_S
from aibridge_router.credit.wallet import Wallets

pytestmark = pytest.mark.anyio

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)


class FakeBilling:
    """A balance that answers after a turn of the loop."""

    def __init__(self, balance: int = 10**9) -> None:
        self.balance = balance
        self.away = False
        self.asked: list[AcquireLease] = []
        self.returned: list[tuple[UUID, int]] = []

    async def acquire_lease(self, command: AcquireLease) -> Lease:
        self.asked.append(command)
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("billing is away")
        granted = min(int(command.want_microtokens), self.balance)
        if granted < int(command.min_microtokens):
            raise InsufficientBalance("no")
        self.balance -= granted
        return Lease(lease_id=command.lease_id, granted_microtokens=str(granted), ttl_s=60)

    async def release_lease(self, lease_id: UUID, keep_microtokens: int = 0) -> None:
        if self.away:
            raise Unavailable("billing is away")
        self.returned.append((lease_id, keep_microtokens))


class Purse:
    """Wallets, their clock and their billing."""

    def __init__(self) -> None:
        self.billing = FakeBilling()
        self.clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.wallets = Wallets(cast("BillingClient", self.billing), self.clock, "router-0")

    @property
    def free(self) -> int:
        return sum(lease.free_microtokens for lease in self.wallets._book.all())

    async def until(self, count: int) -> None:
        """Wait until so many leases were given back."""
        async with asyncio.timeout(2):
            while len(self.billing.returned) < count:  # noqa: ASYNC110 - a fake has no event
                await asyncio.sleep(0.005)


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture
async def running(purse: Purse, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Purse]:
    """The same with its task, which looks at expired leases all the time."""
    monkeypatch.setattr(wallet, "RETURN_EVERY_S", 0.005)
    task = asyncio.ensure_future(purse.wallets.run())
    await asyncio.sleep(0.01)
    yield purse
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class TestHold:
    async def test_requests_at_once_ask_billing_once(self, purse: Purse) -> None:
        holds = await asyncio.gather(*[purse.wallets.hold(ACCOUNT, 100) for _ in range(8)])

        assert len(purse.billing.asked) == 1
        assert {hold.lease_id for hold in holds} == {purse.billing.asked[0].lease_id}
        assert purse.free == 0

    async def test_the_question_says_who_asks_and_how_much(self, purse: Purse) -> None:
        await purse.wallets.hold(ACCOUNT, 100)
        (asked,) = purse.billing.asked

        assert (asked.account_id, asked.holder) == (ACCOUNT, "router-0")
        assert (asked.want_microtokens, asked.min_microtokens) == ("800", "100")

    async def test_accounts_do_not_wait_for_each_other(self, purse: Purse) -> None:
        await asyncio.gather(purse.wallets.hold(ACCOUNT, 100), purse.wallets.hold(OTHER, 100))

        assert {asked.account_id for asked in purse.billing.asked} == {ACCOUNT, OTHER}

    async def test_a_lease_that_is_used_up_is_followed_by_a_larger_one(self, purse: Purse) -> None:
        for _ in range(9):
            await purse.wallets.hold(ACCOUNT, 100)

        assert [asked.want_microtokens for asked in purse.billing.asked] == ["800", "1600"]

    async def test_a_balance_below_the_hold_is_told(self, purse: Purse) -> None:
        purse.billing.balance = 99
        with pytest.raises(InsufficientBalance, match="buy tokens or lower its output limit"):
            await purse.wallets.hold(ACCOUNT, 100)

    async def test_the_last_of_a_balance_can_be_spent(self, purse: Purse) -> None:
        purse.billing.balance = 100
        hold = await purse.wallets.hold(ACCOUNT, 100)

        assert hold.amount_microtokens == 100

    async def test_without_billing_nothing_new_is_admitted(self, purse: Purse) -> None:
        await purse.wallets.hold(ACCOUNT, 100)
        purse.billing.away = True
        await purse.wallets.hold(ACCOUNT, 100)
        with pytest.raises(Unavailable):
            await purse.wallets.hold(OTHER, 100)

    async def test_an_expired_lease_admits_nothing(self, purse: Purse) -> None:
        """Admission ends before the lease does, counted from when it was asked for."""
        await purse.wallets.hold(ACCOUNT, 100)
        purse.clock.advance(60 - EXPIRY_MARGIN_S)
        await purse.wallets.hold(ACCOUNT, 100)

        assert len(purse.billing.asked) == 2

    async def test_what_a_request_did_not_cost_is_free_for_the_next(self, purse: Purse) -> None:
        hold = await purse.wallets.hold(ACCOUNT, 100)
        purse.wallets.finish(hold, 30, 1)

        assert purse.free == 770


class TestRefill:
    async def test_it_comes_before_it_is_needed(self, running: Purse) -> None:
        for _ in range(6):
            await running.wallets.hold(ACCOUNT, 100)
        await asyncio.sleep(0.01)

        assert len(running.billing.asked) == 2
        assert running.free == 200 + 1600

    async def test_a_refill_that_fails_harms_nobody(self, running: Purse) -> None:
        running.billing.balance = 800
        for _ in range(8):
            await running.wallets.hold(ACCOUNT, 100)

        with pytest.raises(InsufficientBalance):
            await running.wallets.hold(ACCOUNT, 100)


class TestGiveBack:
    async def test_an_unused_lease_goes_back_when_it_expires(self, running: Purse) -> None:
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.wallets.finish(hold, 0, 1)
        running.clock.advance(60)
        await running.until(1)

        assert running.billing.returned == [(hold.lease_id, 0)]
        assert running.wallets._book.all() == []

    async def test_what_runs_stays_covered_until_billing_has_seen_it(self, running: Purse) -> None:
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.clock.advance(60)
        await running.until(1)
        running.wallets.finish(hold, 30, 5)
        running.wallets.applied(4)
        running.clock.advance(3600)
        await asyncio.sleep(0.02)

        assert running.billing.returned == [(hold.lease_id, 100)]

        running.wallets.applied(5)
        await running.until(2)

        assert running.billing.returned[1:] == [(hold.lease_id, 0)]
        assert running.wallets._book.all() == []

    async def test_it_is_tried_again_while_billing_is_away(self, running: Purse) -> None:
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.wallets.finish(hold, 0, 1)
        running.billing.away = True
        running.clock.advance(60)
        await asyncio.sleep(0.02)

        assert len(running.wallets._book.all()) == 1

        running.billing.away = False
        await running.until(1)

        assert running.wallets._book.all() == []

    async def test_at_shutdown_only_what_is_needed_stays(self, purse: Purse) -> None:
        first = await purse.wallets.hold(ACCOUNT, 100)
        second = await purse.wallets.hold(OTHER, 50)
        purse.wallets.finish(first, 0, 1)
        await purse.wallets.give_all_back()

        assert sorted(purse.billing.returned, key=lambda back: back[1]) == [
            (first.lease_id, 0),
            (second.lease_id, 50),
        ]
        assert purse.free == 0
