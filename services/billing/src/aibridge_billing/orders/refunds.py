"""Refunds and charge-backs as the ledger does them; the functions are in migrations 0001 and 0007."""

from uuid import UUID

from msgspec import Struct
from sqlalchemy import text

from aibridge_billing.orders.store import REFUND_STATES, refund_shown
from aibridge_common.contracts.orders import RefundShown, RefundState
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import NotFound


class Refundable(Struct, frozen=True, kw_only=True):
    """What of an order is unused, what of that running requests may still need, and what the rest is worth."""

    unused_microtokens: int
    free_microtokens: int
    """Of the account; its other lots count in."""
    money_minor: int
    """For all that is both unused and free."""

    @property
    def microtokens(self) -> int:
        """What a refund would give back now."""
        return max(0, min(self.unused_microtokens, self.free_microtokens))


class Refund(Struct, frozen=True, kw_only=True):
    """A refund and the order it belongs to."""

    id: UUID
    number: str
    money_minor: int
    state: RefundState


async def refundable(tx: Transaction, order_id: int) -> Refundable | None:
    """None for an order that was never paid, or whose payment was taken back."""
    rows = await tx.execute(
        text(
            "WITH lots AS (SELECT o.price_minor, l.granted_utok AS granted, l.refunded_utok AS refunded,"
            " l.granted_utok - l.consumed_utok - l.refunded_utok AS unused, a.posted_utok - a.reserved_utok AS free"
            " FROM purchase_order o JOIN lot l ON l.order_id = o.id JOIN account a ON a.id = o.account_id"
            " WHERE o.id = :id AND o.status IN (1, 2, 3)) SELECT unused, free,"
            " (floor(price_minor::numeric * (refunded + greatest(0, least(unused, free))) / granted)"
            " - floor(price_minor::numeric * refunded / granted))::bigint AS money FROM lots"
        ),
        {"id": order_id},
    )
    row = rows.one_or_none()
    if row is None:
        return None
    return Refundable(
        unused_microtokens=row.unused, free_microtokens=row.free, money_minor=row.money
    )


async def begin_refund(
    tx: Transaction,
    *,
    refund_id: UUID,
    order_id: int,
    microtokens: int,
    reason: str,
    requested_by: UUID,
) -> int | None:
    """The money that goes back; None when nothing of the order is unused and free.

    At most `microtokens` leave the lot. Raises a database error while another refund of the order is pending.
    """
    begun = await tx.execute(
        text("SELECT money_minor FROM refund_begin(:id, :order, :want)"),
        {"id": refund_id, "order": order_id, "want": microtokens},
    )
    money = begun.scalar_one_or_none()
    if money is not None:
        await tx.execute(
            text("UPDATE refund SET reason = :reason, requested_by = :by WHERE id = :id"),
            {"id": refund_id, "reason": reason, "by": requested_by},
        )
    return money


async def end_refund(
    tx: Transaction, refund_id: UUID, *, succeeded: bool, reference: str | None = None
) -> bool:
    """Whether it was pending; a failed one gives its tokens back to their lot."""
    function = "refund_succeed" if succeeded else "refund_fail"
    ended = await tx.execute(
        text(f"SELECT {function}(:id)"),
        {"id": refund_id},
    )
    done = bool(ended.scalar_one())
    if done and reference is not None:
        await tx.execute(
            text("UPDATE refund SET provider_ref = :ref WHERE id = :id"),
            {"id": refund_id, "ref": reference},
        )
    return done


async def find_refund(tx: Transaction, refund_id: UUID) -> Refund:
    """Raises `NotFound`."""
    rows = await tx.execute(
        text(
            "SELECT r.id, o.public_no AS number, r.money_minor, r.state FROM refund r"
            " JOIN purchase_order o ON o.id = r.order_id WHERE r.id = :id"
        ),
        {"id": refund_id},
    )
    row = rows.one_or_none()
    if row is None:
        raise NotFound("there is no such refund", param="refund_id")
    return Refund(
        id=row.id, number=row.number, money_minor=row.money_minor, state=REFUND_STATES[row.state]
    )


async def show_refund(tx: Transaction, refund_id: UUID) -> RefundShown:
    """Raises `NotFound`."""
    rows = await tx.execute(
        text(
            "SELECT r.id, o.public_no AS number, r.utok, r.money_minor, o.currency, r.state, r.reason, r.requested_by,"
            " r.created_at, r.ended_at FROM refund r JOIN purchase_order o ON o.id = r.order_id WHERE r.id = :id"
        ),
        {"id": refund_id},
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such refund", param="refund_id")
    return refund_shown(row)


async def claim_pending(tx: Transaction, every_s: float, limit: int = 20) -> list[UUID]:
    """Pending refunds that nobody tried for a while; they count as tried now."""
    rows = await tx.execute(
        text(
            "UPDATE refund SET tried_at = now() WHERE id IN (SELECT id FROM refund WHERE state = 0"
            " AND coalesce(tried_at, created_at) < now() - make_interval(secs => :every)"
            " ORDER BY tried_at NULLS FIRST LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING id"
        ),
        {"every": every_s, "limit": limit},
    )
    return list(rows.scalars())


async def charge_back(tx: Transaction, order_id: int, reference: str) -> bool:
    """Take an order's payment back, since its provider did; False when that was done before."""
    row = await tx.execute(
        text("SELECT charge_back(:order, :ref)"), {"order": order_id, "ref": reference}
    )
    return bool(row.scalar_one())
