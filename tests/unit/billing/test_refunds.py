"""Only unused tokens go back, in two phases, and money adds up to the price exactly."""

import pytest
from sqlalchemy.exc import IntegrityError

from aibridge_common.ids import uuid7
from tests.fixtures.books import Books, Refund, charge

pytestmark = pytest.mark.anyio


async def test_never_more_than_is_unused_and_unreserved(books: Books) -> None:
    account = await books.account()
    order = await books.buy(account, 100, price_minor=1000)
    await books.settle(charge(account, 30))
    await books.lease(account, 50)

    assert await books.refund(order, 100) == Refund(20, 200)
    assert (await books.state(account)).spendable_microtokens == 0


async def test_one_at_a_time_for_an_order(books: Books) -> None:
    order = await books.buy(await books.account(), 100)
    assert await books.refund(order, 10) is not None

    with pytest.raises(IntegrityError, match="refund_one_pending"):
        await books.refund(order, 10)


async def test_the_same_request_again_is_the_same_refund(books: Books) -> None:
    account, refund = await books.account(), uuid7()
    order, other = await books.buy(account, 100), await books.buy(account, 100)
    assert await books.refund(order, 10, refund) == Refund(10, 10)

    assert await books.refund(order, 99, refund) == Refund(10, 10)
    assert await books.refund(other, 10, refund) is None
    assert (await books.state(account)).posted_microtokens == 190


async def test_parts_add_up_to_the_price(books: Books) -> None:
    """999 cents for 7 tokens in parts of one: floors of the whole, never of the parts."""
    order = await books.buy(await books.account(), 7, price_minor=999)

    parts: list[int] = []
    for _ in range(7):
        refund = uuid7()
        part = await books.refund(order, 1, refund)
        assert part is not None
        assert await books.refund_succeeded(refund)
        parts.append(part.money_minor)

    assert sum(parts) == 999
    assert await books.refund(order, 1) is None


async def test_a_refused_one_returns_the_tokens_to_their_lot(books: Books) -> None:
    account, refund = await books.account(), uuid7()
    order = await books.buy(account, 100)
    assert await books.refund(order, 100, refund) == Refund(100, 100)
    assert await _status(books, order) == 3

    assert await books.refund_failed(refund)

    assert (await books.state(account)).posted_microtokens == 100
    assert await _status(books, order) == 1
    assert await books.refund(order, 40) == Refund(40, 40)
    assert await _status(books, order) == 2


async def test_what_a_refused_one_returns_pays_debt_first(books: Books) -> None:
    account, refund = await books.account(), uuid7()
    order = await books.buy(account, 100)
    assert await books.refund(order, 80, refund) is not None
    await books.settle(charge(account, 50))
    assert (await books.state(account)).debt_microtokens == 30

    assert await books.refund_failed(refund)

    assert (await books.state(account)).debt_microtokens == 0
    assert (await books.state(account)).posted_microtokens == 50


@pytest.mark.parametrize("first_ends_well", [True, False])
async def test_it_ends_once(books: Books, first_ends_well: bool) -> None:
    account, refund = await books.account(100), uuid7()
    [order] = await books.rows("SELECT id FROM purchase_order WHERE account_id = :a", a=account)
    assert await books.refund(order.id, 10, refund) is not None
    first, second = books.refund_succeeded, books.refund_failed
    if not first_ends_well:
        first, second = second, first

    assert await first(refund)
    assert not await first(refund)
    assert not await second(refund)
    assert (await books.state(account)).posted_microtokens == (90 if first_ends_well else 100)


async def test_there_is_nothing_to_refund_of_an_unpaid_or_unknown_order(books: Books) -> None:
    order = await books.order(await books.account(), 100)

    assert await books.refund(order, 10) is None
    assert await books.refund(0, 10) is None
    assert not await books.refund_succeeded(uuid7())
    assert not await books.refund_failed(uuid7())


@pytest.mark.parametrize("want", [0, -1])
async def test_nothing_is_no_refund(books: Books, want: int) -> None:
    order = await books.buy(await books.account(), 100)

    assert await books.refund(order, want) is None


async def _status(books: Books, order: int) -> int:
    return await books.value("SELECT status FROM purchase_order WHERE id = :id", id=order)
