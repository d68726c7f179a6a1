"""All of an account's usage as one document, written while it is read: memory does not grow with it."""

import csv
import io
from collections.abc import AsyncGenerator, Callable, Iterable
from uuid import UUID

import msgspec
from sqlalchemy import text

from aibridge_billing.metering.queries import COLUMNS, usage_row
from aibridge_billing.usage_reports.period import Period
from aibridge_common.contracts.billing import UsageRow
from aibridge_common.db.engine import Database, transaction
from aibridge_common.usage import Usage

PAGE = 1000
HEAD = (
    "request_id",
    "occurred_at",
    "key_id",
    "requested_model",
    "model",
    "provider",
    *Usage.__struct_fields__,
    "charge_microtokens",
    "price_version",
    "usage_source",
    "outcome",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula (OWASP, CSV injection); a quote before it makes it text."""


async def usage_pages(
    database: Database, account_id: UUID, period: Period
) -> AsyncGenerator[list[UsageRow]]:
    """Oldest first, a page and a transaction at a time."""
    after = UUID(int=max(0, period.first.int - 1))
    while True:
        async with transaction(database) as tx:
            rows = await tx.execute(
                text(
                    f"SELECT {COLUMNS} FROM usage_event"  # noqa: S608
                    " WHERE account_id = :account AND event_id > :after AND event_id < :end"
                    " ORDER BY event_id LIMIT :limit"
                ),
                {"account": account_id, "after": after, "end": period.end, "limit": PAGE},
            )
            found = rows.all()
        if found:
            after = found[-1].event_id
            yield [usage_row(row) for row in found]
        if len(found) < PAGE:
            return


async def as_json(pages: AsyncGenerator[list[UsageRow]]) -> AsyncGenerator[bytes]:
    """One array. Should the database go away meanwhile it stays open, so that no reader takes it for all there is."""
    between = b"["
    async for page in pages:
        yield between + b",\n".join(msgspec.json.encode(row) for row in page)
        between = b",\n"
    yield b"[]" if between == b"[" else b"]"


async def as_csv(pages: AsyncGenerator[list[UsageRow]]) -> AsyncGenerator[bytes]:
    """RFC 4180, with a head."""
    yield _lines([HEAD])
    async for page in pages:
        yield _lines(_cells(row) for row in page)


FORMATS: dict[
    str, tuple[str, Callable[[AsyncGenerator[list[UsageRow]]], AsyncGenerator[bytes]]]
] = {
    "csv": ("text/csv", as_csv),
    "json": ("application/json", as_json),
}


def _cells(row: UsageRow) -> list[str]:
    values = (
        row.request_id,
        row.occurred_at.isoformat(),
        str(row.key_id or ""),
        row.requested_model,
        row.model,
        row.provider,
        *(str(getattr(row.usage, kind)) for kind in Usage.__struct_fields__),
        row.charge_microtokens,
        str(row.price_version),
        row.usage_source,
        row.outcome,
    )
    return [f"'{value}" if value.startswith(_FORMULA) else value for value in values]


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
