"""What an account used."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from aibridge_common.contracts.billing import UsagePage, UsageRow
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import InvalidRequest
from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.ids import parse_request_id, public_request_id
from aibridge_common.usage import Usage

COLUMNS = (
    "event_id, occurred_at, key_id, requested_model, billed_model, provider, price_version, input_tok,"
    " cache_read_tok, cache_write_5m_tok, cache_write_1h_tok, output_tok, reasoning_tok, charge_utok,"
    " usage_source, outcome"
)


async def usage_page(
    tx: Transaction, account_id: UUID, limit: int, cursor: str | None
) -> UsagePage:
    """Charged exchanges, newest first. Raises `InvalidRequest` for a cursor that is none of ours."""
    try:
        before = parse_request_id(cursor) if cursor is not None else UUID(int=(1 << 128) - 1)
    except ValueError:
        raise InvalidRequest("cursor is not one that this API gave", param="cursor") from None
    rows = await tx.execute(
        text(
            f"SELECT {COLUMNS} FROM usage_event WHERE account_id = :account AND event_id < :before"  # noqa: S608
            " ORDER BY event_id DESC LIMIT :limit"
        ),
        {"account": account_id, "before": before, "limit": limit},
    )
    page = [usage_row(row) for row in rows]
    return UsagePage(rows=page, next=page[-1].request_id if len(page) == limit else None)


def usage_row(row: Row[Any]) -> UsageRow:
    """A charged exchange, from `COLUMNS`."""
    return UsageRow(
        request_id=public_request_id(row.event_id),
        occurred_at=row.occurred_at,
        key_id=row.key_id,
        requested_model=row.requested_model,
        model=row.billed_model,
        provider=row.provider,
        usage=Usage(
            input=row.input_tok,
            cache_read=row.cache_read_tok,
            cache_write_5m=row.cache_write_5m_tok,
            cache_write_1h=row.cache_write_1h_tok,
            output=row.output_tok,
            reasoning=row.reasoning_tok,
        ),
        charge_microtokens=str(row.charge_utok),
        price_version=row.price_version,
        usage_source=UsageSource(row.usage_source).name.lower(),
        outcome=Outcome(row.outcome).name.lower(),
    )
