"""Who changed what through an API for people and tools.

Each service's schema has the table

    CREATE TABLE admin_audit (
      id       uuid  PRIMARY KEY,                -- in the order of time
      at       timestamptz NOT NULL DEFAULT now(),
      caller   text  NOT NULL,
      action   text  NOT NULL,
      subject  text  NOT NULL,
      document jsonb NOT NULL
    );

and rows are only ever added, in the transaction of the change.
"""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from aibridge_common.contracts.audit import AuditEntry, AuditPage
from aibridge_common.db.engine import Transaction
from aibridge_common.ids import uuid7


async def record(
    tx: Transaction, caller: str, action: str, subject: str, document: dict[str, Any]
) -> None:
    """Note a change in the transaction that makes it; `document` must hold no secret."""
    await tx.execute(
        text(
            "INSERT INTO admin_audit (id, caller, action, subject, document)"
            " VALUES (:id, :caller, :action, :subject, CAST(:document AS jsonb))"
        ),
        {
            "id": uuid7(),
            "caller": caller,
            "action": action,
            "subject": subject,
            "document": msgspec.json.encode(document).decode(),
        },
    )


async def audit_page(tx: Transaction, limit: int, cursor: UUID | None) -> AuditPage:
    """The newest changes before `cursor`."""
    rows = await tx.execute(
        text(
            "SELECT id, at, caller, action, subject, document FROM admin_audit"
            " WHERE CAST(:cursor AS uuid) IS NULL OR id < :cursor ORDER BY id DESC LIMIT :limit"
        ),
        {"cursor": cursor, "limit": limit + 1},
    )
    entries = [msgspec.convert(dict(row), AuditEntry) for row in rows.mappings()]
    more = len(entries) > limit
    return AuditPage(rows=entries[:limit], next=entries[limit - 1].id if more else None)
