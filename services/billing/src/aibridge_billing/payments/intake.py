"""Credits a payment to its order, when both agree in everything."""

from typing import Literal

from sqlalchemy.exc import IntegrityError

from aibridge_billing.orders.store import (
    Order,
    confirm_payment,
    find_order,
    give_up,
    order_paid_by,
)
from aibridge_billing.payments.alerts import alert
from aibridge_billing.payments.protocol import Payment
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import NotFound

Outcome = Literal["credited", "known", "open", "failed", "alert"]


async def take(tx: Transaction, provider: str, payment: Payment) -> Outcome:
    """What this payment, as its provider told it, does to its order. What does not fit becomes an alert."""
    try:
        order = await find_order(tx, payment.order, lock=True)
    except NotFound:
        await alert(tx, provider, payment.reference, "no such order", payment.order)
        return "alert"
    if payment.state == "open":
        return "open"
    if payment.state == "failed":
        mine = order.provider == provider and await give_up(tx, order.id)
        return "failed" if mine else "known"
    wrong = _disagreement(order, provider, payment)
    if wrong is None and not order.may_be_paid:
        if order.provider_ref == payment.reference:
            return "known"
        wrong = "the order was paid before, by another payment"
    if wrong is None:
        other = await order_paid_by(tx, provider, payment.reference)
        wrong = None if other is None else f"this payment paid {other.number} before"
    if wrong is None:
        wrong = await _credit(tx, order, payment)
    if wrong is None:
        return "credited"
    await alert(tx, provider, payment.reference, wrong, order.number)
    return "alert"


async def _credit(tx: Transaction, order: Order, payment: Payment) -> str | None:
    """What the ledger has against it."""
    try:
        async with tx.begin_nested():
            await confirm_payment(
                tx,
                order.id,
                provider=order.provider,
                reference=payment.reference,
                amount_minor=payment.amount_minor,
                currency=payment.currency,
            )
    except (
        IntegrityError
    ):  # a balance beyond what an account can hold, or a reference used this moment
        return "the ledger refused to credit it"
    return None


def _disagreement(order: Order, provider: str, payment: Payment) -> str | None:
    for what, ours, theirs in (
        ("provider", order.provider, provider),
        ("amount", order.price_minor, payment.amount_minor),
        ("currency", order.currency, payment.currency),
    ):
        if ours != theirs:
            return f"the {what} is {theirs}, the order's is {ours}"
    return None
