"""Bank transfers: a person looks at the bank's statement and confirms."""

from uuid import UUID

from aibridge_billing.orders.store import Order
from aibridge_billing.payments.protocol import Checkout, Payment, RefundAnswer

MANUAL = "manual"


class ManualTransfers:
    """Nothing happens by itself: `confirm-transfer` credits an order, `end` says that a refund was sent."""

    name = MANUAL
    waits_s = 30 * 24 * 3600.0

    async def begin(self, order: Order) -> Checkout:
        """The customer transfers with the order's number as the purpose."""
        del order
        return Checkout()

    async def fetch(self, checkout_ref: str) -> Payment | None:
        """No one can be asked."""
        del checkout_ref
        return None

    async def refund(self, order: Order, refund_id: UUID, amount_minor: int) -> RefundAnswer:
        """Waits for the person who sends it."""
        del order, refund_id, amount_minor
        return "pending"
