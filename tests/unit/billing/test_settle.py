"""Charges reach the right account, once, from the oldest lot, and never somebody else's tokens."""

import pytest
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.accounts import AccountState
from aibridge_billing.ledger.journal import Settled, settle
from aibridge_common.db.engine import transaction
from aibridge_common.ids import uuid7
from tests.fixtures.books import Books, charge

pytestmark = pytest.mark.anyio


def state(posted: int = 0, reserved: int = 0, debt: int = 0, spent: int = 0) -> AccountState:
    return AccountState(
        posted_microtokens=posted,
        reserved_microtokens=reserved,
        debt_microtokens=debt,
        spent_microtokens=spent,
    )


class TestOnce:
    async def test_an_event_twice_in_one_batch_is_charged_once(self, books: Books) -> None:
        account = await books.account(100)
        once = charge(account, 10)

        assert await books.settle(once, once, once) == Settled(applied=1, duplicates=2)
        assert await books.state(account) == state(posted=90, spent=10)

    async def test_an_event_in_two_batches_is_charged_once(self, books: Books) -> None:
        account = await books.account(100)
        first, second = charge(account, 10), charge(account, 20)
        await books.settle(first)

        assert await books.settle(second, first) == Settled(applied=1, duplicates=1)
        assert await books.state(account) == state(posted=70, spent=30)

    async def test_two_batches_in_one_transaction_are_charged_once_each(self, books: Books) -> None:
        """What the first call left behind must not be charged by the second."""
        account, other = await books.account(100), await books.account(100)
        async with transaction(books.database) as tx:
            await settle(tx, [charge(account, 10)])
            await settle(tx, [charge(other, 20)])

        assert await books.state(account) == state(posted=90, spent=10)
        assert await books.state(other) == state(posted=80, spent=20)

    async def test_a_batch_that_was_undone_leaves_nothing_to_the_next(self, books: Books) -> None:
        """The working tables belong to the connection, which goes back to the pool."""
        account = await books.account(100)
        with pytest.raises(DBAPIError):
            await books.settle(charge(account, 10), charge(uuid7(), 10))

        await books.settle(charge(account, 5))

        assert await books.state(account) == state(posted=95, spent=5)


class TestHold:
    async def test_a_smaller_charge_frees_the_rest(self, books: Books) -> None:
        account = await books.account(100)
        hold = await books.hold(account, 60)

        await books.settle(charge(account, 25, lease_id=hold))

        assert await books.state(account) == state(posted=75, spent=25)

    async def test_an_equal_charge_leaves_nothing_reserved(self, books: Books) -> None:
        account = await books.account(100)
        hold = await books.hold(account, 60)

        await books.settle(charge(account, 60, lease_id=hold))

        assert await books.state(account) == state(posted=40, spent=60)

    async def test_a_larger_charge_takes_what_is_free_and_the_rest_is_debt(
        self, books: Books
    ) -> None:
        account = await books.account(100)
        hold = await books.hold(account, 60)

        await books.settle(charge(account, 130, lease_id=hold))

        assert await books.state(account) == state(debt=30, spent=130)

    async def test_a_charge_never_takes_what_another_hold_reserved(self, books: Books) -> None:
        account = await books.account(100)
        hold, other = await books.hold(account, 30), await books.hold(account, 60)

        await books.settle(charge(account, 50, lease_id=hold))

        assert await books.state(account) == state(posted=60, reserved=60, debt=10, spent=50)
        await books.settle(charge(account, 60, lease_id=other))
        assert await books.state(account) == state(debt=10, spent=110)

    async def test_a_charge_of_nothing_closes_it(self, books: Books) -> None:
        account = await books.account(100)
        hold = await books.hold(account, 60)

        await books.settle(charge(account, 0, lease_id=hold))

        assert await books.state(account) == state(posted=100)

    async def test_what_it_frees_pays_debt_first(self, books: Books) -> None:
        account = await books.account(100)
        hold = await books.hold(account, 100)
        await books.settle(charge(account, 25))
        assert await books.state(account) == state(posted=100, reserved=100, debt=25, spent=25)

        await books.settle(charge(account, 10, lease_id=hold))

        assert await books.state(account) == state(posted=65, spent=35)


