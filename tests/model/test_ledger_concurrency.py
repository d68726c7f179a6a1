"""Many hands at once: no deadlock, no violation, no token spent twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from aibridge_billing.ledger.journal import Charge
from aibridge_billing.ledger.reservations import HOLD, LEASE
from aibridge_common.ids import uuid7
from tests.fixtures.billing import violations
from tests.fixtures.books import Books, charge

pytestmark = pytest.mark.anyio

T = TypeVar("T")

HANDS, FUZZ_S = 6, 6.0
LAST_HOLDS = 200


class Hand:
    """One of several that do whatever comes to mind to the same three accounts."""

    def __init__(self, books: Books, accounts: list[UUID], shared: "Shared", seed: int) -> None:
        self.books = books
        self.accounts = accounts
        self.shared = shared
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()

    async def work(self) -> None:
        deeds: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (10, self.settle),
            (6, self.reserve),
            (4, self.release),
            (2, self.sweep),
            (2, self.buy),
            (3, self.refund),
            (3, self.end_refund),
        ]
        weights = [weight for weight, _ in deeds]
        loop = asyncio.get_running_loop()
        end = loop.time() + FUZZ_S
        while loop.time() < end:
            [(_, deed)] = self.random.choices(deeds, weights)
            name = getattr(deed, "__name__", "")
            try:
                await deed()
            except IntegrityError as error:
                if "refund_one_pending" not in str(error):
                    raise
                name = "refund while another is pending"
            self.done[name] += 1

    async def settle(self) -> None:
        """Over several accounts, with events that other hands settle at the same time."""
        fresh = [
            charge(
                self.any_account(),
                self.random.choice((0, 1, 20, 300)),
                lease_id=self.any(self.shared.reservations),
            )
            for _ in range(self.random.randint(1, 6))
        ]
        batch = fresh + [
            old for _ in range(2) if (old := self.any(self.shared.charges)) is not None
        ]
        self.shared.charges += fresh
        self.random.shuffle(batch)
        await self.books.settle(*batch)

    async def reserve(self) -> None:
        reservation = uuid7()
        self.shared.reservations.append(reservation)
        await self.books.reserve(
            self.any_account(),
            self.random.randint(1, 200),
            least=1,
            reservation_id=reservation,
            kind=self.random.choice((HOLD, LEASE)),
            hard_ttl_s=self.random.choice((0, 900)),
        )

    async def release(self) -> None:
        reservation = self.any(self.shared.reservations)
        if reservation is not None:
            await self.books.release(reservation, self.random.choice((0, 0, 5, 50)))

    async def sweep(self) -> None:
        await self.books.sweep()

    async def buy(self) -> None:
        self.shared.orders.append(
            await self.books.buy(self.any_account(), self.random.randint(50, 1500))
        )

    async def refund(self) -> None:
        order, refund = self.any(self.shared.orders), uuid7()
        if order is not None:
            self.shared.refunds.append(refund)
            await self.books.refund(order, self.random.randint(1, 500), refund)

    async def end_refund(self) -> None:
        refund = self.any(self.shared.refunds)
        if refund is not None:
            end = self.random.choice((self.books.refund_succeeded, self.books.refund_failed))
            await end(refund)

    def any_account(self) -> UUID:
        return self.random.choice(self.accounts)

    def any(self, things: list[T]) -> T | None:
        return self.random.choice(things[-40:]) if things else None


class Shared:
    """What one hand made and all may touch."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.reservations: list[UUID] = []
        self.orders: list[int] = []
        self.refunds: list[UUID] = []


