"""Events that cannot be settled: kept whole, with the reason, for a person to resolve."""

import re
from uuid import UUID

import msgspec
from sqlalchemy import text

from aibridge_common.db.engine import Transaction

_ZERO = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A zero character as JSON writes it: PostgreSQL keeps none, and what cannot be buried would come for ever."""


async def bury(tx: Transaction, event_id: UUID | None, payload: object, reason: str) -> None:
    """Keep an event that cannot be settled; burying the same event again changes nothing."""
    if isinstance(payload, str):  # may be long and nothing but zeros, which the pattern is slow at
        payload = payload.replace("\0", "\ufffd")
    await tx.execute(
        text(
            "INSERT INTO usage_dead_letter (event_id, payload, error)"
            " VALUES (:event_id, CAST(:payload AS jsonb), :reason) ON CONFLICT DO NOTHING"
        ),
        {
            "event_id": event_id,
            "payload": _ZERO.sub(r"\1\\ufffd", msgspec.json.encode(payload).decode()),
            "reason": reason[:2000].replace("\0", "\ufffd"),
        },
    )
