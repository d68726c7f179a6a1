"""What billing asks of whoever takes the money. A provider's word about a payment counts, a notice's never does."""

from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct

from aibridge_billing.orders.store import Order


class Checkout(Struct, frozen=True):
    """What the provider calls this attempt to pay, and where it is done; a transfer has neither."""

    reference: str | None = None
    pay_url: str | None = None


class Payment(Struct, frozen=True, kw_only=True):
    """A payment as its provider tells it; `reference` is what a refund of it names."""

    reference: str
    order: str
    state: Literal["open", "paid", "failed"]
    amount_minor: int
    currency: str


RefundAnswer = Literal["succeeded", "failed", "pending"]


class PaymentProvider(Protocol):
    """One way to pay. Every call may be repeated, and raises `Unavailable` when the provider cannot be asked now."""

    name: str
    waits_s: float
    """How long an order waits for its payment."""

    async def begin(self, order: Order) -> Checkout:
        """Open a checkout for exactly this order's price; the same order again is the same checkout."""
        ...

    async def fetch(self, checkout_ref: str) -> Payment | None:
        """What became of a checkout; None for one that the provider does not know."""
        ...

    async def refund(self, order: Order, refund_id: UUID, amount_minor: int) -> RefundAnswer:
        """Send money back to the payment it came from; the same `refund_id` again is the same refund."""
        ...