async def test_random_operations_of_six_connections_break_nothing(
    books: Books, billing_url: str
) -> None:
    """Deadlocks, lock timeouts and constraint errors other than the expected one would be raised here."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    accounts = [await books.account(1000, 1000) for _ in range(3)]
    shared = Shared()
    hands = [Hand(books, accounts, shared, seed + number) for number in range(HANDS)]

    async with asyncio.TaskGroup() as tasks:
        for hand in hands:
            tasks.create_task(hand.work())

    done = sum((hand.done for hand in hands), Counter[str]())
    assert await violations(billing_url) == []
    assert {"settle", "reserve", "release", "sweep", "buy", "refund", "end_refund"} <= done.keys()
    assert await books.value(
        "SELECT count(*) FROM usage_event WHERE account_id = ANY(:ids)", ids=accounts
    ) == len(shared.charges)


async def test_concurrent_holds_for_the_last_tokens_never_exceed_them(books: Books) -> None:
    """200 requests want 10 each of the last 1005: a hundred get them and the others nothing."""
    account = await books.account(1005)

    granted = await asyncio.gather(
        *(books.reserve(account, 10, kind=HOLD) for _ in range(LAST_HOLDS))
    )

    assert Counter(granted) == {10: 100, None: 100}
    state = await books.state(account)
    assert (state.reserved_microtokens, state.spendable_microtokens) == (1000, 5)


async def test_holds_and_settlement_of_the_last_tokens_leave_no_debt(books: Books) -> None:
    """Whoever got a hold spends at most that; nobody else may have taken it meanwhile."""
    account = await books.account(1000)

    async def request(number: int) -> int:
        hold = uuid7()
        if await books.reserve(account, 17, reservation_id=hold, kind=HOLD) is None:
            return 0
        used = number % 18
        await books.settle(charge(account, used, lease_id=hold))
        return used

    spent = sum(await asyncio.gather(*(request(number) for number in range(LAST_HOLDS))))

    state = await books.state(account)
    assert (state.spent_microtokens, state.debt_microtokens) == (spent, 0)
    assert state.posted_microtokens == 1000 - spent


async def test_a_refund_and_a_charge_of_the_same_tokens_do_not_both_get_them(books: Books) -> None:
    for _ in range(20):
        account = await books.account()
        order = await books.buy(account, 100)

        begun, _ = await asyncio.gather(
            books.refund(order, 100), books.settle(charge(account, 100))
        )

        state = await books.state(account)
        refunded = begun.utok if begun is not None else 0
        assert state.posted_microtokens == 0
        assert refunded + state.spent_microtokens - state.debt_microtokens == 100


async def test_a_sweep_and_a_charge_of_the_same_lease_free_it_once(books: Books) -> None:
    for _ in range(20):
        account = await books.account(100)
        lease = await books.lease(account, 60, hard_ttl_s=0)

        await asyncio.gather(
            books.sweep(), books.settle(charge(account, 40, lease_id=lease)), books.release(lease)
        )

        state = await books.state(account)
        assert (state.posted_microtokens, state.reserved_microtokens) == (60, 0)


async def test_sweepers_and_settlers_of_many_accounts_do_not_wait_for_each_other_in_a_circle(
    books: Books,
) -> None:
    """Accounts are locked in one order by all of them."""
    for _ in range(8):
        accounts = [await books.account(100) for _ in range(4)]
        leases = [
            (account, await books.lease(account, 20, hard_ttl_s=0))
            for _ in range(3)
            for account in accounts
        ]
        charges = [charge(account, 5, lease_id=lease) for account, lease in leases]

        await asyncio.gather(
            *(books.sweep() for _ in range(3)),
            books.settle(*charges),
            books.settle(*charges[::-1]),
            books.settle(*(charge(account, 1) for account in accounts[::-1])),
        )

        for account in accounts:
            state = await books.state(account)
            assert (state.posted_microtokens, state.reserved_microtokens) == (84, 0)


async def test_the_ends_of_one_refund_race_and_one_of_them_counts(books: Books) -> None:
    for _ in range(10):
        account, refund = await books.account(), uuid7()
        order = await books.buy(account, 100)
        assert await books.refund(order, 100, refund) is not None

        ends = await asyncio.gather(
            *(books.refund_succeeded(refund) for _ in range(3)),
            *(books.refund_failed(refund) for _ in range(3)),
        )

        assert ends.count(True) == 1
        posted = (await books.state(account)).posted_microtokens
        assert posted == (0 if True in ends[:3] else 100)
