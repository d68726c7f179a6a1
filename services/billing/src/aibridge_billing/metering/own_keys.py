"""Usage with customers' own keys: counted on its own, once for each event, and never charged."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from aibridge_common.contracts.billing import OwnKeyUsage
from aibridge_common.db.engine import Transaction
from aibridge_common.events.usage import UsageRecorded
from aibridge_common.usage import OUT_OF_RANGE


def uncountable(event: UsageRecorded) -> str | None:
    """Why the table would refuse it. One that it refuses would keep away all that is settled with it."""
    if not event.usage.plausible:
        return OUT_OF_RANGE
    if "\0" in event.billed_model + event.provider:
        return "a name with a zero character"
    return None


async def count_own_usage(tx: Transaction, events: list[UsageRecorded]) -> int:
    """How many were new; part of the transaction that settles the others."""
    if not events:
        return 0
    usages = [event.usage for event in events]
    rows = await tx.execute(
        text(
            "INSERT INTO own_key_usage"
            " (event_id, account_id, key_id, model, provider, input_tok, cached_tok, output_tok, occurred_at)"
            " SELECT * FROM unnest(CAST(:event AS uuid[]), CAST(:account AS uuid[]), CAST(:key AS uuid[]),"
            " CAST(:model AS text[]), CAST(:provider AS text[]), CAST(:input AS bigint[]),"
            " CAST(:cached AS bigint[]), CAST(:output AS bigint[]), CAST(:at AS timestamptz[]))"
            " AS u (ev, ac, ke, mo, pr, i, c, o, at) ORDER BY ev ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {
            "event": [event.event_id for event in events],
            "account": [event.account_id for event in events],
            "key": [event.key_id for event in events],
            "model": [event.billed_model for event in events],
            "provider": [event.provider for event in events],
            "input": [usage.input for usage in usages],
            "cached": [
                usage.cache_read + usage.cache_write_5m + usage.cache_write_1h for usage in usages
            ],
            "output": [usage.output + usage.reasoning for usage in usages],
            "at": [event.occurred_at for event in events],
        },
    )
    return len(rows.all())


async def own_usage(
    tx: Transaction, account_id: UUID, since: datetime, until: datetime
) -> list[OwnKeyUsage]:
    """By day (UTC) and model, the newest day first."""
    rows = await tx.execute(
        text(
            "SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, provider, model, count(*) AS requests,"
            " sum(input_tok) AS input, sum(cached_tok) AS cached, sum(output_tok) AS output"
            " FROM own_key_usage WHERE account_id = :account AND occurred_at >= :since AND occurred_at < :until"
            " GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3"
        ),
        {"account": account_id, "since": since, "until": until},
    )
    return [
        OwnKeyUsage(
            day=row.day,
            provider=row.provider,
            model=row.model,
            requests=row.requests,
            input_tokens=str(row.input),
            cached_tokens=str(row.cached),
            output_tokens=str(row.output),
        )
        for row in rows
    ]
