"""Slices of balance set aside for a holder."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from aibridge_common.db.engine import Transaction

HOLD, LEASE = 1, 2
_VOIDED = 2


async def reserve(
    tx: Transaction,
    *,
    reservation_id: UUID,
    account_id: UUID,
    kind: Literal[1, 2],
    holder: str,
    want_microtokens: int,
    min_microtokens: int,
    ttl_s: int,
    hard_ttl_s: int,
) -> int | None:
    """Microtokens granted, between min and want; None when less than min is free.

    Sending the same id again answers with the first grant.
    """
    row = await tx.execute(
        text(
            "SELECT granted FROM reserve(:id, :account, CAST(:kind AS smallint), :holder, :want, :min, :ttl, :hard)"
        ),
        {
            "id": reservation_id,
            "account": account_id,
            "kind": kind,
            "holder": holder,
            "want": want_microtokens,
            "min": min_microtokens,
            "ttl": timedelta(seconds=ttl_s),
            "hard": timedelta(seconds=hard_ttl_s),
        },
    )
    return row.scalar_one_or_none()


async def release(tx: Transaction, reservation_id: UUID, keep_microtokens: int) -> int:
    """Free all but `keep_microtokens`; returns what was freed. Unknown or closed ones free nothing."""
    row = await tx.execute(
        text("SELECT release(:id, CAST(:state AS smallint), :keep)"),
        {"id": reservation_id, "state": _VOIDED, "keep": keep_microtokens},
    )
    return int(row.scalar_one())


async def sweep(tx: Transaction, limit: int = 500) -> int:
    """Take back reservations whose holders are gone for good; returns how many."""
    row = await tx.execute(text("SELECT sweep_reservations(:limit)"), {"limit": limit})
    return int(row.scalar_one())
