"""Card payments by Stripe Checkout, through its SDK (docs.stripe.com/api)."""

from collections.abc import Awaitable
from typing import Any, Literal, TypeVar
from uuid import UUID

import stripe
from msgspec import Struct

from aibridge_billing.orders.store import Order
from aibridge_billing.payments.protocol import Checkout, Payment, RefundAnswer
from aibridge_common.errors import Unavailable
from aibridge_common.settings import Secret
from aibridge_common.telemetry.log import get_logger

STRIPE = "stripe"
TIMEOUT_S = 15.0
RETRIES = 1
"""Each with the idempotency key of the first try."""
REFUNDS_LISTED = 100

T = TypeVar("T")

_REFUNDS: dict[str, RefundAnswer] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}


class Dispute(Struct, frozen=True):
    """What a bank has against a payment."""

    payment: str
    money_is_gone: bool


class StripeRefund(Struct, frozen=True):
    """A refund as Stripe tells it; `refund_id` is ours, where it is one of ours."""

    payment: str
    refund_id: str | None
    state: RefundAnswer


class StripePayments:
    """`api_url` is Stripe's own, or a stand-in's."""

    name = STRIPE
    waits_s = 25 * 3600.0
    """A Checkout session ends after 24 hours by itself."""

    def __init__(self, key: Secret, return_url: str, api_url: str) -> None:
        stripe.enable_telemetry = False
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        self._client = stripe.StripeClient(
            key.reveal(),
            base_addresses={"api": api_url.rstrip("/")},
            http_client=self._http,
            max_network_retries=RETRIES,
        )
        self._return_url = return_url

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()

    async def begin(self, order: Order) -> Checkout:
        """A Checkout session; Stripe answers the same order with the same session."""
        session = await _answered(
            self._client.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "client_reference_id": order.number,
                    "metadata": {"order": order.number},
                    "payment_intent_data": {"metadata": {"order": order.number}},
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": order.currency.lower(),
                                "unit_amount": order.price_minor,
                                "product_data": {"name": order.title},
                            },
                        }
                    ],
                    "success_url": self._return_url,
                    "cancel_url": self._return_url,
                },
                {"idempotency_key": f"order-{order.number}"},
            )
        )
        return Checkout(session.id, session.url)

    async def fetch(self, checkout_ref: str) -> Payment | None:
        """What became of a session."""
        session = await _found(
            self._client.v1.checkout.sessions.retrieve_async(
                checkout_ref, {"expand": ["payment_intent"]}
            )
        )
        if session is None:
            return None
        intent: Any = session.payment_intent
        return Payment(
            reference=intent.id if intent is not None else session.id,
            order=session.client_reference_id or "",
            state=_state(session, intent),
            amount_minor=session.amount_total or 0,
            currency=(session.currency or "").upper(),
        )

    async def refund(self, order: Order, refund_id: UUID, amount_minor: int) -> RefundAnswer:
        """Stripe forgets idempotency keys after a day, so that one of ours is first looked for by its metadata."""
        intent = order.provider_ref or ""
        listed = await _found(
            self._client.v1.refunds.list_async({"payment_intent": intent, "limit": REFUNDS_LISTED})
        )
        if listed is None:
            return "failed"
        for one in listed.data:
            if _ours(one) == str(refund_id):
                return _REFUNDS.get(one.status or "", "pending")
        made = await _found(
            self._client.v1.refunds.create_async(
                {
                    "payment_intent": intent,
                    "amount": amount_minor,
                    "metadata": {"refund_id": str(refund_id), "order": order.number},
                },
                {"idempotency_key": f"refund-{refund_id}"},
            )
        )
        return "failed" if made is None else _REFUNDS.get(made.status or "", "pending")

    async def dispute(self, dispute_id: str) -> Dispute | None:
        """An inquiry, or one that was won, took no money."""
        found = await _found(self._client.v1.disputes.retrieve_async(dispute_id))
        if found is None:
            return None
        kept = found.status.startswith("warning_") or found.status in ("won", "prevented")
        return Dispute(_id(found.payment_intent), not kept)

    async def refund_told(self, reference: str) -> StripeRefund | None:
        """A refund by Stripe's own id."""
        found = await _found(self._client.v1.refunds.retrieve_async(reference))
        if found is None:
            return None
        return StripeRefund(
            _id(found.payment_intent), _ours(found), _REFUNDS.get(found.status or "", "pending")
        )


def _state(session: Any, intent: Any) -> Literal["open", "paid", "failed"]:
    if session.payment_status != "unpaid":
        return "paid"
    stuck = intent is not None and intent.status in ("requires_payment_method", "canceled")
    return (
        "failed"
        if session.status == "expired" or (session.status == "complete" and stuck)
        else "open"
    )


def _id(expandable: Any) -> str:
    """Of what Stripe gives as an id or, expanded, as an object."""
    return expandable if isinstance(expandable, str) else getattr(expandable, "id", "")


def _ours(refund: Any) -> str | None:
    """Our id of a refund, where it is one of ours."""
    return getattr(refund.metadata, "refund_id", None)


async def _answered(call: Awaitable[T]) -> T:
    """Raises `Unavailable` whatever Stripe has against it: only operators can do something about that."""
    try:
        return await call
    except stripe.StripeError as error:
        get_logger().error(
            "stripe.refused", error=type(error).__name__, code=error.code, request=error.request_id
        )
        raise Unavailable(
            "the payment provider could not be asked; try again", retry_after_s=5
        ) from None


async def _found(call: Awaitable[T]) -> T | None:
    """None for what Stripe does not know or will not do."""
    try:
        return await _answered(_known(call))
    except _Unknown:
        return None


class _Unknown(Exception):
    pass


async def _known(call: Awaitable[T]) -> T:
    try:
        return await call
    except stripe.InvalidRequestError as error:
        get_logger().warning("stripe.invalid", code=error.code, request=error.request_id)
        raise _Unknown from None
