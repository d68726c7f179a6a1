"""A payment provider of our own, for development and trials: no money moves, everything else does.

It keeps its own books (`sandbox_payment`, `sandbox_refund`) as a provider elsewhere would; billing learns of a payment
from it only by asking.
"""

import hashlib
import hmac
from typing import Literal
from uuid import UUID

from msgspec import Struct
from sqlalchemy import text

from aibridge_billing.orders.store import Order
from aibridge_billing.payments.protocol import Checkout, Payment, RefundAnswer
from aibridge_common.db.engine import Database, transaction
from aibridge_common.settings import Secret

SANDBOX = "sandbox"
_STATES: dict[str, Literal["open", "paid", "failed"]] = {
    "open": "open",
    "paid": "paid",
    "declined": "failed",
}


class SandboxPayment(Struct, frozen=True, kw_only=True):
    """What its page shows."""

    id: str
    order_no: str
    amount_minor: int
    currency: str
    state: str


class Sandbox:
    """Pays when somebody presses the button on its page."""

    name = SANDBOX
    waits_s = 24 * 3600.0

    def __init__(self, database: Database, page_url: str, key: Secret) -> None:
        self._database = database
        self._page_url = page_url.rstrip("/")
        self._key = key.reveal().encode()

    async def begin(self, order: Order) -> Checkout:
        """One payment for each order; whoever has its address may pay it."""
        payment_id, token = f"sandbox-{order.number}", self._token(order.number)
        async with transaction(self._database) as tx:
            await tx.execute(
                text(
                    "INSERT INTO sandbox_payment (id, token_digest, order_no, amount_minor, currency)"
                    " VALUES (:id, :digest, :order, :amount, :currency) ON CONFLICT DO NOTHING"
                ),
                {
                    "id": payment_id,
                    "digest": _digest(token),
                    "order": order.number,
                    "amount": order.price_minor,
                    "currency": order.currency,
                },
            )
        return Checkout(payment_id, f"{self._page_url}/pay/{token}")

    async def fetch(self, checkout_ref: str) -> Payment | None:
        """What became of it."""
        async with transaction(self._database) as tx:
            rows = await tx.execute(
                text(_PAYMENT + " WHERE id = :id"),
                {"id": checkout_ref},
            )
            found = rows.mappings().one_or_none()
        if found is None:
            return None
        return Payment(
            reference=found["id"],
            order=found["order_no"],
            state=_STATES[found["state"]],
            amount_minor=found["amount_minor"],
            currency=found["currency"],
        )

    async def refund(self, order: Order, refund_id: UUID, amount_minor: int) -> RefundAnswer:
        """Refuses what was not paid, and more than was."""
        async with transaction(self._database) as tx:
            paid = await tx.execute(
                text(
                    "SELECT amount_minor FROM sandbox_payment WHERE id = :id AND state = 'paid' FOR UPDATE"
                ),
                {"id": order.provider_ref},
            )
            left = paid.scalar_one_or_none()
            if left is None:
                return "failed"
            before = await tx.execute(
                text(
                    "SELECT coalesce(sum(amount_minor), 0)::bigint FROM sandbox_refund"
                    " WHERE payment_id = :id AND id <> :refund"
                ),
                {"id": order.provider_ref, "refund": refund_id},
            )
            if before.scalar_one() + amount_minor > left:
                return "failed"
            await tx.execute(
                text(
                    "INSERT INTO sandbox_refund (id, payment_id, amount_minor)"
                    " VALUES (:refund, :id, :amount) ON CONFLICT DO NOTHING"
                ),
                {"refund": refund_id, "id": order.provider_ref, "amount": amount_minor},
            )
        return "succeeded"

    async def shown(self, token: str) -> SandboxPayment | None:
        """The payment whose page this is."""
        async with transaction(self._database) as tx:
            rows = await tx.execute(
                text(_PAYMENT + " WHERE token_digest = :digest"),
                {"digest": _digest(token)},
            )
            found = rows.mappings().one_or_none()
        return SandboxPayment(**found) if found is not None else None

    async def choose(self, token: str, *, pay: bool) -> None:
        """Pay or decline an open payment; one that was decided stays as it is."""
        async with transaction(self._database) as tx:
            await tx.execute(
                text(
                    "UPDATE sandbox_payment SET state = :state WHERE token_digest = :digest AND state = 'open'"
                ),
                {"state": "paid" if pay else "declined", "digest": _digest(token)},
            )

    def _token(self, number: str) -> str:
        """256 bits that nobody can tell from the number, and that are the same when the order is begun again."""
        return hmac.digest(self._key, f"sandbox-pay|{number}".encode(), hashlib.sha256).hex()


_PAYMENT = "SELECT id, order_no, amount_minor, currency, state FROM sandbox_payment"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
