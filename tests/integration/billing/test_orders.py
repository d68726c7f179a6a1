"""A plan is ordered, paid on the sandbox's page, and is there once."""

import asyncio

import httpx
import pytest

from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.lookout import end_waiting
from aibridge_billing.payments.sandbox import Sandbox
from aibridge_common.ids import uuid7
from aibridge_common.settings import Secret
from tests.fixtures.books import Books
from tests.fixtures.services import SANDBOX_KEY

from .shop import MICROTOKENS, PRICE_MINOR, Shop

pytestmark = pytest.mark.anyio


async def test_an_order_is_paid_on_the_page_and_credited_once(shop: Shop) -> None:
    order = await shop.ordered()
    assert order["status"] == "created"
    assert order["price_minor"] == str(PRICE_MINOR)
    assert await shop.posted() == 0

    page = await shop.press(order, "pay")
    again = await shop.press(order, "pay")
    declined = await shop.press(order, "decline")

    assert "Paid" in page.text
    assert "Paid" in again.text
    assert "Paid" in declined.text
    paid = await shop.look(order["number"].lower().replace("-", ""))
    assert paid["status"] == "paid"
    assert paid["pay_url"] is None
    assert paid["paid_at"] is not None
    assert await shop.posted() == MICROTOKENS


async def test_a_bonus_is_part_of_what_is_bought(shop: Shop) -> None:
    await shop.sell("bonus", bonus_tokens=500)
    order = await shop.ordered(product_id="bonus")
    await shop.press(order, "pay")

    assert await shop.posted() == MICROTOKENS + 500_000_000


async def test_a_declined_one_buys_nothing(shop: Shop) -> None:
    order = await shop.ordered()
    page = await shop.press(order, "decline")

    assert "Declined" in page.text
    assert (await shop.look(order["number"]))["status"] == "failed"
    assert await shop.posted() == 0


async def test_the_page_speaks_english_and_chinese_and_runs_no_script(shop: Shop) -> None:
    order = await shop.ordered()
    english = await shop.page(order)
    chinese = await shop.page(order, **{"accept-language": "zh-CN,zh;q=0.9"})

    assert order["number"] in english.text
    assert "19.99 EUR" in english.text
    assert ">Pay<" in english.text
    assert ">支付<" in chinese.text
    assert 'lang="zh"' in chinese.text
    for answer in (english, chinese):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text


async def test_a_page_that_is_none_says_so(shop: Shop) -> None:
    for token in ("x" * 64, "..", "%00"):
        answer = await shop.http.get(f"/pay/{token}")
        assert answer.status_code == 404, token
    assert (await shop.http.post(f"/pay/{'x' * 64}", data={"choice": "pay"})).status_code == 404


async def test_a_get_never_pays_and_nonsense_changes_nothing(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.http.get(order["pay_url"].removeprefix("http://pay.example") + "?choice=pay")
    await shop.press(order, "give me everything")

    assert (await shop.look(order["number"]))["status"] == "created"


async def test_an_account_sees_its_own_orders_only(shop: Shop) -> None:
    mine, other = await shop.ordered(), uuid7()
    theirs = await shop.ordered(account=other)

    listed = (await shop.http.get(f"/v1/accounts/{shop.account}/orders")).json()
    assert [one["number"] for one in listed["rows"]] == [mine["number"]]
    for method, rest in (
        ("GET", ""),
        ("GET", "/refund-quote"),
        ("POST", "/checkout"),
        ("POST", "/cancel"),
    ):
        path = f"/v1/accounts/{shop.account}/orders/{theirs['number']}{rest}"
        answer = await shop.http.request(method, path)
        assert answer.status_code == 404, path
        assert answer.json()["param"] == "number"
    assert (await shop.refund(theirs["number"])).status_code == 404
    cursor = await shop.http.get(
        f"/v1/accounts/{shop.account}/orders", params={"cursor": theirs["number"]}
    )
    assert cursor.status_code == 404
    assert (await shop.look(theirs["number"]))["status"] == "created"


async def test_pages_follow_each_other(shop: Shop) -> None:
    numbers = [(await shop.ordered())["number"] for _ in range(5)]
    path, seen, cursor = f"/v1/accounts/{shop.account}/orders", [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await shop.http.get(path, params=params)).json()
        seen += [one["number"] for one in page["rows"]]
        cursor = page.get("next")
        if cursor is None:
            break

    assert seen == numbers[::-1]


async def test_the_same_key_is_the_same_order(shop: Shop) -> None:
    first = await shop.ordered(key="abc")
    again = await shop.ordered(key="abc")
    other = await shop.order(key="abc", product_id="other")
    elsewhere = await shop.order(key="abc", account=uuid7())

    assert again == first
    assert other.status_code == 409
    assert other.json()["param"] == "Idempotency-Key"
    assert elsewhere.status_code == 409
    await shop.press(first, "pay")
    assert (await shop.ordered(key="abc"))["status"] == "paid"
    assert await shop.posted() == MICROTOKENS


async def test_ten_at_once_with_one_key_are_one_order(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.order(key="at-once") for _ in range(10)))

    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert len({answer.json()["number"] for answer in made}) == 1
    listed = (await shop.http.get(f"/v1/accounts/{shop.account}/orders")).json()["rows"]
    assert len(listed) == 1


