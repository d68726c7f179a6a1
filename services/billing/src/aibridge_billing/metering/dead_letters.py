"""Events that cannot be settled: kept whole, with the reason, for a person to resolve."""

from uuid import UUID

import msgspec
from sqlalchemy import text

from aibridge_common.db.engine import Transaction


async def bury(tx: Transaction, event_id: UUID | None, payload: object, reason: str) -> None:
    """Keep an event that cannot be settled; burying the same event again changes nothing."""
    await tx.execute(
        text(
            "INSERT INTO usage_dead_letter (event_id, payload, error)"
            " VALUES (:event_id, CAST(:payload AS jsonb), :reason) ON CONFLICT DO NOTHING"
        ),
        {
            "event_id": event_id,
            "payload": msgspec.json.encode(payload).decode(),
            "reason": reason[:2000],
        },
    )
