"""The real ledger does, step by step, what a page of Python says it must.

Hypothesis invents the steps and, when one breaks, finds the shortest way there. It prints a blob that repeats it.
"""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aibridge_billing.app import SCHEMA
from aibridge_billing.ledger.audit import violations
from aibridge_billing.ledger.journal import Charge, Settled
from aibridge_billing.ledger.reservations import HOLD, LEASE
from aibridge_common.db.engine import asyncpg_url, transaction
from aibridge_common.ids import uuid7
from tests.fixtures.books import Books, Refund, charge

from .reference import RefundState, Wallet

EXAMPLES, STEPS, HALVES = 135, 60, 2
STEPS_MIN = 5_000
"""Of a half: ten thousand together, and an example takes about 45. Two workers of the test run may share them."""
AUDIT_EVERY = 10

ACCOUNTS = st.integers(0, 1)
BOUGHT = st.integers(1, 1000)
AMOUNTS = st.one_of(st.integers(1, 40), st.integers(1, 300))


class LedgerMachine(RuleBasedStateMachine):
    """Two customers of one ledger and everything that may happen to them."""

    runner: asyncio.Runner
    books: Books
    steps_of_all = 0

    orders = Bundle("orders")
    paid = Bundle("paid")
    reserved = Bundle("reserved")
    refunds = Bundle("refunds")
    settled = Bundle("settled")

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[UUID] = []
        self.wallets = [Wallet() for _ in range(2)]
        self.owner: dict[int, tuple[int, int, int]] = {}
        self.reservation_ids: list[tuple[int, UUID]] = []
        self.refund_states: dict[UUID, RefundState] = {}
        self.steps = 0

    def run(self, call: Any) -> Any:
        return self.runner.run(call)

    @initialize(target=paid, bought=st.lists(st.tuples(ACCOUNTS, BOUGHT), min_size=2, max_size=6))
    def open_accounts(self, bought: list[tuple[int, int]]) -> Any:
        self.run(self.books.forget())  # an earlier example was audited at its end
        self.accounts = [self.run(self.books.account()) for _ in self.wallets]
        return multiple(*(self.pay(self.order(who, utok, price=100)) for who, utok in bought))

    # ------------------------------------------------------------------------------------------ buying

    @rule(target=orders, who=ACCOUNTS, utok=BOUGHT, price=st.integers(0, 2000))
    def order(self, who: int, utok: int, price: int) -> int:
        order: int = self.run(self.books.order(self.accounts[who], utok, price))
        self.owner[order] = (who, utok, price)
        return order

    @rule(target=paid, who=ACCOUNTS, utok=BOUGHT, price=st.integers(0, 2000))
    def buy(self, who: int, utok: int, price: int) -> Any:
        return self.pay(self.order(who, utok, price))

    @rule(target=paid, order=consumes(orders))
    def pay(self, order: int) -> int:
        """Orders are paid in any sequence, and every payment is noted twice."""
        who, utok, _ = self.owner[order]

        assert self.run(self.books.pay(order))
        assert not self.run(self.books.pay(order))
        self.wallets[who].buy(order, utok)
        return order

    @rule(
        order=orders,
        wrong=st.sampled_from(
            [{"provider": "stripe"}, {"minor": 1_000_000}, {"minor": -1}, {"currency": "EUR"}]
        ),
    )
    def forge(self, order: int, wrong: dict[str, Any]) -> None:
        """A payment that is not the order's changes nothing, however it differs."""
        assert not self.run(self.books.forged_payment(order, **wrong))

    @rule(order=paid)
    def replay(self, order: int) -> None:
        """Nor does one that was noted before, under another name."""
        assert not self.run(self.books.forged_payment(order))

    @rule(order=orders)
    def give_up(self, order: int) -> None:
        """And a payment may come yet."""
        self.run(self.books.give_up(order))

    @rule(who=ACCOUNTS, utok=st.integers(-200, 200).filter(bool))
    def adjust(self, who: int, utok: int) -> None:
        number, wallet = uuid7(), self.wallets[who]
        done = self.run(self.books.adjust(self.accounts[who], utok, number))
        order = None
        if utok > 0:
            order = self.run(
                self.books.value(
                    "SELECT id FROM purchase_order WHERE public_no = :no", no=f"ADJ-{number.hex}"
                )
            )
        assert done == wallet.adjust(utok, order)
        if done:
            assert self.run(self.books.adjust(self.accounts[who], utok, number)) is None

    @rule(order=paid)
    def charge_back(self, order: int) -> None:
        """Every dispute is told twice. Support lets the account go on."""
        who = self.owner[order][0]
        wallet = self.wallets[who]
        assert self.run(self.books.charge_back(order)) == wallet.charge_back(order)
        assert not self.run(self.books.charge_back(order, "another"))

    @rule(who=ACCOUNTS)
    def let_go_on(self, who: int) -> None:
        self.run(
            self.books.rows(
                "UPDATE account SET status = 1 WHERE id = :id RETURNING 1", id=self.accounts[who]
            )
        )
        self.wallets[who].suspended = False

    # ------------------------------------------------------------------------------------------ reserving

    @rule(
        target=reserved,
        who=ACCOUNTS,
        want=st.one_of(AMOUNTS, st.just(10_000)),
        least=st.one_of(st.just(1), AMOUNTS),
        is_hold=st.booleans(),
        abandoned=st.booleans(),
    )
    def reserve(self, who: int, want: int, least: int, is_hold: bool, abandoned: bool) -> Any:
        number, reservation = len(self.reservation_ids), uuid7()
        self.reservation_ids.append((who, reservation))
        least = min(want, least)

        granted: int | None = None
        for _ in range(2):  # every question is asked twice
            expected = self.wallets[who].reserve(number, want, least, is_hold=is_hold)
            granted = self.run(
                self.books.reserve(
                    self.accounts[who],
                    want,
                    least=least,
                    reservation_id=reservation,
                    kind=HOLD if is_hold else LEASE,
                    hard_ttl_s=0 if abandoned else 900,
                )
            )
            assert granted == expected
        if granted is not None and abandoned:
            self.wallets[who].reservations[number].is_abandoned = True
        return number if granted is not None else multiple()

    @rule(number=reserved, more=st.integers(-5, 100), least=st.integers(1, 300))
    def extend(self, number: int, more: int, least: int) -> None:
        """Asked for twice it grows once; nobody else's grows."""
        who, reservation = self.reservation_ids[number]
        total = max(1, self.wallets[who].reservations[number].amount + more)
        least = min(least, total)
        for _ in range(2):
            granted = self.wallets[who].extend(number, total, least)
            found = self.run(self.books.extend(self.accounts[who], reservation, total, least))
            assert found == granted

        other = self.accounts[1 - who]
        assert self.run(self.books.extend(other, reservation, total + 1)) is None
        assert self.run(self.books.extend(other, uuid7(), total)) is None

    @rule(
        number=reserved,
        keep=st.one_of(st.just(0), AMOUNTS),
        behind=st.one_of(st.none(), st.integers(0, 60)),
    )
    def release(self, number: int, keep: int, behind: int | None) -> None:
        """Perhaps by somebody who does not know of the last that was granted."""
        who, reservation = self.reservation_ids[number]
        granted = None
        if behind is not None:
            granted = max(0, self.wallets[who].reservations[number].amount - behind)

        freed = self.wallets[who].release(number, keep, granted)
        assert self.run(self.books.release(reservation, keep, granted)) == freed
        assert self.run(self.books.release(reservation, keep, granted)) == 0
        assert self.run(self.books.release(uuid7(), keep, granted)) == 0

    @rule()
    def sweep(self) -> None:
        expected = 0
        for wallet in self.wallets:
            for number, reservation in wallet.reservations.items():
                if reservation.is_open and reservation.is_abandoned:
                    wallet.release(number, 0)
                    expected += 1

        assert self.run(self.books.sweep()) == expected

    # ------------------------------------------------------------------------------------------ settling

    @rule(
        target=settled,
        new=st.lists(
            st.tuples(ACCOUNTS, st.one_of(st.just(0), AMOUNTS), st.integers(-2, 40)),
            min_size=1,
            max_size=5,
        ),
        old=st.lists(settled, max_size=3),
    )
    def settle(self, new: list[tuple[int, int, int]], old: list[Charge]) -> Any:
        """New events and repeated ones, in one batch; some name reservations that are closed, unknown or another's."""
        fresh: list[Charge] = []
        per_account: dict[int, list[tuple[int, int | None]]] = {}
        for who, utok, pick in new:
            number, reservation = self._named(pick)
            fresh.append(charge(self.accounts[who], utok, lease_id=reservation))
            own = number is not None and self.reservation_ids[number][0] == who
            per_account.setdefault(who, []).append((utok, number if own else None))
        for who, charges in per_account.items():
            self.wallets[who].settle(charges)

        settled = self.run(self.books.settle(*fresh, *old, *fresh[:1]))
        assert settled == Settled(applied=len(fresh), duplicates=len(old) + 1)
        return multiple(*fresh)

    def _named(self, pick: int) -> tuple[int | None, UUID | None]:
        if pick == -1:
            return None, uuid7()
        if pick < 0 or not self.reservation_ids:
            return None, None
        number = pick % len(self.reservation_ids)
        return number, self.reservation_ids[number][1]

    @rule(number=reserved, more=st.one_of(st.integers(-3, 3), st.integers(-40, 0)))
    def settle_about_what_was_reserved(self, number: int, more: int) -> None:
        """The border between a charge that fits its reservation and one that does not."""
        who, reservation = self.reservation_ids[number]
        utok = max(0, self.wallets[who].reservations[number].remaining + more)
        self.wallets[who].settle([(utok, number)])

        self.run(self.books.settle(charge(self.accounts[who], utok, lease_id=reservation)))
        open_amount = self.wallets[who].reserve(number, 1, 1, is_hold=True)
        assert open_amount == self.run(
            self.books.reserve(self.accounts[who], 1, reservation_id=reservation)
        )

    @rule(number=reserved, more=st.integers(0, 60))
    def spend_all_that_is_free(self, number: int, more: int) -> None:
        """And a little more, while a reservation is still open."""
        who = self.reservation_ids[number][0]
        if not self.wallets[who].reservations[number].remaining:
            return
        utok = self.wallets[who].free + more
        self.wallets[who].settle([(utok, None)])

        self.run(self.books.settle(charge(self.accounts[who], utok)))

    # ------------------------------------------------------------------------------------------ refunding

    @rule(target=refunds, order=paid, want=st.integers(0, 1000))
    def refund(self, order: int, want: int) -> Any:
        who, granted, price = self.owner[order]
        if any(r.order == order and r.state == "pending" for r in self.refund_states.values()):
            return multiple()
        refund, lot = uuid7(), self.wallets[who].lots[order]
        utok = self.wallets[who].refundable(order, want)
        if order in self.wallets[who].charged_back:
            utok = 0
        begun = self.run(self.books.refund(order, want, refund))
        if utok <= 0:
            assert begun is None
            return multiple()

        before, after = lot.refunded, lot.refunded + utok
        money = price * after // granted - price * before // granted
        lot.refunded = after
        self.refund_states[refund] = RefundState(order, utok, money)
        assert begun == Refund(utok, money)
        assert self.run(self.books.refund(order, want + 1, refund)) == begun
        return refund

    @rule(refund=refunds, well=st.booleans())
    def end_refund(self, refund: UUID, well: bool) -> None:
        """The payment provider answers, perhaps again, perhaps otherwise than before."""
        known = self.refund_states[refund]
        call = self.books.refund_succeeded if well else self.books.refund_failed

        assert self.run(call(refund)) == (known.state == "pending")
        if known.state != "pending":
            return
        known.state = "succeeded" if well else "failed"
        if not well:
            self.wallets[self.owner[known.order][0]].unrefund(known.order, known.utok)

    # ------------------------------------------------------------------------------------------ always

    @invariant()
    def the_ledger_shows_what_the_reference_says(self) -> None:
        if not self.accounts:
            return
        self.steps += 1
        LedgerMachine.steps_of_all += 1
        assert self.run(self._shown()) == [self._expected(wallet) for wallet in self.wallets]
        if self.steps % AUDIT_EVERY == 0:
            self.audit()

    def teardown(self) -> None:
        self.audit()

    def audit(self) -> None:
        assert self.run(self._violations()) == []

    async def _violations(self) -> list[Any]:
        async with transaction(self.books.database) as tx:
            return list(await violations(tx))

    async def _shown(self) -> list[Any]:
        rows = await self.books.rows(
            "SELECT a.id, a.posted_utok, a.reserved_utok, a.debt_utok, a.spent_utok, coalesce((SELECT"
            " array_agg(ARRAY[l.order_id, l.consumed_utok, l.refunded_utok] ORDER BY l.order_id)"
            " FROM lot l WHERE l.account_id = a.id), '{}') AS lots FROM account a WHERE a.id = ANY(:ids)",
            ids=self.accounts,
        )
        by_id = {row.id: row for row in rows}
        return [
            (
                by_id[each].posted_utok,
                by_id[each].reserved_utok,
                by_id[each].debt_utok,
                by_id[each].spent_utok,
                [tuple(lot) for lot in by_id[each].lots],
            )
            for each in self.accounts
        ]

    @staticmethod
    def _expected(wallet: Wallet) -> Any:
        lots = [(lot.order, lot.consumed, lot.refunded) for _, lot in sorted(wallet.lots.items())]
        return (wallet.posted, wallet.reserved, wallet.debt, wallet.spent, lots)


@pytest.mark.timeout(600)  # when it fails it looks for the shortest way to fail
@pytest.mark.parametrize("half", range(HALVES))
def test_the_ledger_follows_the_reference(billing_url: str, half: int) -> None:
    LedgerMachine.steps_of_all = 0
    with asyncio.Runner() as runner:
        engine = _quick_engine(billing_url)
        try:
            LedgerMachine.runner, LedgerMachine.books = runner, Books(engine)
            run_state_machine_as_test(
                LedgerMachine,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    print_blob=True,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(engine.dispose())
    assert LedgerMachine.steps_of_all >= STEPS_MIN, half


def _quick_engine(url: str) -> AsyncEngine:
    """One connection that does not wait for the disk: this asks what is computed, not what survives a crash."""
    return create_async_engine(
        asyncpg_url(url),
        pool_size=1,
        max_overflow=0,
        connect_args={
            "server_settings": {"search_path": SCHEMA, "synchronous_commit": "off"},
        },
    )