class TestLease:
    async def test_it_shrinks_by_what_was_charged(self, books: Books) -> None:
        account = await books.account(100)
        lease = await books.lease(account, 60)

        await books.settle(charge(account, 10, lease_id=lease), charge(account, 15, lease_id=lease))

        assert await books.state(account) == state(posted=75, reserved=35, spent=25)
        assert await books.release(lease, keep=20) == 15
        assert await books.release(lease, keep=30) == 0
        assert await books.release(lease) == 20
        assert await books.release(lease) == 0
        assert await books.state(account) == state(posted=75, spent=25)

    async def test_a_charge_after_it_was_taken_back_uses_what_is_free(self, books: Books) -> None:
        account = await books.account(100)
        lease = await books.lease(account, 60, hard_ttl_s=0)
        assert await books.sweep() == 1
        assert await books.sweep() == 0

        await books.settle(
            charge(account, 70, lease_id=lease), charge(account, 5, lease_id=uuid7())
        )

        assert await books.state(account) == state(posted=25, spent=75)

    async def test_a_charge_leaves_the_leases_of_other_accounts_alone(self, books: Books) -> None:
        """Whoever makes the events: an account pays for itself."""
        account, other = await books.account(100), await books.account(100)
        lease = await books.lease(other, 60)

        await books.settle(charge(account, 10, lease_id=lease))
        await books.settle(charge(account, 10, lease_id=lease), charge(other, 1))

        assert await books.state(account) == state(posted=80, spent=20)
        assert await books.state(other) == state(posted=99, reserved=60, spent=1)

    async def test_what_a_return_frees_pays_debt_first(self, books: Books) -> None:
        account = await books.account(100)
        lease = await books.lease(account, 100)
        await books.settle(charge(account, 30))

        assert await books.release(lease, keep=80) == 20
        assert await books.state(account) == state(posted=80, reserved=80, debt=10, spent=30)
        assert await books.release(lease) == 80
        assert await books.state(account) == state(posted=70, spent=30)

    async def test_an_account_in_debt_gets_none_until_it_bought_enough(self, books: Books) -> None:
        account = await books.account(100)
        await books.settle(charge(account, 150))
        assert await books.reserve(account, 1) is None

        await books.buy(account, 40)
        assert await books.state(account) == state(debt=10, spent=150)
        assert await books.reserve(account, 1) is None

        await books.buy(account, 40)
        assert await books.state(account) == state(posted=30, spent=150)
        assert await books.reserve(account, 100, least=30) == 30

    async def test_a_suspended_account_gets_none(self, books: Books) -> None:
        account = await books.account(100)
        await books.rows("UPDATE account SET status = 2 WHERE id = :id RETURNING 1", id=account)

        assert await books.reserve(account, 1) is None


class TestLots:
    async def test_the_oldest_is_used_first_across_many(self, books: Books) -> None:
        account = await books.account(30, 30, 30)

        await books.settle(charge(account, 40), charge(account, 10))

        assert await books.consumed(account) == [30, 20, 0]

    async def test_refunds_in_between_are_stepped_over(self, books: Books) -> None:
        """First in, first out over three lots of which the first and the second are partly refunded."""
        account = await books.account()
        first, second, _third = [await books.buy(account, 30) for _ in range(3)]
        await books.settle(charge(account, 10))
        refund, failing = uuid7(), uuid7()
        assert await books.refund(first, 100, refund) is not None
        assert await books.refund_succeeded(refund)
        assert await books.refund(second, 20, failing) is not None

        await books.settle(charge(account, 25))
        assert await books.consumed(account) == [10, 10, 15]

        assert await books.refund_failed(failing)
        await books.settle(charge(account, 25))
        assert await books.consumed(account) == [10, 30, 20]

    async def test_an_order_paid_late_is_no_violation(self, books: Books) -> None:
        """Two checkouts are open, the second is paid and used, then the first is paid."""
        account = await books.account()
        opened_first = await books.order(account, 30)
        paid_first = await books.buy(account, 30)
        await books.settle(charge(account, 10))

        assert await books.pay(opened_first)
        await books.settle(charge(account, 5))
        assert await books.refund(paid_first, 20) is not None

        assert await books.state(account) == state(posted=25, spent=15)
        assert await books.consumed(account) == [5, 10]

    async def test_a_batch_charges_every_account_from_its_own(self, books: Books) -> None:
        accounts = [await books.account(10, 10) for _ in range(3)]

        await books.settle(*(charge(account, 5) for account in accounts for _ in range(3)))

        for account in accounts:
            assert await books.consumed(account) == [10, 5]
            assert await books.state(account) == state(posted=5, spent=15)


@pytest.mark.parametrize("utok", [0, 10])
async def test_a_charge_for_no_account_undoes_its_batch(books: Books, utok: int) -> None:
    """Even one of nothing: a charge without an account is a fault that only a person can resolve."""
    account = await books.account(100)

    with pytest.raises(DBAPIError):
        await books.settle(charge(account, 10), charge(uuid7(), utok))
    assert await books.state(account) == state(posted=100)


async def test_the_largest_believable_charge_fits(books: Books) -> None:
    account = await books.account(10**18)
    most = 100_000_000
    wide = charge(account, most)

    await books.settle(wide)

    assert await books.state(account) == state(posted=10**18 - most, spent=most)
