"""Settle charges: one call, one batch, one transaction."""

from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import text

from aibridge_common.db.engine import Transaction
from aibridge_common.events.usage import UsageRecorded


class Charge(Struct, frozen=True, kw_only=True):
    """An exchange with its price."""

    event: UsageRecorded
    charge_microtokens: int


class Settled(Struct, frozen=True, kw_only=True):
    """How many events of a batch were new, and how many had been settled before."""

    applied: int
    duplicates: int


_SETTLE = text(
    "SELECT applied, duplicates FROM settle_batch("
    "CAST(:event AS uuid[]), CAST(:account AS uuid[]), CAST(:key AS uuid[]), CAST(:reservation AS uuid[]),"
    "CAST(:requested AS text[]), CAST(:billed AS text[]), CAST(:provider AS text[]), CAST(:version AS int[]),"
    "CAST(:input AS bigint[]), CAST(:cache_read AS bigint[]), CAST(:cache_write_5m AS bigint[]),"
    "CAST(:cache_write_1h AS bigint[]), CAST(:output AS bigint[]), CAST(:reasoning AS bigint[]),"
    "CAST(:charge AS bigint[]), CAST(:source AS smallint[]), CAST(:outcome AS smallint[]),"
    "CAST(:endpoint AS text[]), CAST(:stream AS boolean[]), CAST(:first_ms AS int[]), CAST(:total_ms AS int[]),"
    "CAST(:at AS timestamptz[]), CAST(:request AS uuid[]), CAST(:attempts AS text[]), CAST(:reported AS text[]))"
)
_MILLISECONDS_MAX = 2_147_483_647


async def settle(tx: Transaction, charges: list[Charge]) -> Settled:
    """Record and charge a batch. An event id that is there already changes nothing.

    Raises a database error when any event breaks an invariant; the whole batch is then undone.
    """
    unique: dict[UUID, Charge] = {charge.event.event_id: charge for charge in charges}
    events = [charge.event for charge in unique.values()]
    usages = [event.usage for event in events]
    row = await tx.execute(
        _SETTLE,
        {
            "event": [event.event_id for event in events],
            "account": [event.account_id for event in events],
            "key": [event.key_id for event in events],
            "reservation": [event.lease_id for event in events],
            "requested": [event.requested_model for event in events],
            "billed": [event.billed_model for event in events],
            "provider": [event.provider for event in events],
            "version": [event.price_version for event in events],
            "input": [usage.input for usage in usages],
            "cache_read": [usage.cache_read for usage in usages],
            "cache_write_5m": [usage.cache_write_5m for usage in usages],
            "cache_write_1h": [usage.cache_write_1h for usage in usages],
            "output": [usage.output for usage in usages],
            "reasoning": [usage.reasoning for usage in usages],
            "charge": [charge.charge_microtokens for charge in unique.values()],
            "source": [int(event.source) for event in events],
            "outcome": [int(event.outcome) for event in events],
            "endpoint": [event.endpoint for event in events],
            "stream": [event.stream for event in events],
            "first_ms": [_milliseconds(event.first_content_ms) for event in events],
            "total_ms": [_milliseconds(event.total_ms) for event in events],
            "at": [event.occurred_at for event in events],
            "request": [event.request_id for event in events],
            "attempts": [attempts_json(event) for event in events],
            "reported": [reported_json(event) for event in events],
        },
    )
    applied, duplicates = row.one()
    return Settled(applied=applied, duplicates=duplicates + len(charges) - len(unique))


def attempts_json(event: UsageRecorded) -> str:
    """The attempts as a receipt's canonical text has them."""
    if not event.attempts:
        return "[]"
    return _canonical(
        [
            {
                "ended": _text(attempt.ended),
                "model": _text(attempt.model),
                "own_key": attempt.own_key,
                "provider": _text(attempt.provider),
                "took_ms": str(attempt.took_ms),
            }
            for attempt in event.attempts
        ]
    )


def reported_json(event: UsageRecorded) -> str:
    """The provider's usage objects as strings: nothing in them is interpreted, so nothing in them changes."""
    if not event.reported:
        return "[]"
    return _canonical([_text(bytes(raw).decode("utf-8", "replace")) for raw in event.reported])


def _canonical(document: object) -> str:
    return msgspec.json.encode(document, order="sorted").decode()


def _text(value: str) -> str:
    """PostgreSQL keeps no zero character."""
    return value.replace("\0", "\ufffd")


def _milliseconds(value: int) -> int:
    """Within the column: a strange duration must not keep a charge away."""
    return max(0, min(value, _MILLISECONDS_MAX))
