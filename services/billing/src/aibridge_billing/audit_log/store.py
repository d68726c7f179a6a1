"""Who changed what. Rows are only ever added, in the transaction of the change."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from aibridge_common.contracts.orders import AuditRow, BillingAudit
from aibridge_common.db.engine import Transaction
from aibridge_common.ids import uuid7


async def record(
    tx: Transaction, caller: str, action: str, subject: str, *, actor: UUID | None, **detail: Any
) -> None:
    """Note it. `detail` holds no secret."""
    await tx.execute(
        text(
            "INSERT INTO billing_audit (id, caller, actor, action, subject, detail)"
            " VALUES (:id, :caller, :actor, :action, :subject, CAST(:detail AS jsonb))"
        ),
        {
            "id": uuid7(),
            "caller": caller,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": msgspec.json.encode(detail).decode(),
        },
    )


async def audit_page(tx: Transaction, limit: int, cursor: UUID | None) -> BillingAudit:
    """Newest first, after `cursor`."""
    rows = await tx.execute(
        text(
            "SELECT id, at, caller, actor, action, subject, detail FROM billing_audit"
            " WHERE CAST(:cursor AS uuid) IS NULL OR id < :cursor ORDER BY id DESC LIMIT :limit"
        ),
        {"cursor": cursor, "limit": limit + 1},
    )
    found = [AuditRow(**row) for row in rows.mappings()]
    more = len(found) > limit
    return BillingAudit(rows=found[:limit], next=found[limit - 1].id if more else None)
