"""Admission: holds from the lease book, new leases from billing when the book runs low."""

from uuid import UUID

import anyio
from anyio.abc import TaskGroup

from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import Clock
from aibridge_common.contracts.billing import AcquireLease
from aibridge_common.errors import AIBridgeError, InsufficientBalance, Unavailable
from aibridge_common.ids import uuid7
from aibridge_common.telemetry.log import get_logger
from aibridge_router.credit.book import EXPIRY_MARGIN_S, HeldLease, Hold, LeaseBook

RETURN_EVERY_S = 1.0


class Wallets:
    """Holds for all accounts of this worker."""

    def __init__(self, billing: BillingClient, clock: Clock, holder: str) -> None:
        self._billing = billing
        self._clock = clock
        self._holder = holder
        self._book = LeaseBook()
        self._locks: dict[UUID, anyio.Lock] = {}
        self._refilling: set[UUID] = set()
        self._tasks: TaskGroup | None = None
        self._log = get_logger()

    async def hold(self, account_id: UUID, amount_microtokens: int) -> Hold:
        """Set aside what a request may cost. Raises `InsufficientBalance`; `Unavailable` when billing is away."""
        now_s = self._clock.monotonic_s()
        hold = self._book.admit(now_s, account_id, amount_microtokens)
        if hold is None:
            return await self._hold_from_new_lease(account_id, amount_microtokens)
        if account_id not in self._refilling and self._book.runs_low(
            now_s, account_id, amount_microtokens
        ):
            self._refill_soon(account_id, amount_microtokens)
        return hold

    def finish(self, hold: Hold, charge_microtokens: int, sequence: int) -> None:
        """The request is over and cost this much; `sequence` is the number of its charge in the spool, 0 for none."""
        self._book.finish(hold, charge_microtokens, sequence)

    def applied(self, sequence: int) -> None:
        """Billing has committed every charge up to this number of the spool's run."""
        self._book.applied(sequence)

    async def run(self) -> None:
        """Give expired leases back for ever."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            while True:
                await anyio.sleep(RETURN_EVERY_S)
                for lease, keep in list(self._book.expired(self._clock.monotonic_s())):
                    if keep == 0 or not lease.returned:
                        await self._give_back(lease, keep)

    async def give_all_back(self) -> None:
        """At shutdown: free everything that no running request needs."""
        for lease in self._book.all():
            await self._give_back(lease, self._book.keep_microtokens(lease))

    async def _hold_from_new_lease(self, account_id: UUID, amount_microtokens: int) -> Hold:
        lock = self._locks.setdefault(account_id, anyio.Lock())
        async with lock:  # one question to billing, however many requests wait for its answer
            hold = self._book.admit(self._clock.monotonic_s(), account_id, amount_microtokens)
            if hold is None:
                await self._acquire(account_id, amount_microtokens)
                hold = self._book.admit(self._clock.monotonic_s(), account_id, amount_microtokens)
        if not lock.statistics().tasks_waiting:
            self._locks.pop(account_id, None)
        if hold is None:
            raise Unavailable("the balance is being used by other requests", retry_after_s=2)
        return hold

    def _refill_soon(self, account_id: UUID, amount_microtokens: int) -> None:
        if self._tasks is None:
            return
        self._refilling.add(account_id)
        self._tasks.start_soon(self._refill, account_id, amount_microtokens)

    async def _refill(self, account_id: UUID, amount_microtokens: int) -> None:
        try:
            await self._acquire(account_id, amount_microtokens)
        except AIBridgeError:
            await anyio.sleep(
                1.0
            )  # the balance is low or billing away: the next request will say so
        finally:
            self._refilling.discard(account_id)

    async def _acquire(self, account_id: UUID, amount_microtokens: int) -> None:
        asked_at_s = self._clock.monotonic_s()
        want = self._book.next_lease_microtokens(asked_at_s, account_id, amount_microtokens)
        command = AcquireLease(
            lease_id=uuid7(),
            account_id=account_id,
            holder=self._holder,
            want_microtokens=str(want),
            min_microtokens=str(amount_microtokens),
        )
        try:
            lease = await self._billing.acquire_lease(command)
        except InsufficientBalance:
            raise InsufficientBalance(
                "the token balance is too small for what this request may cost; buy tokens or lower its output limit"
            ) from None
        granted = int(lease.granted_microtokens)
        self._book.add(
            HeldLease(
                lease_id=lease.lease_id,
                account_id=account_id,
                granted_microtokens=granted,
                free_microtokens=granted,
                expires_at_s=asked_at_s + lease.ttl_s - EXPIRY_MARGIN_S,
            )
        )

    async def _give_back(self, lease: HeldLease, keep_microtokens: int) -> None:
        lease.free_microtokens = 0
        try:
            await self._billing.release_lease(lease.lease_id, keep_microtokens)
        except AIBridgeError as error:
            self._log.warning("lease.not_returned", error=error.code)
            return
        lease.returned = True
        if keep_microtokens == 0:
            self._book.close(lease)
