"""The lease book against a small model of what billing knows."""

from typing import Any
from uuid import UUID

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from aibridge_router.credit.book import BURN_S, GiveBack, HeldLease, Hold, LeaseBook

ACCOUNTS = [UUID(int=1), UUID(int=2)]
accounts = st.sampled_from(ACCOUNTS)


def lease(
    number: int = 1, granted: int = 100, expires_at_s: float = 60.0, account: UUID = ACCOUNTS[0]
) -> HeldLease:
    return HeldLease(
        lease_id=UUID(int=number),
        account_id=account,
        granted_microtokens=granted,
        free_microtokens=granted,
        expires_at_s=expires_at_s,
    )


def book_with(*leases: HeldLease) -> LeaseBook:
    book = LeaseBook()
    for one in leases:
        book.add(one)
    return book


class Granted(msgspec.Struct):
    """What the model knows of a lease."""

    lease: HeldLease
    set_aside: int
    """What billing keeps for it, were it to settle nothing."""
    running: int = 0
    charges: list[tuple[int, int]] = []

    def unseen(self, applied: int) -> int:
        return sum(amount for sequence, amount in self.charges if sequence > applied)


class BookAgainstModel(RuleBasedStateMachine):
    """Charges here never exceed their holds; then a lease never promises more than was granted."""

    holds: Bundle[tuple[Hold, UUID]] = Bundle("holds")

    @initialize()
    def open(self) -> None:
        self.book = LeaseBook()
        self.now_s = 0.0
        self.sequence = self.applied = 0
        self.granted: dict[UUID, Granted] = {}
        self.closed: set[UUID] = set()

    @rule(account=accounts, amount=st.integers(1, 1000), ttl_s=st.floats(0, 60, allow_nan=False))
    def grant(self, account: UUID, amount: int, ttl_s: float) -> None:
        number = len(self.granted) + 1
        one = lease(number, amount, self.now_s + ttl_s, account)
        self.granted[one.lease_id] = Granted(lease=one, set_aside=amount)
        self.book.add(one)

    @rule(target=holds, account=accounts, amount=st.integers(1, 400))
    def grant_for_one(self, account: UUID, amount: int) -> Any:
        one = lease(len(self.granted) + 1, amount, self.now_s + 60, account)
        self.granted[one.lease_id] = Granted(lease=one, set_aside=amount, running=amount)

        return (self.book.add_for_one(self.now_s, one), account)

    @rule(target=holds, account=accounts, amount=st.integers(1, 400))
    def admit(self, account: UUID, amount: int) -> Any:
        hold = self.book.admit(self.now_s, account, amount)
        live = [
            known
            for known in self.granted.values()
            if known.lease.account_id == account
            and known.lease.expires_at_s > self.now_s
            and known.lease.lease_id not in self.closed
        ]
        if hold is None:
            assert all(known.lease.free_microtokens < amount for known in live)
            return multiple()
        known = self.granted[hold.lease_id]

        assert known in live
        assert hold.amount_microtokens == amount

        known.running += amount
        return (hold, account)

    @rule(held=holds, amount=st.integers(1, 400))
    def extend(self, held: tuple[Hold, UUID], amount: int) -> None:
        """A hold grows from what is free of its lease, or not at all."""
        hold, _ = held
        known = self.granted[hold.lease_id]
        before, free = hold.amount_microtokens, hold.lease.free_microtokens
        grew = self.book.extend(self.now_s, hold, amount)

        assert grew == (free >= amount and hold.lease.expires_at_s > self.now_s)
        assert hold.amount_microtokens == before + amount * grew

        known.running += amount * grew

    @rule(held=holds, amount=st.integers(1, 400), is_heard=st.booleans())
    def grow(self, held: tuple[Hold, UUID], amount: int, is_heard: bool) -> None:
        """Billing lets the lease of a hold grow; when its answer is lost nobody uses what it may have granted."""
        hold, _ = held
        known, total = self.granted[hold.lease_id], hold.lease.granted_microtokens + amount
        known.set_aside += amount
        if is_heard:
            self.book.grown(hold, total)
            known.running += amount
        else:
            assert self.book.may_have_grown(hold.lease, total) == amount

    @rule(held=consumes(holds), share=st.floats(0, 1, allow_nan=False))
    def finish(self, held: tuple[Hold, UUID], share: float) -> None:
        hold, _ = held
        charge = int(hold.amount_microtokens * share)
        self.sequence += 1
        self.book.finish(hold, charge, self.sequence)
        known = self.granted[hold.lease_id]
        known.running -= hold.amount_microtokens
        if charge:
            known.charges.append((self.sequence, charge))

    @rule(share=st.floats(0, 1, allow_nan=False))
    def settle(self, share: float) -> None:
        """Billing gets on, to wherever it may be between where it was and all there is."""
        self.applied += int((self.sequence - self.applied) * share)
        self.book.applied(self.applied)

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.9, 5.0, 30.0]))
    def let_pass(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def give_back(self) -> None:
        self.billing_hears(self.book.take_due(self.now_s))

    @rule(account=accounts)
    def recall(self, account: UUID) -> None:
        """Nothing that runs or that billing has not seen is given back, and everything else is."""
        self.billing_hears(self.book.take_back(account))

        assert not any(
            known.lease.free_microtokens
            for known in self.granted.values()
            if known.lease.account_id == account
        )

    @rule()
    def give_back_in_vain(self) -> None:
        """Billing is away: it is owed, and nobody may use it meanwhile."""
        for given in self.book.take_due(self.now_s):
            assert given.lease.owed
            assert given.lease.free_microtokens == 0

    def billing_hears(self, given: list[GiveBack]) -> None:
        for each in given:
            one, keep = each.lease, each.keep_microtokens
            known = self.granted[one.lease_id]

            assert keep == known.running + known.unseen(self.applied)

            known.set_aside = min(known.set_aside, keep)
            self.book.given_back(each)
            if keep == 0:
                self.closed.add(one.lease_id)

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        """Granted >= free + held by running requests + charges billing has not seen."""
        for known in getattr(self, "granted", {}).values():
            one = known.lease

            assert one.in_flight_microtokens == known.running
            assert one.free_microtokens >= 0
            assert known.set_aside >= (
                one.free_microtokens + one.in_flight_microtokens + known.unseen(self.applied)
            )
            assert self.book.keep_microtokens(one) == known.running + known.unseen(self.applied)

    @invariant()
    def the_book_lists_what_is_not_closed(self) -> None:
        if hasattr(self, "book"):
            assert {one.lease_id for one in self.book.all()} == set(self.granted) - self.closed


TestBookAgainstModel = BookAgainstModel.TestCase
TestBookAgainstModel.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


class TestAdmission:
    def test_it_ends_when_the_lease_does(self) -> None:
        book = book_with(lease(expires_at_s=60.0))

        assert book.admit(59.9, ACCOUNTS[0], 1) is not None
        assert book.admit(60.0, ACCOUNTS[0], 1) is None

    def test_two_leases_are_not_added_up(self) -> None:
        book = book_with(lease(1, granted=60), lease(2, granted=60))

        assert book.admit(0, ACCOUNTS[0], 100) is None
        assert book.admit(0, ACCOUNTS[0], 60) is not None

    def test_another_accounts_lease_does_not_pay(self) -> None:
        assert book_with(lease()).admit(0, ACCOUNTS[1], 1) is None


class TestFinish:
    def test_what_was_not_used_is_free_again(self) -> None:
        one = lease(granted=100)
        book = book_with(one)
        hold = book.admit(0, ACCOUNTS[0], 100)
        assert hold is not None
        book.finish(hold, 30, 1)

        assert one.free_microtokens == 70
        assert book.keep_microtokens(one) == 30

    def test_a_charge_above_the_hold_eats_what_is_free_and_no_more(self) -> None:
        one = lease(granted=100)
        book = book_with(one)
        hold = book.admit(0, ACCOUNTS[0], 10)
        assert hold is not None
        book.finish(hold, 500, 1)

        assert one.free_microtokens == 0
        assert one.in_flight_microtokens == 0

    def test_a_charge_is_covered_until_billing_has_seen_it(self) -> None:
        one = lease(granted=100)
        book = book_with(one)
        hold = book.admit(0, ACCOUNTS[0], 100)
        assert hold is not None
        book.finish(hold, 30, 7)
        book.applied(6)

        assert book.keep_microtokens(one) == 30

        book.applied(7)

        assert book.keep_microtokens(one) == 0


class TestTakeBack:
    def test_what_was_kept_for_a_charge_goes_once_billing_has_it(self) -> None:
        """It was kept after billing had settled the charge, but before that was known here."""
        one = lease(granted=100)
        book = book_with(one)
        hold = book.admit(0, ACCOUNTS[0], 100)
        assert hold is not None
        book.finish(hold, 30, 7)
        assert book.take_back(ACCOUNTS[0]) == [GiveBack(one, 30, 100)]
        book.given_back(GiveBack(one, 30, 100))
        assert book.take_back(ACCOUNTS[0]) == []

        book.applied(7)

        assert book.take_back(ACCOUNTS[0]) == [GiveBack(one, 0, 100)]


class TestRefill:
    def test_a_new_lease_is_wanted_before_the_next_requests_need_it(self) -> None:
        book = book_with(lease(granted=100))

        assert not book.runs_low(0, ACCOUNTS[0], 10)

        book.admit(0, ACCOUNTS[0], 60)

        assert book.runs_low(0, ACCOUNTS[0], 10)

    def test_an_expired_lease_does_not_count(self) -> None:
        assert book_with(lease(granted=100)).runs_low(60, ACCOUNTS[0], 1)

    def test_the_next_lease_is_for_several_requests_and_for_all_that_wait(self) -> None:
        account = ACCOUNTS[0]

        assert LeaseBook().next_lease_microtokens(0, account, 10) == 80
        assert LeaseBook().next_lease_microtokens(0, account, 10, waiting=500) == 500

    def test_it_is_for_what_the_account_was_charged_lately(self) -> None:
        book, account = book_with(lease(granted=10_000)), ACCOUNTS[0]

        def spend(amount: int) -> None:
            hold = book.admit(0, account, amount)
            assert hold is not None
            book.finish(hold, amount, 1)

        spend(700)
        assert book.next_lease_microtokens(10, account, 10) == 700
        spend(200)
        assert book.next_lease_microtokens(BURN_S, account, 10) == 900
        assert book.next_lease_microtokens(2 * BURN_S - 1, account, 10) == 900
        assert book.next_lease_microtokens(2 * BURN_S, account, 10) == 80
