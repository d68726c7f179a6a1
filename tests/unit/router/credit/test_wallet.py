"""Requests are admitted from leases; billing is asked once for many, and gets back what is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import msgspec
import pytest

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import FrozenClock
from aibridge_common.contracts.billing import AcquireLease, ExtendLease, Lease
from aibridge_common.errors import InsufficientBalance, Unavailable
from aibridge_common.events.leases import RECALL_SUBJECT, LeasesRecalled
from aibridge_router.credit import wallet
from aibridge_router.credit.book import EXPIRY_MARGIN_S, GiveBack, Hold
from aibridge_router.credit.wallet import Wallets

pytestmark = pytest.mark.anyio

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)


class FakeBilling:
    """A balance that answers after a turn of the loop."""

    def __init__(self, balance: int = 10**9) -> None:
        self.balance = balance
        self.away = False
        self.answers_lost = 0
        """So many answers never come, though the lease is granted."""
        self.in_the_way = False
        """Whether what is missing lies in other leases."""
        self.tail = False
        """Whether a lease for several is too much."""
        self.granted: dict[UUID, int] = {}
        """All that a lease ever was granted."""
        self.kept: dict[UUID, int] = {}
        """What is left of it, where that is less."""
        self.asked_to_extend: list[ExtendLease] = []
        self.asked: list[AcquireLease] = []
        self.returned: list[tuple[UUID, int]] = []

    async def acquire_lease(self, command: AcquireLease) -> Lease:
        self.asked.append(command)
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("billing is away")
        least = int(command.min_microtokens)
        if command.lease_id not in self.granted:
            granted = min(least if self.tail else int(command.want_microtokens), self.balance)
            if granted < least:
                raise InsufficientBalance("no", retry_after_s=2 if self.in_the_way else None)
            self.balance -= granted
            self.granted[command.lease_id] = granted
        if self.answers_lost:
            self.answers_lost -= 1
            await asyncio.sleep(3600)
        return Lease(
            lease_id=command.lease_id,
            granted_microtokens=str(self.granted[command.lease_id]),
            ttl_s=60,
            one_request=self.tail,
        )

    async def extend_lease(self, lease_id: UUID, command: ExtendLease) -> Lease:
        self.asked_to_extend.append(command)
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("billing is away")
        had, total = self.granted[lease_id], int(command.granted_microtokens)
        granted = had + max(0, min(total - had, self.balance))
        if granted < int(command.min_microtokens):
            raise InsufficientBalance("no", retry_after_s=2 if self.in_the_way else None)
        self.balance -= granted - had
        self.granted[lease_id] = granted
        self.kept[lease_id] = self.kept.get(lease_id, had) + granted - had
        if self.answers_lost:
            self.answers_lost -= 1
            await asyncio.sleep(3600)
        return Lease(lease_id=lease_id, granted_microtokens=str(granted), ttl_s=60)

    async def release_lease(
        self, lease_id: UUID, keep_microtokens: int = 0, granted_microtokens: int | None = None
    ) -> None:
        if self.away:
            raise Unavailable("billing is away")
        granted = self.granted.get(lease_id, 0)
        later = 0 if granted_microtokens is None else max(0, granted - granted_microtokens)
        keep = keep_microtokens + later
        self.returned.append((lease_id, keep))
        before = self.kept.get(lease_id, granted)
        self.balance += max(0, before - keep)
        self.kept[lease_id] = min(before, keep)


class NoBus:
    """Nobody recalls."""

    async def subscribe(self, subject: str, handler: object) -> None:
        assert (subject, callable(handler)) == (RECALL_SUBJECT, True)


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
    task = asyncio.ensure_future(purse.wallets.run(cast("Bus", NoBus())))
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

    async def test_a_lease_that_is_used_up_is_followed_by_another(self, purse: Purse) -> None:
        for _ in range(9):
            await purse.wallets.hold(ACCOUNT, 100)

        assert [asked.want_microtokens for asked in purse.billing.asked] == ["800", "800"]

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
        assert running.free == 200 + 800

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

        assert running.billing.returned == [(hold.lease_id, 100), (hold.lease_id, 30)]

        running.wallets.applied(5)
        await running.until(3)

        assert running.billing.returned[2:] == [(hold.lease_id, 0)]
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


class TestTail:
    """Where a lease for several is too much, every request gets a hold of its own."""

    async def test_each_request_has_its_own_reservation(self, purse: Purse) -> None:
        purse.billing.tail = True
        holds = await asyncio.gather(*[purse.wallets.hold(ACCOUNT, 100) for _ in range(3)])

        assert len({hold.lease_id for hold in holds}) == 3
        assert all(asked.request_waits for asked in purse.billing.asked)

    async def test_what_one_left_is_not_spent_by_another(self, purse: Purse) -> None:
        """Settling its charge closes the reservation: nothing else may rest on it."""
        purse.billing.tail = True
        hold = await purse.wallets.hold(ACCOUNT, 100)
        purse.wallets.finish(hold, 10, 1)
        second = await purse.wallets.hold(ACCOUNT, 50)

        assert second.lease_id != hold.lease_id

    async def test_a_hold_that_cost_nothing_goes_back(self, running: Purse) -> None:
        running.billing.tail = True
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.wallets.finish(hold, 0, 0)
        await running.until(1)

        assert running.billing.returned == [(hold.lease_id, 0)]
        assert running.wallets._book.all() == []

    async def test_what_is_too_dear_does_not_refuse_the_cheap(self, purse: Purse) -> None:
        purse.billing.tail, purse.billing.balance = True, 60
        dear, cheap = await asyncio.gather(
            purse.wallets.hold(ACCOUNT, 100),
            purse.wallets.hold(ACCOUNT, 50),
            return_exceptions=True,
        )

        assert isinstance(dear, InsufficientBalance)
        assert isinstance(cheap, Hold)

    async def test_a_request_that_ends_while_it_waits_leaves_nothing(self, running: Purse) -> None:
        running.billing.tail = True
        waits = asyncio.ensure_future(running.wallets.hold(ACCOUNT, 100))
        await asyncio.sleep(0)
        waits.cancel()
        await running.until(1)

        assert running.billing.balance == 10**9


class TestGrowth:
    async def test_a_hold_grows_from_its_lease_without_asking(self, purse: Purse) -> None:
        hold = await purse.wallets.hold(ACCOUNT, 100)
        await purse.wallets.extend(hold, 300)

        assert (hold.amount_microtokens, purse.free) == (400, 400)
        assert purse.billing.asked_to_extend == []

    async def test_beyond_it_the_lease_grows(self, purse: Purse) -> None:
        purse.billing.tail = True
        hold = await purse.wallets.hold(ACCOUNT, 100)
        await purse.wallets.extend(hold, 300)
        [asked] = purse.billing.asked_to_extend

        assert asked == ExtendLease(
            account_id=ACCOUNT, granted_microtokens="400", min_microtokens="400"
        )
        assert hold.amount_microtokens == hold.lease.granted_microtokens == 400

    async def test_also_once_the_lease_has_ended(self, purse: Purse) -> None:
        hold = await purse.wallets.hold(ACCOUNT, 100)
        purse.clock.advance(60)
        await purse.wallets.extend(hold, 300)

        assert hold.amount_microtokens == 400
        assert purse.billing.granted[hold.lease_id] == 800 + 300

    async def test_the_rest_of_a_balance_is_had_if_it_is_enough(self, purse: Purse) -> None:
        purse.billing.balance, purse.billing.tail = 150, True
        hold = await purse.wallets.hold(ACCOUNT, 100)
        with pytest.raises(InsufficientBalance):
            await purse.wallets.extend(hold, 300, 51)
        await purse.wallets.extend(hold, 300, 50)

        assert hold.amount_microtokens == 150

    async def test_what_lies_in_other_leases_is_put_to_use(self, purse: Purse) -> None:
        purse.billing.balance, purse.billing.in_the_way = 200, True
        purse.billing.tail = True
        hold = await purse.wallets.hold(ACCOUNT, 100)
        purse.billing.tail = False
        other = await purse.wallets.hold(ACCOUNT, 100)
        purse.wallets.finish(other, 0, 0)
        await purse.wallets.extend(hold, 100)

        assert hold.amount_microtokens == 200

    async def test_streams_of_one_lease_grow_one_after_the_other(self, purse: Purse) -> None:
        """Both ask for a total; asked at once for the same one, both would have what was granted once."""
        first = await purse.wallets.hold(ACCOUNT, 400)
        second = purse.wallets._book.admit(purse.clock.monotonic_s(), ACCOUNT, 400)
        assert second is not None
        purse.clock.advance(60)
        await asyncio.gather(*(purse.wallets.extend(each, 300) for each in (first, second)))

        assert first.amount_microtokens == second.amount_microtokens == 700
        assert purse.billing.granted[first.lease_id] == 3200 + 600

    async def test_what_is_given_back_meanwhile_does_not_take_what_was_granted(
        self, running: Purse
    ) -> None:
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.clock.advance(60)
        grows = asyncio.ensure_future(running.wallets.extend(hold, 300))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert running.billing.asked_to_extend
        await running.wallets._give_back(GiveBack(hold.lease, 100, 800))
        await grows

        assert running.billing.kept[hold.lease_id] >= hold.amount_microtokens == 400

    async def test_a_lost_answer_is_asked_for_again(
        self, purse: Purse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wallet, "ASK_S", 0.05)
        hold = await purse.wallets.hold(ACCOUNT, 100)
        purse.clock.advance(60)
        purse.billing.answers_lost = 1
        await purse.wallets.extend(hold, 300)

        assert hold.amount_microtokens == 400
        assert purse.billing.granted[hold.lease_id] == 800 + 300

    async def test_given_up_on_it_goes_back_with_the_rest(
        self, running: Purse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wallet, "ASK_S", 0.05)
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.clock.advance(60)
        await running.until(1)
        running.billing.answers_lost = 2
        with pytest.raises(Unavailable):
            await running.wallets.extend(hold, 300)
        assert hold.amount_microtokens == 100
        running.wallets.finish(hold, 0, 0)
        async with asyncio.timeout(2):
            while running.wallets._book.all():  # noqa: ASYNC110 - a fake has no event
                await asyncio.sleep(0.005)

        assert running.billing.balance == 10**9

    async def test_without_billing_it_stays_as_it_is(self, purse: Purse) -> None:
        hold = await purse.wallets.hold(ACCOUNT, 100)
        purse.clock.advance(60)
        purse.billing.away = True
        with pytest.raises(Unavailable):
            await purse.wallets.extend(hold, 300)

        assert hold.amount_microtokens == 100


class TestWhatIsThere:
    async def test_it_is_one_hold_of_as_much_as_is_free(self, purse: Purse) -> None:
        purse.billing.balance = 150
        hold = await purse.wallets.hold_what_is_there(ACCOUNT, 100, 1000)
        [asked] = purse.billing.asked

        assert (asked.min_microtokens, asked.want_microtokens, asked.for_one) == (
            "100",
            "1000",
            True,
        )
        assert (hold.amount_microtokens, purse.free) == (150, 0)

    async def test_its_own_pieces_are_part_of_it(self, purse: Purse) -> None:
        purse.billing.balance = 150
        purse.wallets.finish(await purse.wallets.hold(ACCOUNT, 60), 0, 0)

        assert (
            await purse.wallets.hold_what_is_there(ACCOUNT, 100, 1000)
        ).amount_microtokens == 150

    async def test_too_little_is_told(self, purse: Purse) -> None:
        purse.billing.balance = 99
        with pytest.raises(InsufficientBalance):
            await purse.wallets.hold_what_is_there(ACCOUNT, 100, 1000)


class TestRecall:
    async def test_what_is_free_goes_back_and_what_runs_stays(self, purse: Purse) -> None:
        hold = await purse.wallets.hold(ACCOUNT, 100)
        other = await purse.wallets.hold(OTHER, 100)
        await purse.wallets.on_recall(recall(ACCOUNT))
        await purse.until(1)
        purse.wallets.finish(hold, 40, 1)

        assert purse.billing.returned == [(hold.lease_id, 100)]
        assert purse.free == 60 + 700
        assert other.lease.free_microtokens == 700

    async def test_what_billing_did_not_hear_is_said_again(self, running: Purse) -> None:
        hold = await running.wallets.hold(ACCOUNT, 100)
        running.billing.away = True
        await running.wallets.on_recall(recall(ACCOUNT))
        await asyncio.sleep(0.01)
        assert running.free == 0
        running.billing.away = False
        await running.until(1)

        assert running.billing.returned[0] == (hold.lease_id, 100)

    async def test_a_payload_that_cannot_be_read_is_passed_over(self, purse: Purse) -> None:
        await purse.wallets.hold(ACCOUNT, 100)
        await purse.wallets.on_recall(b"{")

        assert purse.free == 700

    async def test_a_request_waits_for_what_others_give_back(self, purse: Purse) -> None:
        purse.billing.balance, purse.billing.in_the_way = 0, True
        waits = asyncio.ensure_future(purse.wallets.hold(ACCOUNT, 100))
        await asyncio.sleep(0.03)
        purse.billing.balance = 100

        assert (await waits).amount_microtokens == 100
        assert len({asked.lease_id for asked in purse.billing.asked}) == 1

    async def test_and_not_for_long(self, purse: Purse) -> None:
        purse.billing.balance, purse.billing.in_the_way = 0, True
        began_s = asyncio.get_running_loop().time()
        waits = [purse.wallets.hold(ACCOUNT, 100) for _ in range(20)]
        refused = await asyncio.gather(*waits, return_exceptions=True)

        assert asyncio.get_running_loop().time() - began_s < 0.5
        assert [getattr(each, "retry_after_s", None) for each in refused] == [2] * 20

    async def test_its_own_pieces_are_put_together(self, purse: Purse) -> None:
        """Two leases with sixty each serve no request of a hundred."""
        purse.billing.balance, purse.billing.in_the_way = 120, True
        for _ in range(2):
            purse.billing.tail = False
            hold = await purse.wallets.hold(ACCOUNT, 60)
            purse.wallets.finish(hold, 0, 0)

        assert (await purse.wallets.hold(ACCOUNT, 100)).amount_microtokens == 100

    async def test_a_balance_that_is_too_small_is_told_at_once(self, purse: Purse) -> None:
        purse.billing.balance = 0
        with pytest.raises(InsufficientBalance) as refusal:
            await purse.wallets.hold(ACCOUNT, 100)

        assert refusal.value.retry_after_s is None
        assert len(purse.billing.asked) == 1


class TestLostAnswers:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wallet, "ASK_S", 0.05)

    async def test_it_is_asked_again_under_the_same_id(self, purse: Purse) -> None:
        purse.billing.answers_lost = 1
        await purse.wallets.hold(ACCOUNT, 100)
        first, second = purse.billing.asked

        assert first == second
        assert purse.billing.balance == 10**9 - 800

    async def test_given_up_on_it_is_released_now_and_later(self, running: Purse) -> None:
        """Later too, since the question may be slower than its release."""
        running.billing.answers_lost = 2
        with pytest.raises(Unavailable):
            await running.wallets.hold(ACCOUNT, 100)
        await running.until(1)
        assert running.billing.balance == 10**9

        running.clock.advance(wallet.FORSAKEN_S)
        await running.until(2)
        lost = running.billing.asked[0].lease_id

        assert running.billing.returned == [(lost, 0), (lost, 0)]
        assert running.wallets._forsaken == {}

    async def test_those_who_wait_fail_together(self, purse: Purse) -> None:
        purse.billing.answers_lost = 1000
        began_s = asyncio.get_running_loop().time()
        waits = [purse.wallets.hold(ACCOUNT, 100 + number) for number in range(50)]
        failed = await asyncio.gather(*waits, return_exceptions=True)

        assert {type(each) for each in failed} == {Unavailable}
        assert asyncio.get_running_loop().time() - began_s < 0.5
        assert len(purse.billing.asked) == 2


def recall(account: UUID) -> bytes:
    return msgspec.json.encode(LeasesRecalled(account_id=account))
