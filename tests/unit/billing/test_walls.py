"""The database itself refuses what must never be, whoever asks."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from aibridge_billing.ledger.audit import violations
from aibridge_common.ids import uuid7
from tests.fixtures.books import Books, charge

pytestmark = pytest.mark.anyio


class TestJournal:
    async def test_a_transaction_that_does_not_sum_to_zero_is_refused(self, books: Books) -> None:
        account = await books.account()

        with pytest.raises(DBAPIError, match="does not sum to zero"):
            await books.rows(
                "WITH t AS (INSERT INTO journal_tx (kind, account_id, ref) VALUES (4, :id, 'one-sided') RETURNING id)"
                " INSERT INTO journal_entry SELECT id, 0, 6, NULL, 5 FROM t RETURNING tx_id",
                id=account,
            )

    async def test_a_line_of_nothing_is_refused(self, books: Books) -> None:
        account = await books.account()

        with pytest.raises(IntegrityError, match="journal_entry_amount_utok_check"):
            await books.rows(
                "WITH t AS (INSERT INTO journal_tx (kind, account_id, ref) VALUES (4, :id, 'empty') RETURNING id)"
                " INSERT INTO journal_entry SELECT id, 0, 6, NULL, 0 FROM t RETURNING tx_id",
                id=account,
            )

    async def test_the_same_posting_twice_is_refused(self, books: Books) -> None:
        account = await books.account()
        post = (
            "INSERT INTO journal_tx (kind, account_id, ref) VALUES (4, :id, :id_text) RETURNING id"
        )
        await books.rows(post, id=account, id_text=str(account))

        with pytest.raises(IntegrityError, match="journal_tx_kind_ref_key"):
            await books.rows(post, id=account, id_text=str(account))


@pytest.mark.parametrize(
    "table", ["journal_entry", "journal_tx", "usage_event", "rate_card", "receipt"]
)
@pytest.mark.parametrize("change", ["DELETE FROM {0}", "UPDATE {0} SET {1} = {1}"])
async def test_what_was_written_once_stays_as_it_is(books: Books, table: str, change: str) -> None:
    await books.settle(charge(await books.account(100), 10))
    column = {"journal_entry": "line", "rate_card": "version"}.get(table, "account_id")

    with pytest.raises(DBAPIError, match=f"{table}.* is append-only"):
        await books.rows(f"{change.format(table, column)} RETURNING 1")


class TestAccount:
    async def test_it_cannot_reserve_more_than_it_has(self, books: Books) -> None:
        account = await books.account(100)

        with pytest.raises(IntegrityError, match="reserved_within_posted"):
            await books.rows(
                "UPDATE account SET reserved_utok = 101 WHERE id = :id RETURNING 1", id=account
            )

    async def test_it_cannot_go_below_nothing(self, books: Books) -> None:
        account = await books.account(100)

        with pytest.raises(IntegrityError, match="account_posted_utok_check"):
            await books.rows(
                "UPDATE account SET posted_utok = -1 WHERE id = :id RETURNING 1", id=account
            )

    async def test_it_cannot_owe_while_something_is_free(self, books: Books) -> None:
        account = await books.account(100)

        with pytest.raises(IntegrityError, match="debt_only_when_nothing_is_free"):
            await books.rows(
                "UPDATE account SET debt_utok = 1 WHERE id = :id RETURNING 1", id=account
            )


async def test_a_lot_cannot_refund_what_was_used(books: Books) -> None:
    account = await books.account(100)
    await books.settle(charge(account, 60))

    with pytest.raises(IntegrityError, match="refund_within_unused"):
        await books.rows(
            "UPDATE lot SET refunded_utok = 41, is_open = false WHERE account_id = :id RETURNING 1",
            id=account,
        )


async def test_a_payment_that_differs_from_its_order_is_refused(books: Books) -> None:
    """Provider, amount and currency must all be those of the order."""
    order = await books.order(await books.account(), 100, price_minor=500)

    for provider, minor, currency in (
        ("stripe", 500, "USD"),
        ("manual", 499, "USD"),
        ("manual", 500, "EUR"),
    ):
        with pytest.raises(DBAPIError, match="does not match its order"):
            await books.value(
                "SELECT mark_paid(:order, :provider, 'x', :minor, :currency)",
                order=order,
                provider=provider,
                minor=minor,
                currency=currency,
            )
    with pytest.raises(DBAPIError, match="no such order"):
        await books.value("SELECT mark_paid(0, 'manual', 'x', 500, 'USD')")


async def test_one_payment_cannot_pay_two_orders(books: Books) -> None:
    account = await books.account()
    pay = "SELECT mark_paid(:order, 'manual', 'the same', 100, 'USD')"
    assert await books.value(pay, order=await books.order(account, 100))

    with pytest.raises(IntegrityError, match="provider_ref"):
        await books.value(pay, order=await books.order(account, 100))


async def test_the_first_notice_of_a_payment_credits_and_the_others_change_nothing(
    books: Books,
) -> None:
    account = await books.account()
    order = await books.order(account, 100)

    credited = await asyncio.gather(*(books.pay(order) for _ in range(8)))

    assert sorted(credited) == [False] * 7 + [True]
    assert (await books.state(account)).posted_microtokens == 100


_LOT_WITHOUT_POSTING = """
  INSERT INTO lot (order_id, account_id, granted_utok)
    SELECT max(id), :id, 7 FROM purchase_order WHERE account_id = :id
