"""Usage summed by day, model and key."""

from typing import Literal
from uuid import UUID

from sqlalchemy import text

from aibridge_billing.usage_reports.period import Period
from aibridge_common.contracts.billing import UsageSum
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import InvalidRequest

By = Literal["day", "model", "key"]
ROWS_MAX = 10_000

_COLUMNS: dict[str, str] = {
    "day": "(occurred_at AT TIME ZONE 'UTC')::date AS day",
    "model": "billed_model AS model",
    "key": "key_id",
}


async def usage_sums(
    tx: Transaction, account_id: UUID, period: Period, by: list[By], key_id: UUID | None = None
) -> list[UsageSum]:
    """One row for each combination, in order. Raises `InvalidRequest` where there are more than 10 000."""
    wanted = [_COLUMNS[one] for one in dict.fromkeys(by)]
    places = ", ".join(str(place) for place in range(1, len(wanted) + 1))
    grouped = f" GROUP BY {places} ORDER BY {places}" if wanted else ""
    rows = await tx.execute(
        text(
            f"SELECT {''.join(one + ', ' for one in wanted)}count(*) AS requests,"  # noqa: S608 - columns are named above
            " coalesce(sum(input_tok), 0)::text AS input_tokens,"
            " coalesce(sum(cache_read_tok + cache_write_5m_tok + cache_write_1h_tok), 0)::text AS cached_tokens,"
            " coalesce(sum(output_tok + reasoning_tok), 0)::text AS output_tokens,"
            " coalesce(sum(charge_utok), 0)::text AS charge_microtokens"
            " FROM usage_event WHERE account_id = :account AND event_id >= :first AND event_id < :end"
            " AND (CAST(:key AS uuid) IS NULL OR key_id = :key)"
            f"{grouped} LIMIT :most"
        ),
        {
            "account": account_id,
            "key": key_id,
            "first": period.first,
            "end": period.end,
            "most": ROWS_MAX + 1,
        },
    )
    found = [UsageSum(**row) for row in rows.mappings()]
    if len(found) > ROWS_MAX:
        raise InvalidRequest(
            f"these are more than {ROWS_MAX} rows; ask for less time at once", param="since"
        )
    return found