async def test_ten_presses_at_once_credit_once(shop: Shop) -> None:
    order = await shop.ordered()
    await asyncio.gather(*(shop.press(order, "pay") for _ in range(10)))

    assert (await shop.look(order["number"]))["status"] == "paid"
    assert await shop.posted() == MICROTOKENS


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"product_id": "nothing", "provider": "sandbox"}, 404, "product_id"),
        ({"product_id": "adjustment", "provider": "sandbox"}, 404, "product_id"),
        ({"product_id": "plan", "provider": "stripe"}, 400, "provider"),
        ({"product_id": "plan", "provider": "adjustment"}, 400, "provider"),
        ({"product_id": "plan", "provider": ""}, 400, "provider"),
        ({"product_id": "plan"}, 400, "provider"),
        ({"product_id": "", "provider": "sandbox"}, 400, "product_id"),
        ({"product_id": 5, "provider": "sandbox"}, 400, "product_id"),
        ({"product_id": "a\0b", "provider": "sandbox"}, 400, "product_id"),
        ({"product_id": "plan", "provider": "sandbox", "price_minor": 1}, 400, "price_minor"),
        ({"product_id": "plan", "provider": "sandbox", "status": "paid"}, 400, "status"),
        ({"product_id": "plan", "provider": "sandbox", "grant_utok": 10**18}, 400, "grant_utok"),
    ],
)
async def test_a_wrong_order_is_refused_by_its_field(
    shop: Shop, body: dict[str, object], status: int, param: str
) -> None:
    answer = await shop.http.post(f"/v1/accounts/{shop.account}/orders", json=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["param"] == param


async def test_a_plan_off_sale_is_not_sold_and_orders_keep_their_price(shop: Shop) -> None:
    await shop.sell("leaving")
    before = await shop.ordered(product_id="leaving")
    await shop.sell("leaving", price_minor=1, tokens=10**9)
    await shop.http.delete("/v1/products/leaving")

    assert (await shop.order(product_id="leaving")).status_code == 404
    page = await shop.page(before)
    await shop.press(before, "pay")
    assert "19.99 EUR" in page.text
    assert await shop.posted() == MICROTOKENS


async def test_a_mistyped_number_is_told_from_an_unknown_one(shop: Shop) -> None:
    number: str = (await shop.ordered())["number"]
    mistyped = number[:-1] + ("2" if number[-1] != "2" else "3")

    answer = await shop.http.get(f"/v1/orders/{mistyped}")
    assert answer.status_code == 400
    assert "typing mistake" in answer.json()["detail"]
    assert (await shop.http.get("/v1/orders/AB-2222-2222")).status_code == 404


async def test_an_order_that_is_given_up_may_still_be_paid(shop: Shop) -> None:
    order = await shop.ordered()
    path = f"/v1/accounts/{shop.account}/orders/{order['number']}"
    cancelled = (await shop.http.post(f"{path}/cancel")).json()
    assert cancelled["status"] == "failed"
    assert cancelled["pay_url"] is None

    await shop.press(order, "pay")

    assert (await shop.look(order["number"]))["status"] == "paid"
    assert (await shop.http.post(f"{path}/cancel")).status_code == 409
    assert await shop.posted() == MICROTOKENS


async def test_an_account_cannot_pile_up_unpaid_orders(shop: Shop) -> None:
    for _ in range(20):
        await shop.ordered()

    refused = await shop.order()
    assert refused.status_code == 409
    assert "20 unpaid orders" in refused.json()["detail"]


async def test_unpaid_orders_end_and_a_lost_notice_is_made_up_for(shop: Shop, books: Books) -> None:
    """The sandbox knows that the second was paid; billing was never told."""
    unpaid, paid = await shop.ordered(), await shop.ordered()
    sandbox = Sandbox(books.database, "http://pay.example", Secret(SANDBOX_KEY))
    await sandbox.choose(paid["pay_url"].rsplit("/", 1)[1], pay=True)
    desk = PaymentDesk(books.database, [sandbox])
    assert await end_waiting(books.database, desk, sandbox, 3600) == 0

    await end_waiting(books.database, desk, sandbox, -1)

    assert (await shop.look(unpaid["number"]))["status"] == "failed"
    assert (await shop.look(paid["number"]))["status"] == "paid"
    assert await shop.posted() == MICROTOKENS


async def test_a_balance_that_cannot_be_larger_is_an_alert_and_not_a_loss(
    shop: Shop, books: Books
) -> None:
    await shop.sell("huge", tokens=10**12)
    for _ in range(4):
        await shop.bought(product_id="huge")
    order = await shop.ordered(product_id="huge")

    page = await shop.press(order, "pay")

    assert page.status_code == 200
    assert (await shop.look(order["number"]))["status"] == "created"
    assert await shop.posted() == 4 * 10**18
    [newest, *_] = await shop.alerts()
    assert (newest["order"], newest["provider"]) == (order["number"], "sandbox")
    assert "refused" in newest["reason"]
    await books.give_up(
        await books.value("SELECT id FROM purchase_order WHERE public_no = :no", no=order["number"])
    )


async def test_a_key_that_is_none_is_refused(shop: Shop) -> None:
    for key in ("", "a b", "x" * 256):
        answer = await shop.order(key=key)
        assert answer.status_code == 400, key
        assert answer.json()["param"] == "Idempotency-Key"


async def test_an_account_id_must_be_one(shop: Shop) -> None:
    answer: httpx.Response = await shop.http.get("/v1/accounts/not-an-id/orders")
    assert answer.status_code == 404
