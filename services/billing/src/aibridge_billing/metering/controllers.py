"""Balance and usage of an account."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from aibridge_billing.ledger.accounts import account_state
from aibridge_billing.metering.applied import spool_applied
from aibridge_billing.metering.own_keys import own_usage
from aibridge_billing.metering.queries import usage_page
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.billing import Balance, OwnKeyUsage, SpoolApplied, UsagePage
from aibridge_common.db.engine import Database, transaction
from aibridge_common.usage import MICROTOKENS_PER_TOKEN

OWN_USAGE = timedelta(days=30)
_EPOCH_MAX = 2**63 - 1


class MeteringController(Controller):
    """What an account has, what it used, and what a router may forget."""

    path, tags = "/v1", ["metering"]

    @get("/balance", operation_id="GetBalance")
    async def balance(
        self, database: NamedDependency[Database], account_id: FromQuery[UUID]
    ) -> Balance:
        """An account's tokens now; running requests are reserved."""
        async with transaction(database) as tx:
            state = await account_state(tx, account_id)
        whole, rest = divmod(state.spendable_microtokens, MICROTOKENS_PER_TOKEN)
        return Balance(
            account_id=account_id,
            posted_microtokens=str(state.posted_microtokens),
            reserved_microtokens=str(state.reserved_microtokens),
            spendable_microtokens=str(state.spendable_microtokens),
            debt_microtokens=str(state.debt_microtokens),
            spent_microtokens=str(state.spent_microtokens),
            spendable_tokens=f"{whole}.{rest:06d}".rstrip("0").rstrip("."),
        )

    @get("/usage", operation_id="ListUsage")
    async def usage(
        self,
        database: NamedDependency[Database],
        account_id: FromQuery[UUID],
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> UsagePage:
        """Charged exchanges, newest first."""
        async with transaction(database) as tx:
            return await usage_page(tx, account_id, limit, cursor)

    @get("/own-usage", operation_id="ListOwnKeyUsage")
    async def own_usage(
        self,
        database: NamedDependency[Database],
        account_id: FromQuery[UUID],
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
    ) -> list[OwnKeyUsage]:
        """What was used with the customer's own keys, by day and model; the last 30 days where no time is said."""
        ends = _utc(until) if until is not None else SystemClock().now()
        begins = _utc(since) if since is not None else ends - OWN_USAGE
        async with transaction(database) as tx:
            return await own_usage(tx, account_id, begins, ends)

    @get("/spool/{router:str}", operation_id="GetSpool")
    async def spool(
        self,
        router: FromPath[str],
        database: NamedDependency[Database],
        epoch_min: Annotated[int, QueryParameter(ge=0, le=_EPOCH_MAX)] = 0,
    ) -> SpoolApplied:
        """What of a router's usage is committed; it may delete that much from its disk."""
        async with transaction(database) as tx:
            return await spool_applied(tx, router, epoch_min)


def _utc(at: datetime) -> datetime:
    """A time without a zone is meant in UTC."""
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
