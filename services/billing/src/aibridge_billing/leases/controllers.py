"""Leases: slices of balance that router workers admit requests from without asking again."""

from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from aibridge_billing.ledger.reservations import LEASE, release, reserve
from aibridge_common.contracts.billing import AcquireLease, Amount, Lease, ReleaseLease
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import InsufficientBalance, InvalidRequest

LEASE_TTL_S = 30
LEASE_HARD_TTL_S = 15 * 60
"""Longer than the longest request and a restart together: its holder may still report until then."""

_COLUMN_MAX = 2**63 - 1


class LeaseController(Controller):
    """Acquire and release."""

    path, tags = "/v1/leases", ["leases"]

    @post(operation_id="AcquireLease")
    async def acquire(
        self, data: JSONBody[AcquireLease], database: NamedDependency[Database]
    ) -> Lease:
        """Set tokens aside for a worker; 402 when less than the minimum is free. Safe to send again."""
        want, least = _within_reach(data.want_microtokens), _within_reach(data.min_microtokens)
        if not 0 < least <= want:
            raise InvalidRequest("min must be above 0 and not above want", param="min_microtokens")
        async with transaction(database) as tx:
            granted = await reserve(
                tx,
                reservation_id=data.lease_id,
                account_id=data.account_id,
                kind=LEASE,
                holder=data.holder,
                want_microtokens=want,
                min_microtokens=least,
                ttl_s=LEASE_TTL_S,
                hard_ttl_s=LEASE_HARD_TTL_S,
            )
        if granted is None:
            raise InsufficientBalance("the spendable balance is below what this request may cost")
        return Lease(lease_id=data.lease_id, granted_microtokens=str(granted), ttl_s=LEASE_TTL_S)

    @post("/{lease_id:uuid}/release", operation_id="ReleaseLease", status_code=204)
    async def release(
        self,
        lease_id: FromPath[UUID],
        data: JSONBody[ReleaseLease],
        database: NamedDependency[Database],
    ) -> None:
        """Free what the worker no longer needs. Safe to send again."""
        async with transaction(database) as tx:
            await release(tx, lease_id, _within_reach(data.keep_microtokens))


def _within_reach(amount: Amount) -> int:
    """An amount that a column can hold; no balance is larger, so a larger one means the same."""
    return min(int(amount), _COLUMN_MAX)
