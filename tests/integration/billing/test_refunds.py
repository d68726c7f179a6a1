"""Unused tokens go back to the payment they came from, to the token, and never twice."""

import asyncio
from typing import Any

import pytest

from aibridge_billing.orders.refunds import begin_refund
from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.sandbox import Sandbox
from aibridge_billing.refunds.service import Refunds
from aibridge_common.bus.nats import Bus
from aibridge_common.db.engine import transaction
from aibridge_common.events.leases import RECALL_SUBJECT
from aibridge_common.ids import uuid7
from aibridge_common.settings import Secret
from tests.fixtures.books import Books, charge
from tests.fixtures.services import SANDBOX_KEY

from .shop import MICROTOKENS, PERSON, PRICE_MINOR, Shop

pytestmark = pytest.mark.anyio


async def test_a_quote_says_to_the_token_what_a_refund_then_gives(shop: Shop, books: Books) -> None:
    order = await shop.bought()
    await books.settle(charge(shop.account, MICROTOKENS // 4 + 1))
    quote = await shop.quote(order["number"])
    assert quote == {
        "order": order["number"],
        "microtokens": str(MICROTOKENS - MICROTOKENS // 4 - 1),
        "money_minor": str(PRICE_MINOR * 3 // 4),
        "currency": "EUR",
        "unused_microtokens": str(MICROTOKENS - MICROTOKENS // 4 - 1),
        "held_microtokens": "0",
    }

    answer = await shop.refund(order["number"], expect_money_minor=int(quote["money_minor"]))

    refund = answer.json()
    assert answer.status_code == 201
    assert (refund["state"], refund["money_minor"], refund["microtokens"]) == (
        "succeeded",
        quote["money_minor"],
        quote["microtokens"],
    )
    after = await shop.look(order["number"])
    assert after["status"] == "part_refunded"
    assert after["refunds"] == [refund]
    assert await shop.posted() == 0
    assert (await shop.quote(order["number"]))["microtokens"] == "0"
    assert (await shop.refund(order["number"])).status_code == 409
    assert (await shop.http.get(f"/v1/refunds/{refund['id']}")).json() == refund


async def test_parts_add_up_to_the_price(shop: Shop, books: Books) -> None:
    order = await shop.bought()
    parts = [
        (await shop.refund(order["number"], microtokens=str(MICROTOKENS // 3))).json()
        for _ in range(3)
    ] + [(await shop.refund(order["number"])).json()]

    assert sum(int(part["money_minor"]) for part in parts) == PRICE_MINOR
    assert sum(int(part["microtokens"]) for part in parts) == MICROTOKENS
    assert (await shop.look(order["number"]))["status"] == "refunded"
    assert (
        await books.value(
            "SELECT sum(amount_minor)::bigint FROM sandbox_refund WHERE payment_id = :id",
            id=f"sandbox-{order['number']}",
        )
        == PRICE_MINOR
    )


async def test_what_is_worth_less_than_a_cent_needs_no_provider(shop: Shop, books: Books) -> None:
    order = await shop.bought()
    refund = (await shop.refund(order["number"], microtokens="1")).json()

    assert (refund["money_minor"], refund["state"]) == ("0", "succeeded")
    assert (
        await books.value("SELECT count(*) FROM sandbox_refund WHERE id = :id", id=refund["id"])
        == 0
    )


async def test_running_holds_are_respected(shop: Shop, books: Books) -> None:
    order = await shop.bought()
    hold = await books.hold(shop.account, MICROTOKENS // 2)
    quote = await shop.quote(order["number"])
    assert quote["held_microtokens"] == str(MICROTOKENS // 2)

    refund = (await shop.refund(order["number"])).json()

    assert refund["microtokens"] == str(MICROTOKENS // 2)
    await books.settle(charge(shop.account, MICROTOKENS // 2, lease_id=hold))
    state = await books.state(shop.account)
    assert (state.posted_microtokens, state.debt_microtokens) == (0, 0)


async def test_idle_leases_come_home_before_tokens_go_back(
    shop: Shop, books: Books, nats_url: str
) -> None:
    order = await shop.bought()
    lease = await books.lease(shop.account, MICROTOKENS)
    bus = await Bus.connect(nats_url, "a router of the tests")
    recalled: list[bytes] = []

    async def give_back(message: bytes) -> None:
        recalled.append(message)
        await books.release(lease, MICROTOKENS // 10)

    await bus.subscribe(RECALL_SUBJECT, give_back)
    try:
        refund = (await shop.refund(order["number"])).json()
    finally:
        await bus.close()

    assert recalled
    assert refund["microtokens"] == str(MICROTOKENS - MICROTOKENS // 10)
    assert await books.release(lease) == MICROTOKENS // 10


async def test_a_quote_that_no_longer_holds_changes_nothing(shop: Shop, books: Books) -> None:
    order = await shop.bought()
    quote = await shop.quote(order["number"])
    await books.settle(charge(shop.account, MICROTOKENS // 2))

    refused = await shop.refund(order["number"], expect_money_minor=int(quote["money_minor"]))

    assert refused.status_code == 409
    assert refused.json()["param"] == "expect_money_minor"
    assert await shop.posted() == MICROTOKENS // 2
    assert (await shop.look(order["number"]))["refunds"] == []


async def test_the_same_key_is_the_same_refund(shop: Shop) -> None:
    order = await shop.bought()
    half = str(MICROTOKENS // 2)
    first = await shop.refund(order["number"], key="r1", microtokens=half)
    again = await shop.refund(order["number"], key="r1", microtokens=half)
    other = await shop.refund(order["number"], key="r1")

    assert again.json() == first.json()
    assert other.status_code == 409
    assert await shop.posted() == MICROTOKENS // 2


async def test_ten_at_once_give_back_what_is_there(shop: Shop) -> None:
    order = await shop.bought()
    answers = await asyncio.gather(*(shop.refund(order["number"]) for _ in range(10)))

    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409, 503}
    assert sum(int(refund["money_minor"]) for refund in made) == PRICE_MINOR
    assert await shop.posted() == 0


async def test_support_refunds_by_the_order_number(shop: Shop) -> None:
    order = await shop.bought()
    asked = {"reason": "charged by mistake", "requested_by": PERSON}
    spoken = order["number"].replace("-", " ").lower()

    quote = (await shop.http.get(f"/v1/orders/{spoken}/refund-quote")).json()
    answer = await shop.http.post(f"/v1/orders/{spoken}/refunds", json=asked)

    assert quote["money_minor"] == str(PRICE_MINOR)
    assert answer.status_code == 201
    assert answer.json()["reason"] == "charged by mistake"
    audit = (await shop.http.get("/v1/audit")).json()["rows"][0]
    assert (audit["action"], audit["subject"]) == ("refund.begin", order["number"])
    assert audit["document"]["requested_by"] == PERSON


async def test_what_was_not_bought_is_not_refunded(shop: Shop) -> None:
    unpaid = await shop.ordered()
    given = (
        await shop.http.post(
            f"/v1/accounts/{shop.account}/adjustments",
            json={"microtokens": "1000000", "reason": "sorry", "actor": PERSON},
        )
    ).json()
    assert given["state"] == "done"

    for number in (unpaid["number"], given["order"]):
        answer = await shop.refund(number)
        assert answer.status_code == 409, number
        quote = await shop.http.get(f"/v1/orders/{number}/refund-quote")
        assert quote.status_code == 409
    assert await shop.posted() == 1_000_000


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"microtokens": "0"}, "microtokens"),
        ({"microtokens": "-5"}, "microtokens"),
        ({"microtokens": "1.5"}, "microtokens"),
        ({"microtokens": "99999999999999999999"}, "microtokens"),
        ({"microtokens": 5}, "microtokens"),
        ({"expect_money_minor": -1}, "expect_money_minor"),
        ({"reason": ""}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"money_minor": 5}, "money_minor"),
        ({"state": "succeeded"}, "state"),
    ],
)
async def test_a_wrong_one_is_refused_by_its_field(
    shop: Shop, change: dict[str, Any], param: str
) -> None:
    order = await shop.bought()
    answer = await shop.refund(order["number"], **change)

    assert answer.status_code == 400, answer.text
    assert answer.json()["param"] == param
    assert await shop.posted() == MICROTOKENS


async def test_more_than_is_there_is_all_there_is(shop: Shop) -> None:
    order = await shop.bought()
    answer = await shop.refund(order["number"], microtokens="9" * 19)

    assert answer.json()["microtokens"] == str(MICROTOKENS)


async def test_one_that_was_interrupted_is_taken_up_again(
    shop: Shop, books: Books, nats_url: str
) -> None:
    """Killed between the ledger and the provider: the row is there, the money is not yet sent."""
    order = await shop.bought()
    refund_id = uuid7()
    async with transaction(books.database) as tx:
        await begin_refund(
            tx,
            refund_id=refund_id,
            order_id=await books.value(
                "SELECT id FROM purchase_order WHERE public_no = :no", no=order["number"]
            ),
            microtokens=MICROTOKENS,
            reason="not needed",
            requested_by=shop.account,
        )
    sandbox = Sandbox(books.database, "http://pay.example", Secret(SANDBOX_KEY))
    bus = await Bus.connect(nats_url, "tests")
    try:
        refunds = Refunds(books.database, bus, PaymentDesk(books.database, [sandbox]))
        assert await refunds.push_pending(3600) == 0
        assert await refunds.push_pending(-1) >= 1
        await refunds.push(refund_id)
    finally:
        await bus.close()

    assert (await shop.http.get(f"/v1/refunds/{refund_id}")).json()["state"] == "succeeded"
    assert (
        await books.value("SELECT amount_minor FROM sandbox_refund WHERE id = :id", id=refund_id)
        == PRICE_MINOR
    )
