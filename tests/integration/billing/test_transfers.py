"""A bank transfer counts when a person confirms exactly what the order costs, once for one order."""

from typing import Any

import httpx
import pytest

from .shop import MICROTOKENS, PERSON, PRICE_MINOR, Shop

pytestmark = pytest.mark.anyio


async def confirm(shop: Shop, number: str, reference: str, **change: Any) -> httpx.Response:
    said = {
        "bank_reference": reference,
        "amount_minor": PRICE_MINOR,
        "currency": "EUR",
        "actor": PERSON,
    }
    return await shop.http.post(f"/v1/orders/{number}/confirm-transfer", json=said | change)


async def test_a_confirmed_transfer_is_credited_once(shop: Shop) -> None:
    order = await shop.ordered("manual")
    assert order["pay_url"] is None

    first = await confirm(shop, order["number"], "statement 7/1")
    again = await confirm(shop, order["number"], "statement 7/1")

    assert first.json()["status"] == "paid"
    assert again.status_code == 200
    assert await shop.posted() == MICROTOKENS
    audit = (await shop.http.get("/v1/audit")).json()["rows"]
    assert [one["action"] for one in audit[:2]] == [
        "order.transfer_known",
        "order.transfer_credited",
    ]
    assert audit[0]["document"]["actor"] == PERSON


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount_minor": PRICE_MINOR - 1}, "the amount is 1998, the order's is 1999"),
        ({"amount_minor": PRICE_MINOR * 100}, "the amount"),
        ({"currency": "JPY"}, "the currency is JPY, the order's is EUR"),
    ],
)
async def test_what_differs_is_not_credited(
    shop: Shop, change: dict[str, Any], reason: str
) -> None:
    order = await shop.ordered("manual")

    answer = await confirm(shop, order["number"], f"odd {order['number']}", **change)

    assert answer.status_code == 409
    assert (await shop.look(order["number"]))["status"] == "created"
    assert await shop.posted() == 0
    [newest, *_] = await shop.alerts()
    assert newest["order"] == order["number"]
    assert reason in newest["reason"]


async def test_one_transfer_pays_one_order(shop: Shop) -> None:
    first, second = await shop.ordered("manual"), await shop.ordered("manual")
    assert (await confirm(shop, first["number"], "statement 8/1")).status_code == 200

    assert (await confirm(shop, second["number"], "statement 8/1")).status_code == 409
    assert (await confirm(shop, first["number"], "statement 8/2")).status_code == 409
    assert await shop.posted() == MICROTOKENS


async def test_an_order_of_another_provider_is_not_confirmed(shop: Shop) -> None:
    order = await shop.ordered("sandbox")

    answer = await confirm(shop, order["number"], "statement 9")

    assert answer.status_code == 400
    assert await shop.posted() == 0


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 10**30}, "amount_minor"),
        ({"currency": "eur"}, "currency"),
        ({"bank_reference": ""}, "bank_reference"),
        ({"bank_reference": "a\0b"}, "bank_reference"),
        ({"actor": "me"}, "actor"),
        ({"provider": "stripe"}, "provider"),
    ],
)
async def test_nonsense_is_refused_by_its_field(
    shop: Shop, change: dict[str, Any], param: str
) -> None:
    order = await shop.ordered("manual")
    answer = await confirm(shop, order["number"], "statement 10", **change)

    assert answer.status_code == 400
    assert answer.json()["param"] == param


async def test_a_refund_of_a_transfer_waits_for_the_person_who_sends_it(shop: Shop) -> None:
    order = await shop.ordered("manual")
    await confirm(shop, order["number"], f"in {order['number']}")
    refund = (await shop.refund(order["number"])).json()
    assert refund["state"] == "pending"
    assert await shop.posted() == 0
    end = f"/v1/refunds/{refund['id']}/end"
    said = {"succeeded": False, "bank_reference": "returned", "actor": PERSON}

    assert (await shop.refund(order["number"])).status_code == 409
    failed = await shop.http.post(end, json=said)
    assert failed.json()["state"] == "failed"
    assert await shop.posted() == MICROTOKENS
    assert (await shop.http.post(end, json=said)).status_code == 200
    assert (await shop.http.post(end, json=said | {"succeeded": True})).status_code == 409

    second = (await shop.refund(order["number"])).json()
    sent = {"succeeded": True, "bank_reference": "out 1", "actor": PERSON}
    done = await shop.http.post(f"/v1/refunds/{second['id']}/end", json=sent)
    assert done.json()["state"] == "succeeded"
    assert (await shop.look(order["number"]))["status"] == "refunded"
    assert await shop.posted() == 0
