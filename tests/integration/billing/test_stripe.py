"""Card payments through Stripe's SDK: credited when Stripe says so, whatever a notice claims."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.lookout import end_waiting
from aibridge_billing.payments.stripe import StripePayments
from aibridge_billing.refunds.service import Refunds
from aibridge_common.bus.nats import Bus
from aibridge_common.clock import SystemClock
from aibridge_common.errors import Unavailable
from aibridge_common.settings import Secret
from tests.fixtures.books import Books, charge
from tests.fixtures.services import http_to, running_billing
from tests.fixtures.stripe_stand_in import KEY, WEBHOOK_SECRET, StripeStandIn, signed, standing_in

from .shop import MICROTOKENS, PRICE_MINOR, Shop

pytestmark = pytest.mark.anyio
NOTICES = "/v1/payment-notices/stripe"
PAID = "checkout.session.completed"


@pytest.fixture(scope="module")
async def stripe() -> AsyncIterator[StripeStandIn]:
    stand_in = StripeStandIn()
    async with standing_in(stand_in) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture(scope="module")
async def billing(billing_url: str, clean_stream: str, stripe: StripeStandIn) -> AsyncIterator[str]:
    async with running_billing(
        billing_url,
        clean_stream,
        stripe_key=Secret(KEY),
        stripe_webhook_secret=Secret(WEBHOOK_SECRET),
        stripe_api_url=stripe.url,
        return_url="https://shop.example/orders",
    ) as url:
        yield url


@pytest.fixture(autouse=True)
def at_ease(stripe: StripeStandIn) -> None:
    """As a test before may not have left it."""
    stripe.away, stripe.refund_status, stripe.forgets_keys = False, "succeeded", False


async def notify(
    shop: Shop, body: bytes, signature: str | None = None, **headers: str
) -> httpx.Response:
    """Stripe calls: it has no token of ours."""
    sent = {"authorization": "", "stripe-signature": signature or signed(body)} | headers
    return await shop.http.post(NOTICES, content=body, headers=sent)


def session_of(stripe: StripeStandIn, order: dict[str, Any]) -> str:
    [session] = [
        one["id"]
        for one in stripe.sessions.values()
        if one["client_reference_id"] == order["number"]
    ]
    return session


async def bought(shop: Shop, stripe: StripeStandIn) -> tuple[dict[str, Any], str]:
    """A paid order and its payment at Stripe."""
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    intent = stripe.pay(session)
    assert (await notify(shop, stripe.event(PAID, session))).json() == {"outcome": "credited"}
    return order, intent


async def test_a_customer_pays_at_stripe_and_is_credited_once(
    shop: Shop, stripe: StripeStandIn
) -> None:
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    assert order["pay_url"] == f"https://checkout.stripe.example/{session}"
    assert stripe.sessions[session]["amount_total"] == PRICE_MINOR
    assert stripe.sessions[session]["currency"] == "eur"
    assert stripe.sessions[session]["success_url"] == "https://shop.example/orders"
    stripe.pay(session)
    event = stripe.event(PAID, session)

    first, again = await notify(shop, event), await notify(shop, event)
    another = await notify(shop, stripe.event("checkout.session.async_payment_succeeded", session))

    assert first.json() == {"outcome": "credited"}
    assert again.json() == {"outcome": "replayed"}
    assert another.json() == {"outcome": "known"}
    assert await shop.posted() == MICROTOKENS
    assert (await shop.look(order["number"]))["status"] == "paid"


async def test_ten_notices_at_once_credit_once(shop: Shop, stripe: StripeStandIn) -> None:
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    stripe.pay(session)
    same = stripe.event(PAID, session)
    bodies = [same] * 5 + [stripe.event(PAID, session) for _ in range(5)]

    answers = await asyncio.gather(*(notify(shop, body) for body in bodies))

    assert {answer.status_code for answer in answers} <= {200, 503}
    assert await shop.posted() == MICROTOKENS


async def test_a_claim_without_a_payment_is_nothing(shop: Shop, stripe: StripeStandIn) -> None:
    """Even a signed one: what Stripe answers counts."""
    order = await shop.ordered("stripe")
    claims: dict[str, Any] = {
        "payment_status": "paid",
        "amount_total": PRICE_MINOR,
        "status": "complete",
    }

    answer = await notify(shop, stripe.event(PAID, session_of(stripe, order), **claims))

    assert answer.json() == {"outcome": "open"}
    assert await shop.posted() == 0


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("another secret", {"secret": "whsec_another"}),
        ("no secret", {"secret": ""}),
        ("old", {"late_s": -301}),
        ("of the future", {"late_s": 301}),
        ("another body", {"more": b" "}),
    ],
)
async def test_a_forged_notice_is_refused(
    shop: Shop, stripe: StripeStandIn, what: str, how: dict[str, Any]
) -> None:
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    stripe.pay(session)
    body = stripe.event(PAID, session)
    at = SystemClock().now().timestamp() + how.get("late_s", 0)
    signature = signed(body + how.get("more", b""), secret=how.get("secret", WEBHOOK_SECRET), at=at)

    answer = await notify(shop, body, signature)

    assert answer.status_code == 400, what
    assert answer.json()["param"] == "Stripe-Signature"
    assert await shop.posted() == 0


@pytest.mark.parametrize(
    "signature", ["t=,v1=", "t=5", "v1=" + "0" * 64, "nonsense", "t=x,v1=y", "t=1,v0=abc"]
)
async def test_what_is_no_signature_is_refused(
    shop: Shop, stripe: StripeStandIn, signature: str
) -> None:
    answer = await notify(shop, stripe.event(PAID, "cs_1"), signature)

    assert answer.status_code == 400
    assert answer.json()["param"] == "Stripe-Signature"


async def test_a_notice_without_a_signature_is_refused(shop: Shop, stripe: StripeStandIn) -> None:
    answer = await shop.http.post(NOTICES, content=stripe.event(PAID, "cs_1"))
    assert answer.status_code == 400


async def test_what_is_no_event_is_refused(shop: Shop) -> None:
    for body in (
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"id": "", "type": "x", "data": {"object": {}}}',
    ):
        answer = await notify(shop, body, signed(body) if body != b"\xff\xfe" else "t=1,v1=0")
        assert answer.status_code == 400, body


async def test_a_notice_is_at_most_256_kib(shop: Shop) -> None:
    body = b" " * (256 * 1024 + 1)
    answer = await notify(shop, body)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"amount_total": 1}, "the amount is 1"),
        ({"amount_total": 0}, "the amount is 0"),
        ({"currency": "jpy"}, "the currency is JPY"),
        ({"client_reference_id": "AB-2222-2222"}, "no such order"),
        ({"client_reference_id": None}, "no such order"),
    ],
)
async def test_a_payment_that_does_not_fit_waits_for_a_person(
    shop: Shop, stripe: StripeStandIn, odd: dict[str, Any], reason: str
) -> None:
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    stripe.pay(session, **odd)

    answer = await notify(shop, stripe.event(PAID, session))

    assert (answer.status_code, answer.json()) == (200, {"outcome": "alert"})
    assert await shop.posted() == 0
    assert reason in (await shop.alerts())[0]["reason"]


async def test_a_payment_for_an_order_of_another_provider_is_not_credited(
    shop: Shop, stripe: StripeStandIn
) -> None:
    """An unpaid transfer, and a card payment that names its number."""
    transfer, card = await shop.ordered("manual"), await shop.ordered("stripe")
    session = session_of(stripe, card)
    stripe.pay(session, client_reference_id=transfer["number"])

    answer = await notify(shop, stripe.event(PAID, session))

    assert answer.json() == {"outcome": "alert"}
    assert "the provider is stripe, the order's is manual" in (await shop.alerts())[0]["reason"]
    assert await shop.posted() == 0


async def test_two_payments_of_one_order_are_credited_once(
    shop: Shop, stripe: StripeStandIn
) -> None:
    order, _ = await bought(shop, stripe)
    session = session_of(stripe, order)
    stripe.pay(session)

    assert (await notify(shop, stripe.event(PAID, session))).json() == {"outcome": "alert"}
    assert "paid before, by another payment" in (await shop.alerts())[0]["reason"]
    assert await shop.posted() == MICROTOKENS


async def test_something_stripe_does_not_know_is_an_alert(
    shop: Shop, stripe: StripeStandIn
) -> None:
    for kind in (PAID, "charge.dispute.created", "refund.updated"):
        answer = await notify(shop, stripe.event(kind, "nothing_1"))
        assert answer.json() == {"outcome": "alert"}, kind


async def test_what_is_none_of_our_business_is_ignored(shop: Shop, stripe: StripeStandIn) -> None:
    answer = await notify(shop, stripe.event("customer.created", "cus_1"))
    assert answer.json() == {"outcome": "ignored"}


async def test_while_stripe_is_away_a_notice_comes_again(shop: Shop, stripe: StripeStandIn) -> None:
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    stripe.pay(session)
    event = stripe.event(PAID, session)
    stripe.away = True
    refused = await notify(shop, event)
    stripe.away = False

    assert refused.status_code == 503
    assert (await notify(shop, event)).json() == {"outcome": "credited"}
    assert await shop.posted() == MICROTOKENS


async def test_an_order_made_while_stripe_is_away_goes_on_later(
    shop: Shop, stripe: StripeStandIn
) -> None:
    stripe.away = True
    refused = await shop.order("stripe", key="away-1")
    stripe.away = False
    made = await shop.ordered("stripe", key="away-1")

    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    listed = (await shop.http.get(f"/v1/accounts/{shop.account}/orders")).json()["rows"]
    assert [one["number"] for one in listed] == [made["number"]]
    assert made["pay_url"] is not None


async def test_an_order_begun_twice_has_one_session(shop: Shop, stripe: StripeStandIn) -> None:
    order = await shop.ordered("stripe")
    checkout = f"/v1/accounts/{shop.account}/orders/{order['number']}/checkout"
    answers = await asyncio.gather(*(shop.http.post(checkout) for _ in range(5)))

    assert {answer.json()["pay_url"] for answer in answers} == {order["pay_url"]}
    assert session_of(stripe, order)


async def test_a_bank_that_says_no_later_ends_the_order(shop: Shop, stripe: StripeStandIn) -> None:
    order = await shop.ordered("stripe")
    session = session_of(stripe, order)
    stripe.fail(session)

    answer = await notify(shop, stripe.event("checkout.session.async_payment_failed", session))

    assert answer.json() == {"outcome": "failed"}
    assert (await shop.look(order["number"]))["status"] == "failed"


async def test_a_notice_that_never_came_is_made_up_for(
    shop: Shop, stripe: StripeStandIn, books: Books
) -> None:
    order = await shop.ordered("stripe")
    stripe.pay(session_of(stripe, order))
    payments = StripePayments(Secret(KEY), "https://shop.example", stripe.url)
    try:
        await end_waiting(books.database, PaymentDesk(books.database, [payments]), payments, -1)
    finally:
        await payments.close()

    assert (await shop.look(order["number"]))["status"] == "paid"
    assert await shop.posted() == MICROTOKENS


async def test_a_refund_goes_back_to_the_payment(shop: Shop, stripe: StripeStandIn) -> None:
    order, intent = await bought(shop, stripe)
    half = (await shop.refund(order["number"], microtokens=str(MICROTOKENS // 2))).json()
    rest = (await shop.refund(order["number"])).json()

    assert (half["state"], rest["state"]) == ("succeeded", "succeeded")
    there = [one["amount"] for one in stripe.refunds.values() if one["payment_intent"] == intent]
    assert there == [int(half["money_minor"]), int(rest["money_minor"])]
    assert sum(there) == PRICE_MINOR


async def test_a_refund_that_takes_days_ends_by_its_notice(
    shop: Shop, stripe: StripeStandIn
) -> None:
    order, intent = await bought(shop, stripe)
    stripe.refund_status = "pending"
    refund = (await shop.refund(order["number"])).json()
    assert refund["state"] == "pending"
    [there] = [one for one in stripe.refunds.values() if one["payment_intent"] == intent]
    there["status"] = "failed"

    told = await notify(shop, stripe.event("refund.failed", there["id"]))

    assert told.json() == {"outcome": "failed"}
    assert (await shop.look(order["number"]))["status"] == "paid"
    assert await shop.posted() == MICROTOKENS


async def test_a_refund_that_fails_after_all_is_an_alert(shop: Shop, stripe: StripeStandIn) -> None:
    order, intent = await bought(shop, stripe)
    assert (await shop.refund(order["number"])).json()["state"] == "succeeded"
    [there] = [one for one in stripe.refunds.values() if one["payment_intent"] == intent]
    there["status"] = "failed"

    assert (await notify(shop, stripe.event("refund.failed", there["id"]))).json() == {
        "outcome": "alert"
    }
    assert "failed there and succeeded here" in (await shop.alerts())[0]["reason"]
    assert await shop.posted() == 0


async def test_stripe_away_leaves_a_refund_pending_and_a_later_try_sends_it_once(
    shop: Shop, stripe: StripeStandIn, books: Books, nats_url: str
) -> None:
    """Also when Stripe has forgotten the idempotency key meanwhile."""
    order, intent = await bought(shop, stripe)
    stripe.away = True
    refund = (await shop.refund(order["number"])).json()
    stripe.away, stripe.forgets_keys = False, True
    assert refund["state"] == "pending"
    payments = StripePayments(Secret(KEY), "https://shop.example", stripe.url)
    bus = await Bus.connect(nats_url, "tests")
    try:
        desk = PaymentDesk(books.database, [payments])
        refunds = Refunds(books.database, bus, desk)
        stripe.refund_status = "pending"
        for _ in range(3):
            await refunds.push_pending(-1)
        [there] = [one for one in stripe.refunds.values() if one["payment_intent"] == intent]
        there["status"] = "succeeded"
        await refunds.push_pending(-1)
    finally:
        await payments.close()
        await bus.close()

    assert there["amount"] == PRICE_MINOR
    assert (await shop.look(order["number"]))["status"] == "refunded"


async def test_a_refund_from_the_dashboard_is_an_alert(shop: Shop, stripe: StripeStandIn) -> None:
    _, intent = await bought(shop, stripe)
    stripe.refunds["re_by_hand"] = {
        "id": "re_by_hand",
        "object": "refund",
        "amount": 5,
        "payment_intent": intent,
        "status": "succeeded",
        "metadata": {},
    }

    assert (await notify(shop, stripe.event("refund.created", "re_by_hand"))).json() == {
        "outcome": "alert"
    }
    assert await shop.posted() == MICROTOKENS


async def test_a_dispute_takes_the_tokens_back_and_stops_spending(
    shop: Shop, stripe: StripeStandIn, books: Books
) -> None:
    order, intent = await bought(shop, stripe)
    await books.settle(charge(shop.account, MICROTOKENS // 4))
    dispute = stripe.dispute(intent)

    first = await notify(shop, stripe.event("charge.dispute.created", dispute))
    again = await notify(shop, stripe.event("charge.dispute.funds_withdrawn", dispute))

    assert first.json() == {"outcome": "charged_back"}
    assert again.json() == {"outcome": "known"}
    assert (await shop.look(order["number"]))["status"] == "charged_back"
    account = (await shop.http.get(f"/v1/accounts/{shop.account}")).json()
    assert account["status"] == "suspended"
    assert account["debt_microtokens"] == str(MICROTOKENS // 4)
    assert await shop.posted() == 0
    assert (await shop.refund(order["number"])).status_code == 409


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_closed", "won"])
async def test_an_inquiry_takes_nothing(shop: Shop, stripe: StripeStandIn, status: str) -> None:
    _, intent = await bought(shop, stripe)
    dispute = stripe.dispute(intent, status)

    answer = await notify(shop, stripe.event("charge.dispute.created", dispute))

    assert answer.json() == {"outcome": "noted"}
    assert await shop.posted() == MICROTOKENS


@pytest.mark.parametrize("secret", [None, Secret(""), Secret("  ")])
async def test_without_a_secret_there_is_no_such_path(
    billing_url: str, clean_stream: str, stripe: StripeStandIn, secret: Secret | None
) -> None:
    async with (
        running_billing(
            billing_url,
            clean_stream,
            stripe_key=Secret(KEY),
            stripe_webhook_secret=secret,
            stripe_api_url=stripe.url,
            return_url="https://shop.example",
        ) as url,
        http_to(url, token=None) as http,
    ):
        body = stripe.event(PAID, "cs_1")
        for key in ("", "  ", WEBHOOK_SECRET):
            headers = {"stripe-signature": signed(body, secret=key)}
            answer = await http.post(NOTICES, content=body, headers=headers)
            assert answer.status_code == 404


async def test_no_key_of_stripe_is_told(stripe: StripeStandIn, books: Books) -> None:
    """A wrong one is refused by Stripe; the error names neither it nor what Stripe said."""
    payments = StripePayments(Secret("sk_test_canary_7781"), "https://shop.example", stripe.url)
    with pytest.raises(Unavailable) as refused:
        await payments.fetch("cs_1")
    await payments.close()
    assert "canary" not in repr(refused.value) + str(refused.value.__cause__)
    assert books is not None
