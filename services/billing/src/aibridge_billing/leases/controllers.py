"""Leases: slices of balance that router workers admit requests from without asking again."""

from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from aibridge_billing.leases.sizing import Offer, offer
from aibridge_billing.ledger.reservations import (
    HOLD,
    LEASE,
    Standing,
    extend,
    find_reservation,
    lock_standing,
    release,
    reserve,
)
from aibridge_billing.recall import recall_leases
from aibridge_common.bus.nats import Bus
from aibridge_common.contracts.billing import (
    AcquireLease,
    Amount,
    ExtendLease,
    Lease,
    ReleaseLease,
)
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import Conflict, InsufficientBalance, InvalidRequest

LEASE_TTL_S = 30
LEASE_HARD_TTL_S = 15 * 60
"""Longer than the longest request and a restart together: its holder may still report until then."""

RESERVED_RETRY_S = 2
"""When requests that hold the balance may have ended."""

_COLUMN_MAX = 2**63 - 1


class LeaseController(Controller):
    """Acquire and release."""

    path, tags = "/v1/leases", ["leases"]

    @post(operation_id="AcquireLease")
    async def acquire(
        self,
        data: JSONBody[AcquireLease],
        database: NamedDependency[Database],
        bus: NamedDependency[Bus],
    ) -> Lease:
        """Set tokens aside for a worker. Safe to send again.

        402 when less than the minimum is free, with `Retry-After` when the rest is reserved and not spent.
        """
        want, least = _within_reach(data.want_microtokens), _within_reach(data.min_microtokens)
        if not 0 < least <= want:
            raise InvalidRequest("min must be above 0 and not above want", param="min_microtokens")
        async with transaction(database) as tx:
            standing = await lock_standing(tx, data.account_id, data.holder)
            lease = await _grant(tx, data, standing, want, least)
        if lease is not None:
            return lease
        if data.request_waits:
            await _recall(bus, data.account_id, standing)
        raise _refusal(standing, least)

    @post("/{lease_id:uuid}/extend", operation_id="ExtendLease", status_code=200)
    async def extend(
        self,
        lease_id: FromPath[UUID],
        data: JSONBody[ExtendLease],
        database: NamedDependency[Database],
        bus: NamedDependency[Bus],
    ) -> Lease:
        """Let a lease grow for a stream that runs on. Safe to send again. 402 as when one is acquired."""
        total = _within_reach(data.granted_microtokens)
        least = _within_reach(data.min_microtokens)
        if not 0 < least <= total:
            raise InvalidRequest(
                "min must be above 0 and not above granted", param="min_microtokens"
            )
        async with transaction(database) as tx:
            standing = await lock_standing(tx, data.account_id)
            before = await find_reservation(tx, lease_id, data.account_id)
            if before is None or not before.is_open:
                raise Conflict("this lease was given back", param="lease_id")
            granted = await extend(
                tx,
                reservation_id=lease_id,
                account_id=data.account_id,
                total_microtokens=total,
                min_microtokens=least,
                ttl_s=LEASE_TTL_S,
                hard_ttl_s=LEASE_HARD_TTL_S,
            )
        if granted is not None:
            return _lease(lease_id, granted, one_request=before.kind == HOLD)
        await _recall(bus, data.account_id, standing)
        raise _refusal(standing, least - before.microtokens)

    @post("/{lease_id:uuid}/release", operation_id="ReleaseLease", status_code=204)
    async def release(
        self,
        lease_id: FromPath[UUID],
        data: JSONBody[ReleaseLease],
        database: NamedDependency[Database],
    ) -> None:
        """Free what the worker no longer needs. Safe to send again."""
        async with transaction(database) as tx:
            granted = data.granted_microtokens
            await release(
                tx,
                lease_id,
                _within_reach(data.keep_microtokens),
                None if granted is None else _within_reach(granted),
            )


async def _recall(bus: Bus, account_id: UUID, standing: Standing | None) -> None:
    """Ask workers for what lies in their leases and may be free."""
    if standing is not None and standing.leased_microtokens:
        await recall_leases(bus, account_id)


def _refusal(standing: Standing | None, least: int) -> InsufficientBalance:
    """With a time to try again where only other requests are in the way."""
    if standing is None or standing.posted_microtokens < least:
        return InsufficientBalance("the balance is below what this request may cost")
    return InsufficientBalance(
        "the balance is held by other requests", retry_after_s=RESERVED_RETRY_S
    )


async def _grant(
    tx: Transaction, data: AcquireLease, standing: Standing | None, want: int, least: int
) -> Lease | None:
    before = await find_reservation(tx, data.lease_id, data.account_id)
    if before is not None:
        if not before.is_open:
            raise Conflict("this lease was given back", param="lease_id")
        return _lease(data.lease_id, before.microtokens, one_request=before.kind == HOLD)
    if standing is None:
        return None
    if data.for_one:
        offered = Offer(want, one_request=True)
    else:
        offered = offer(want, least, standing.free_microtokens, standing.workers)
    if offered is None or (offered.one_request and not data.request_waits):
        return None
    granted = await reserve(
        tx,
        reservation_id=data.lease_id,
        account_id=data.account_id,
        kind=HOLD if offered.one_request else LEASE,
        holder=data.holder,
        want_microtokens=offered.microtokens,
        min_microtokens=least,
        ttl_s=LEASE_TTL_S,
        hard_ttl_s=LEASE_HARD_TTL_S,
    )
    return (
        _lease(data.lease_id, granted, one_request=offered.one_request)
        if granted is not None
        else None
    )


def _lease(lease_id: UUID, granted_microtokens: int, *, one_request: bool) -> Lease:
    return Lease(
        lease_id=lease_id,
        granted_microtokens=str(granted_microtokens),
        ttl_s=LEASE_TTL_S,
        one_request=one_request,
    )


def _within_reach(amount: Amount) -> int:
    """An amount that a column can hold; no balance is larger, so a larger one means the same."""
    return min(int(amount), _COLUMN_MAX)
