"""An account's options are columns of the user it belongs to, where verifying a key finds them without a join."""

from uuid import UUID

from sqlalchemy import text

from aibridge_common.db.engine import Transaction
from aibridge_common.routing import RoutingOptions


async def routing_of(tx: Transaction, account_id: UUID) -> RoutingOptions | None:
    """The account's options; None for an unknown account."""
    result = await tx.execute(
        text(
            "SELECT failover, continuation, larger_context FROM app_user WHERE account_id = :account"
        ),
        {"account": account_id},
    )
    row = result.mappings().one_or_none()
    return RoutingOptions(**row) if row is not None else None


async def put_routing(tx: Transaction, account_id: UUID, options: RoutingOptions) -> bool:
    """Replace the account's options; False for an unknown account."""
    result = await tx.execute(
        text(
            "UPDATE app_user SET failover = :failover, continuation = :continuation,"
            " larger_context = :larger_context WHERE account_id = :account RETURNING account_id"
        ),
        {
            "account": account_id,
            "failover": options.failover,
            "continuation": options.continuation,
            "larger_context": options.larger_context,
        },
    )
    return result.one_or_none() is not None