"""
_USE_THE_NEWER_LOT = """
  WITH newer AS (SELECT max(order_id) AS lot FROM lot WHERE account_id = :id),
  t AS (INSERT INTO journal_tx (kind, account_id, ref) VALUES (2, :id, 'out of order') RETURNING id),
  e AS (INSERT INTO journal_entry SELECT t.id, 0, 3, NULL, -10 FROM t
        UNION ALL SELECT t.id, 1, 2, newer.lot, 10 FROM t, newer)
  UPDATE lot SET consumed_utok = 10 FROM newer WHERE order_id = newer.lot
"""


class TestAudit:
    """The view that is watched in production sees what it promises to see."""

    @pytest.mark.parametrize(
        ("fault", "seen"),
        [
            (
                "UPDATE account SET posted_utok = 91 WHERE id = :id",
                "posted is not the sum of the lots",
            ),
            (
                "UPDATE account SET reserved_utok = 1 WHERE id = :id",
                "reserved is not the sum of the open reservations",
            ),
            (
                "UPDATE account SET spent_utok = 11 WHERE id = :id",
                "spent is not the sum of the charges",
            ),
            (
                "UPDATE lot SET consumed_utok = 11 WHERE account_id = :id",
                "spent, owed for charge-backs and taken by adjustments is not consumed plus debt",
            ),
            (
                "UPDATE lot SET consumed_utok = 11 WHERE account_id = :id",
                "a lot is not what the journal says",
            ),
            (
                "UPDATE purchase_order SET price_minor = 1 WHERE account_id = :id",
                "refunds exceed the price",
            ),
            (
                _LOT_WITHOUT_POSTING,
                "a lot is not what the journal says",
            ),
        ],
    )
    async def test_it_sees_a_fault(self, books: Books, fault: str, seen: str) -> None:
        account = await books.account(100)
        [bought] = await books.rows(
            "SELECT id FROM purchase_order WHERE account_id = :id", id=account
        )
        await books.settle(charge(account, 10))
        assert await books.refund(bought.id, 50) is not None
        await books.order(account, 7)

        assert seen in await self.seen_after(books, account, fault)

    async def test_it_sees_a_later_lot_that_was_used_first(self, books: Books) -> None:
        account = await books.account(100, 100)

        seen = await self.seen_after(books, account, _USE_THE_NEWER_LOT)

        assert "a later lot was used before an earlier one" in seen

    async def seen_after(self, books: Books, account: UUID, fault: str) -> list[str]:
        """What the view says after `fault`, which is then undone."""
        async with books.database.connect() as tx:
            await tx.execute(text(fault), {"id": account})
            found = await violations(tx)
            await tx.rollback()
        return [violation.what for violation in found]


async def test_no_lease_is_given_twice_under_one_id(books: Books) -> None:
    """Another account cannot learn or use a lease by repeating its id."""
    mine, other, lease = await books.account(100), await books.account(100), uuid7()
    assert await books.reserve(mine, 40, reservation_id=lease) == 40

    assert await books.reserve(mine, 70, reservation_id=lease) == 40
    assert await books.reserve(other, 70, reservation_id=lease) is None
    assert (await books.state(mine)).reserved_microtokens == 40
    assert (await books.state(other)).reserved_microtokens == 0
