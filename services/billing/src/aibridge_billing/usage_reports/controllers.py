"""Usage by day, model and key, and all of it as a file."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from aibridge_billing.usage_reports.export import FORMATS, usage_pages
from aibridge_billing.usage_reports.period import period
from aibridge_billing.usage_reports.sums import By, usage_sums
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.billing import UsageSum
from aibridge_common.db.engine import Database, transaction


class UsageReportController(Controller):
    """What an account was charged for, in sum and in whole."""

    path, tags = "/v1/usage", ["metering"]

    @get("/summary", operation_id="SumUsage")
    async def summary(
        self,
        account_id: FromQuery[UUID],
        database: NamedDependency[Database],
        by: Annotated[list[By] | None, QueryParameter()] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        key_id: FromQuery[UUID | None] = None,
    ) -> list[UsageSum]:
        """Sums by `by=day`, `by=model`, `by=key`, also repeated; the last 30 days where no time is said.

        With `key_id` only what was asked with that key.
        """
        asked = period(since, until, SystemClock().now())
        async with transaction(database) as tx:
            return await usage_sums(tx, account_id, asked, by or ["day"], key_id)

    @get("/export", operation_id="ExportUsage")
    async def export(
        self,
        account_id: FromQuery[UUID],
        database: NamedDependency[Database],
        format: FromQuery[Literal["csv", "json"]] = "csv",  # noqa: A002 - the name callers write
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
    ) -> Stream:
        """Every charged exchange, oldest first, as a stream of CSV or a JSON array."""
        asked = period(since, until, SystemClock().now())
        media_type, written = FORMATS[format]
        return Stream(
            written(usage_pages(database, account_id, asked)),
            media_type=media_type,
            headers={"content-disposition": f'attachment; filename="usage.{format}"'},
        )
