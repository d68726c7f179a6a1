"""Tokens given or taken by hand; the ledger's part is `adjust` in migration 0007."""

from uuid import UUID

from sqlalchemy import RowMapping, text

from aibridge_billing.orders.numbers import new_number
from aibridge_common.contracts.orders import AdjustmentShown, AdjustmentState
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import NotFound

_STATES: tuple[AdjustmentState, ...] = ("waiting", "done", "rejected")
_SHOWN = (
    "SELECT id, account_id, utok, reason, state, actor, second, order_no, created_at, decided_at"
    " FROM adjustment"
)
NEWEST = 200


async def add_adjustment(
    tx: Transaction,
    *,
    adjustment_id: UUID,
    account_id: UUID,
    microtokens: int,
    reason: str,
    actor: UUID,
) -> None:
    """One that waits."""
    await tx.execute(
        text(
            "INSERT INTO adjustment (id, account_id, utok, reason, state, actor)"
            " VALUES (:id, :account, :utok, :reason, 0, :actor)"
        ),
        {
            "id": adjustment_id,
            "account": account_id,
            "utok": microtokens,
            "reason": reason,
            "actor": actor,
        },
    )


async def given_today(tx: Transaction, account_id: UUID, actor: UUID) -> int:
    """Microtokens that this person moved alone on this account within a day; takes and gives add up.

    The account's row is locked, so that two at once are counted one after the other.
    """
    await tx.execute(text("SELECT 1 FROM account WHERE id = :id FOR UPDATE"), {"id": account_id})
    row = await tx.execute(
        text(
            "SELECT coalesce(sum(abs(utok)), 0)::numeric FROM adjustment WHERE account_id = :account AND actor = :actor"
            " AND state = 1 AND second IS NULL AND created_at > now() - interval '1 day'"
        ),
        {"account": account_id, "actor": actor},
    )
    return int(row.scalar_one())


async def do_adjustment(tx: Transaction, adjustment_id: UUID) -> bool | None:
    """Whether enough was free to be taken; None when it does not wait any more."""
    row = await tx.execute(
        text("SELECT adjust(:id, :number)"), {"id": adjustment_id, "number": new_number()}
    )
    return row.scalar_one()


async def sign(tx: Transaction, adjustment_id: UUID, second: UUID, *, approve: bool) -> None:
    """Note who decided; a rejected one is over."""
    await tx.execute(
        text(
            "UPDATE adjustment SET second = :second, state = CASE WHEN :approve THEN state ELSE 2 END,"
            " decided_at = CASE WHEN :approve THEN decided_at ELSE now() END WHERE id = :id AND state = 0"
        ),
        {"id": adjustment_id, "second": second, "approve": approve},
    )


async def show_adjustment(
    tx: Transaction, adjustment_id: UUID, *, lock: bool = False
) -> AdjustmentShown:
    """Raises `NotFound`."""
    rows = await tx.execute(
        text(_SHOWN + " WHERE id = :id" + (" FOR UPDATE" if lock else "")), {"id": adjustment_id}
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such adjustment", param="adjustment_id")
    return _shown(row)


async def list_adjustments(
    tx: Transaction, account_id: UUID | None, *, waiting: bool
) -> list[AdjustmentShown]:
    """The newest first."""
    rows = await tx.execute(
        text(
            _SHOWN + " WHERE (CAST(:account AS uuid) IS NULL OR account_id = :account)"
            " AND (NOT :waiting OR state = 0) ORDER BY created_at DESC, id DESC LIMIT :limit"
        ),
        {"account": account_id, "waiting": waiting, "limit": NEWEST},
    )
    return [_shown(row) for row in rows.mappings()]


def _shown(row: RowMapping) -> AdjustmentShown:
    return AdjustmentShown(
        id=row["id"],
        account_id=row["account_id"],
        microtokens=str(row["utok"]),
        reason=row["reason"],
        state=_STATES[row["state"]],
        actor=row["actor"],
        second=row["second"],
        order=row["order_no"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
    )
