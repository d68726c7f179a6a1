"""Payments that fit no order wait here for a person."""

from sqlalchemy import text

from aibridge_common.contracts.orders import PaymentAlert
from aibridge_common.db.engine import Transaction
from aibridge_common.telemetry.log import get_logger

NEWEST = 200


async def alert(
    tx: Transaction, provider: str, reference: str, reason: str, order_no: str | None = None
) -> None:
    """Write it down and log it."""
    await tx.execute(
        text(
            "INSERT INTO payment_alert (provider, reference, order_no, reason)"
            " VALUES (:provider, :reference, :order_no, :reason)"
        ),
        {"provider": provider, "reference": reference, "order_no": order_no, "reason": reason},
    )
    get_logger().error(
        "payment.alert", provider=provider, reference=reference, order=order_no, reason=reason
    )


async def alerts(tx: Transaction) -> list[PaymentAlert]:
    """The newest first."""
    rows = await tx.execute(
        text(
            "SELECT id::text, provider, reference, order_no AS order, reason, at FROM payment_alert"
            " ORDER BY payment_alert.id DESC LIMIT :limit"
        ),
        {"limit": NEWEST},
    )
    return [PaymentAlert(**row) for row in rows.mappings()]
