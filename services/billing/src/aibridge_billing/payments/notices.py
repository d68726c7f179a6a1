"""What Stripe's notices do. A notice only says where to look: what counts is what Stripe answers when it is asked."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
import stripe
from msgspec import Struct
from sqlalchemy import text

from aibridge_billing.orders.refunds import charge_back, end_refund, find_refund
from aibridge_billing.orders.store import order_paid_by
from aibridge_billing.payments.alerts import alert
from aibridge_billing.payments.intake import take
from aibridge_billing.payments.stripe import STRIPE, StripePayments
from aibridge_billing.recall import recall_leases
from aibridge_common.bus.nats import Bus
from aibridge_common.clock import Clock
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import InvalidRequest, NotFound
from aibridge_common.settings import Secret

TOLERANCE_S = 300
"""How far a signature's time may be from ours, either way."""
_NAME_MAX = 255

Effect = Callable[[Transaction], Awaitable[str]]


class _About(Struct, frozen=True):
    id: str = ""


class _Data(Struct, frozen=True):
    object: _About


class Notice(Struct, frozen=True):
    """The envelope of a Stripe event (docs.stripe.com/api/events)."""

    id: str
    type: str
    data: _Data


def verified(body: bytes, signature: str | None, secret: Secret, now_s: float) -> Notice:
    """The notice, when Stripe signed it just now. Raises `InvalidRequest`."""
    try:
        stripe.WebhookSignature.verify_header(
            body.decode(), signature, secret.reveal(), tolerance=TOLERANCE_S
        )
        signed = next(
            int(part[2:]) for part in (signature or "").split(",") if part.startswith("t=")
        )
    except (stripe.SignatureVerificationError, UnicodeDecodeError, ValueError, StopIteration):
        raise InvalidRequest(
            "the signature does not fit this notice", param="Stripe-Signature"
        ) from None
    if abs(now_s - signed) > TOLERANCE_S:
        raise InvalidRequest(
            "the signature is not of now; are the clocks right?", param="Stripe-Signature"
        )
    try:
        notice = msgspec.json.decode(body, type=Notice)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"this is no event: {error}") from None
    if not 0 < len(notice.id) <= _NAME_MAX or "\0" in notice.id + notice.type:
        raise InvalidRequest("this is no event: its id does not fit", param="id")
    return notice


class StripeNotices:
    """Takes each notice once; the inbox row is written in the transaction of what the notice does."""

    def __init__(
        self, database: Database, bus: Bus, payments: StripePayments, secret: Secret, clock: Clock
    ) -> None:
        self._database = database
        self._bus = bus
        self._payments = payments
        self._secret = secret
        self._clock = clock
        self._kinds: dict[str, Callable[[str], Awaitable[Effect]]] = {
            "checkout.session.": self._session,
            "charge.dispute.": self._dispute,
            "refund.": self._refund,
            "charge.refund.": self._refund,
        }

    async def receive(self, body: bytes, signature: str | None) -> str:
        """What came of it. Raises `InvalidRequest` for a forged one, `Unavailable` when Stripe cannot be asked now."""
        notice = verified(body, signature, self._secret, self._clock.now().timestamp())
        look = next(
            (look for kind, look in self._kinds.items() if notice.type.startswith(kind)), None
        )
        if look is None:
            return "ignored"
        event = {"provider": STRIPE, "id": notice.id}
        async with transaction(self._database) as tx:
            before = await tx.execute(
                text("SELECT 1 FROM payment_notice WHERE provider = :provider AND event_id = :id"),
                event,
            )
            if before.one_or_none() is not None:
                return "replayed"
        effect = await look(notice.data.object.id)
        async with transaction(self._database) as tx:
            first = await tx.execute(
                text(
                    "INSERT INTO payment_notice (provider, event_id, kind, outcome)"
                    " VALUES (:provider, :id, :kind, '') ON CONFLICT DO NOTHING RETURNING 1"
                ),
                event | {"kind": notice.type[:_NAME_MAX]},
            )
            if first.one_or_none() is None:
                return "replayed"
            outcome = await effect(tx)
            await tx.execute(
                text(
                    "UPDATE payment_notice SET outcome = :outcome WHERE provider = :provider AND event_id = :id"
                ),
                event | {"outcome": outcome},
            )
        return outcome

    async def _session(self, session_id: str) -> Effect:
        payment = await self._payments.fetch(session_id)

        async def effect(tx: Transaction) -> str:
            if payment is None:
                return await _unknown(tx, session_id)
            return await take(tx, STRIPE, payment)

        return effect

    async def _dispute(self, dispute_id: str) -> Effect:
        dispute = await self._payments.dispute(dispute_id)

        async def effect(tx: Transaction) -> str:
            if dispute is None:
                return await _unknown(tx, dispute_id)
            if not dispute.money_is_gone:
                return "noted"
            order = await order_paid_by(tx, STRIPE, dispute.payment)
            if order is None:
                await alert(tx, STRIPE, dispute_id, "a dispute of a payment that paid no order")
                return "alert"
            if not await charge_back(tx, order.id, dispute_id):
                return "known"
            await alert(tx, STRIPE, dispute_id, "charged back; spending is stopped", order.number)
            await recall_leases(self._bus, order.account_id)
            return "charged_back"

        return effect

    async def _refund(self, reference: str) -> Effect:
        told = await self._payments.refund_told(reference)

        async def effect(tx: Transaction) -> str:
            if told is None:
                return await _unknown(tx, reference)
            try:
                refund = await find_refund(tx, UUID(told.refund_id or ""))
            except (NotFound, ValueError):
                await alert(tx, STRIPE, reference, "a refund that was not begun here")
                return "alert"
            if told.state in ("pending", refund.state):
                return "noted"
            if await end_refund(tx, refund.id, succeeded=told.state == "succeeded"):
                return told.state
            await alert(
                tx,
                STRIPE,
                reference,
                f"this refund is {told.state} there and {refund.state} here",
                refund.number,
            )
            return "alert"

        return effect


async def _unknown(tx: Transaction, reference: str) -> str:
    await alert(tx, STRIPE, reference[:_NAME_MAX], "a notice of something Stripe does not know")
    return "alert"
