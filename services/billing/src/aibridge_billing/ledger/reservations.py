"""Slices of balance set aside for a holder."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

from msgspec import Struct
from sqlalchemy import text

from aibridge_common.db.engine import Transaction

HOLD, LEASE = 1, 2
_VOIDED = 2
_ALL = 2**63 - 1


class Standing(Struct, frozen=True, kw_only=True):
    """What decides how much of an account a holder may get."""

    posted_microtokens: int
    free_microtokens: int
    leased_microtokens: int
    """What lies in leases, this holder's too; some of it may be free."""
    workers: int
    """Who holds something of it that has not expired, with the one who asks."""


class Reservation(Struct, frozen=True):
    """What was reserved before under an id."""

    kind: Literal[1, 2]
    microtokens: int
    is_open: bool


async def lock_standing(tx: Transaction, account_id: UUID, holder: str = "") -> Standing | None:
    """The account's standing, which nobody changes until the end of the transaction.

    None for one that is unknown, closed or in debt: nothing may be reserved from it.
    """
    found = await tx.execute(
        text(
            "SELECT a.posted_utok AS posted, a.posted_utok - a.reserved_utok AS free,"
            " (SELECT coalesce(sum(remaining_utok), 0)::bigint FROM reservation"
            "   WHERE account_id = a.id AND state = 0 AND kind = 2) AS leased,"
            " (SELECT 1 + count(DISTINCT holder) FROM reservation"
            "   WHERE account_id = a.id AND state = 0 AND expires_at > now() AND holder <> :holder) AS workers"
            " FROM account a WHERE a.id = :account AND a.status = 1 AND a.debt_utok = 0 FOR UPDATE"
        ),
        {"account": account_id, "holder": holder},
    )
    row = found.one_or_none()
    if row is None:
        return None
    return Standing(
        posted_microtokens=row.posted,
        free_microtokens=row.free,
        leased_microtokens=row.leased,
        workers=row.workers,
    )


async def find_reservation(
    tx: Transaction, reservation_id: UUID, account_id: UUID
) -> Reservation | None:
    """What this id was given before."""
    found = await tx.execute(
        text(
            "SELECT kind, amount_utok, state FROM reservation WHERE id = :id AND account_id = :account"
        ),
        {"id": reservation_id, "account": account_id},
    )
    row = found.one_or_none()
    return Reservation(row.kind, row.amount_utok, row.state == 0) if row is not None else None


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


async def extend(
    tx: Transaction,
    *,
    reservation_id: UUID,
    account_id: UUID,
    total_microtokens: int,
    min_microtokens: int,
    ttl_s: int,
    hard_ttl_s: int,
) -> int | None:
    """Microtokens granted altogether, between min and total; None when the free balance does not reach to min."""
    row = await tx.execute(
        text("SELECT extend_reservation(:id, :account, :total, :min, :ttl, :hard)"),
        {
            "id": reservation_id,
            "account": account_id,
            "total": total_microtokens,
            "min": min_microtokens,
            "ttl": timedelta(seconds=ttl_s),
            "hard": timedelta(seconds=hard_ttl_s),
        },
    )
    return row.scalar_one_or_none()


async def release(
    tx: Transaction,
    reservation_id: UUID,
    keep_microtokens: int,
    granted_microtokens: int | None = None,
) -> int:
    """Free all but `keep_microtokens`; returns what was freed. Unknown or closed ones free nothing.

    What was granted beyond `granted_microtokens` is kept as well.
    """
    granted = _ALL if granted_microtokens is None else granted_microtokens
    row = await tx.execute(
        text("SELECT release(:id, CAST(:state AS smallint), :keep, :granted)"),
        {"id": reservation_id, "state": _VOIDED, "keep": keep_microtokens, "granted": granted},
    )
    return int(row.scalar_one())


async def sweep(tx: Transaction, limit: int = 500) -> int:
    """Take back reservations whose holders are gone for good; returns how many."""
    row = await tx.execute(text("SELECT sweep_reservations(:limit)"), {"limit": limit})
    return int(row.scalar_one())
