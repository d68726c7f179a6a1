"""Admission: holds from the lease book, new leases from billing when the book runs low."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

import anyio
import msgspec

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import Clock
from aibridge_common.contracts.billing import AcquireLease, ExtendLease, Lease
from aibridge_common.errors import AIBridgeError, InsufficientBalance, Unavailable
from aibridge_common.events.leases import RECALL_SUBJECT, LeasesRecalled
from aibridge_common.ids import uuid7
from aibridge_common.telemetry.log import get_logger
from aibridge_router.credit.book import EXPIRY_MARGIN_S, GiveBack, HeldLease, Hold, LeaseBook
from aibridge_router.credit.line import RECALL_PAUSES_S, RECALL_WITHIN_S, Line, Waiting

RETURN_EVERY_S = 1.0
ASK_S = 1.5
"""Billing answers within milliseconds. An answer that takes longer may be lost, and is asked for once more."""
ASKS_MAX = 2
FORSAKEN_S = 30.0
"""A lease whose answer never came is given back at once, and once more after this long: the question may have been
on its way, and every statement of it has ended by then."""

T = TypeVar("T")

_decode = msgspec.json.Decoder(LeasesRecalled).decode


class _Waiting(Waiting, eq=False, kw_only=True):
    answer: asyncio.Future[Hold]


class Wallets:
    """Holds for all accounts of this worker."""

    def __init__(self, billing: BillingClient, clock: Clock, holder: str) -> None:
        self._billing = billing
        self._clock = clock
        self._holder = holder
        self._book = LeaseBook()
        self._lines: dict[UUID, Line[_Waiting]] = {}
        self._refilling: set[UUID] = set()
        self._growing: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._refills = False
        self._forsaken: dict[UUID, float] = {}
        """Leases that may have been granted to us, and until when that may still happen."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger()

    async def hold(self, account_id: UUID, amount_microtokens: int) -> Hold:
        """Set aside what a request may cost.

        Raises `InsufficientBalance`, with `retry_after_s` when only other requests are in the way; `Unavailable`
        when billing is away.
        """
        now_s = self._clock.monotonic_s()
        hold = self._book.admit(now_s, account_id, amount_microtokens)
        if hold is None:
            return await self._wait(account_id, amount_microtokens)
        if (
            self._refills
            and account_id not in self._refilling
            and self._book.runs_low(now_s, account_id, amount_microtokens)
        ):
            self._refilling.add(account_id)
            self._start(self._refill(account_id, amount_microtokens))
        return hold

    async def hold_what_is_there(
        self, account_id: UUID, least_microtokens: int, most_microtokens: int
    ) -> Hold:
        """The same for a request that makes do with less, once `hold` has refused it. Raises as `hold` does."""
        await self._give_back_free(account_id)
        now_s = self._clock.monotonic_s()
        command = self._command(
            account_id, most_microtokens, least_microtokens, request_waits=True, for_one=True
        )
        lease = await self._acquire(command)
        return self._book.add_for_one(now_s, self._held(command, lease, now_s))

    async def extend(
        self, hold: Hold, more_microtokens: int, least_microtokens: int | None = None
    ) -> None:
        """Let a running request's hold grow, by no less than `least_microtokens`. Raises as `hold` does."""
        least = more_microtokens if least_microtokens is None else least_microtokens
        if self._book.extend(self._clock.monotonic_s(), hold, more_microtokens):
            return
        lease_id = hold.lease_id
        one_at_a_time = self._growing.get(lease_id)
        if one_at_a_time is None:
            one_at_a_time = self._growing[lease_id] = asyncio.Lock()
        async with one_at_a_time:
            await self._grow(hold, more_microtokens, least)

    def finish(self, hold: Hold, charge_microtokens: int, sequence: int) -> None:
        """The request is over and cost this much; `sequence` is the number of its charge in the spool, 0 for none."""
        self._book.finish(hold, charge_microtokens, sequence)

    def applied(self, sequence: int) -> None:
        """Billing has committed every charge up to this number of the spool's run."""
        self._book.applied(sequence)

    async def on_recall(self, payload: bytes) -> None:
        """Billing wants back what is free of an account; the bus is not kept waiting for it."""
        try:
            account_id = _decode(payload).account_id
        except msgspec.DecodeError as error:
            self._log.warning("recall.not_read", error=str(error))
            return
        self._start(self._give_back_free(account_id))

    async def run(self, bus: Bus) -> None:
        """Give back what ended and what is recalled, for ever; leases are refilled while it does."""
        await bus.subscribe(RECALL_SUBJECT, self.on_recall)
        self._refills = True
        try:
            while True:
                await anyio.sleep(RETURN_EVERY_S)
                for given in self._book.take_due(self._clock.monotonic_s()):
                    await self._give_back(given)
                await self._give_back_forsaken()
        finally:
            self._refills = False

    async def give_all_back(self) -> None:
        """At shutdown: free everything that no running request needs."""
        for given in self._book.take_all():
            await self._give_back(given)
        await self._give_back_forsaken()

    # --- leases that grow ---------------------------------------------------------------------

    async def _grow(self, hold: Hold, more_microtokens: int, least_microtokens: int) -> None:
        """One at a time for a lease: the totals that are asked for must rise."""
        lease, granted = hold.lease, hold.lease.granted_microtokens
        command = ExtendLease(
            account_id=lease.account_id,
            granted_microtokens=str(granted + more_microtokens),
            min_microtokens=str(granted + least_microtokens),
        )
        until_s = self._clock.monotonic_s() + RECALL_WITHIN_S

        async def extend() -> Lease:
            return await self._billing.extend_lease(lease.lease_id, command)

        async def ask() -> Lease:
            return await self._ask(
                extend, lambda: self._book.may_have_grown(lease, granted + more_microtokens)
            )

        grown = await self._recalling(lease.account_id, lambda _now_s: until_s, ask)
        self._book.grown(hold, int(grown.granted_microtokens))

    # --- waiting for tokens -------------------------------------------------------------------

    async def _wait(self, account_id: UUID, amount_microtokens: int) -> Hold:
        waiting = _Waiting(
            amount_microtokens=amount_microtokens,
            answer=asyncio.get_running_loop().create_future(),
        )
        line = self._lines.get(account_id)
        if line is None:
            line = self._lines[account_id] = Line()
            line.join(waiting)
            self._start(self._serve(account_id, line))
        else:
            line.join(waiting)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            line.leave(waiting)
            answer = waiting.answer
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._book.finish(answer.result(), 0, 0)  # it came while its request was ended
            raise

    async def _serve(self, account_id: UUID, line: Line[_Waiting]) -> None:
        """Ask billing for those who wait, one question at a time, until nobody does."""
        try:
            while line:
                await self._serve_first(account_id, line)
        except BaseException:
            _dismiss(line, 0, Unavailable("billing cannot be asked at the moment"))
            raise
        finally:
            del self._lines[account_id]

    async def _serve_first(self, account_id: UUID, line: Line[_Waiting]) -> None:
        first, amount = line.first, line.first.amount_microtokens
        now_s = self._clock.monotonic_s()
        want = self._book.next_lease_microtokens(now_s, account_id, amount, line.total_microtokens)
        command = self._command(account_id, want, amount, request_waits=True)
        try:
            lease = await self._recalling(
                account_id, line.recall_until_s, lambda: self._acquire(command)
            )
        except InsufficientBalance as error:
            _dismiss(line, amount, error)
            return
        except AIBridgeError as error:
            _dismiss(line, 0, error)
            return
        line.granted()
        held = self._held(command, lease, now_s)
        if lease.one_request:
            hold = self._book.add_for_one(now_s, held)
            if first.answer.done():
                self._book.finish(hold, 0, 0)
            else:
                line.leave(first)
                first.answer.set_result(hold)
            return
        self._book.add(held)
        now_s = self._clock.monotonic_s()
        for each in line.each():
            hold = self._book.admit(now_s, account_id, each.amount_microtokens)
            if hold is not None:
                line.leave(each)
                each.answer.set_result(hold)

    async def _recalling(
        self, account_id: UUID, until_s: Callable[[float], float], ask: Callable[[], Awaitable[T]]
    ) -> T:
        """Ask again for a while as others give back, this worker first. Raises as `ask` does."""
        for pause_s in RECALL_PAUSES_S:
            try:
                return await ask()
            except InsufficientBalance as error:
                now_s = self._clock.monotonic_s()
                if error.retry_after_s is None or now_s + pause_s > until_s(now_s):
                    raise
            await self._give_back_free(account_id)
            await asyncio.sleep(pause_s)
        return await ask()

    # --- leases -------------------------------------------------------------------------------

    async def _refill(self, account_id: UUID, amount_microtokens: int) -> None:
        now_s = self._clock.monotonic_s()
        want = self._book.next_lease_microtokens(now_s, account_id, amount_microtokens)
        command = self._command(account_id, want, amount_microtokens, request_waits=False)
        try:
            self._book.add(self._held(command, await self._acquire(command), now_s))
        except AIBridgeError:
            # The balance is low or billing away: the next request will say so.
            await anyio.sleep(1.0)
        finally:
            self._refilling.discard(account_id)

    async def _acquire(self, command: AcquireLease) -> Lease:
        """Ask for a new lease. Raises `InsufficientBalance`, `Unavailable`."""
        return await self._ask(
            lambda: self._billing.acquire_lease(command), lambda: self._forsake(command.lease_id)
        )

    async def _ask(
        self, call: Callable[[], Awaitable[Lease]], on_lost: Callable[[], object]
    ) -> Lease:
        """Ask, again when the answer may be lost: every question may be asked twice. `on_lost` when it is.

        Raises `InsufficientBalance`, `Unavailable`.
        """
        lost: BaseException | None = None
        for _ in range(ASKS_MAX):
            try:
                async with asyncio.timeout(ASK_S):
                    return await call()
            except InsufficientBalance as error:
                raise _refusal(error) from None
            except (Unavailable, TimeoutError) as error:
                lost = error
            except BaseException:
                on_lost()
                raise
        on_lost()
        raise Unavailable("billing does not answer") from lost

    def _forsake(self, lease_id: UUID) -> None:
        self._forsaken[lease_id] = self._clock.monotonic_s() + FORSAKEN_S
        self._start(self._release_forsaken(lease_id))

    async def _release_forsaken(self, lease_id: UUID) -> bool:
        try:
            async with asyncio.timeout(ASK_S):
                await self._billing.release_lease(lease_id)
        except (AIBridgeError, TimeoutError):
            return False
        return True

    async def _give_back_forsaken(self) -> None:
        now_s = self._clock.monotonic_s()
        for lease_id, until_s in list(self._forsaken.items()):
            if until_s > now_s:
                continue
            if not await self._release_forsaken(lease_id):
                return  # billing is away: the others wait, too
            del self._forsaken[lease_id]

    async def _give_back_free(self, account_id: UUID) -> None:
        await asyncio.gather(*map(self._give_back, self._book.take_back(account_id)))

    async def _give_back(self, given: GiveBack) -> None:
        try:
            await self._billing.release_lease(
                given.lease.lease_id, given.keep_microtokens, given.granted_microtokens
            )
        except AIBridgeError as error:
            self._log.warning("lease.not_returned", error=error.code)
            return
        self._book.given_back(given)

    def _command(
        self, account_id: UUID, want: int, least: int, *, request_waits: bool, for_one: bool = False
    ) -> AcquireLease:
        return AcquireLease(
            lease_id=uuid7(),
            account_id=account_id,
            holder=self._holder,
            want_microtokens=str(want),
            min_microtokens=str(least),
            request_waits=request_waits,
            for_one=for_one,
        )

    def _held(self, command: AcquireLease, lease: Lease, asked_at_s: float) -> HeldLease:
        granted = int(lease.granted_microtokens)
        return HeldLease(
            lease_id=lease.lease_id,
            account_id=command.account_id,
            granted_microtokens=granted,
            free_microtokens=granted,
            expires_at_s=asked_at_s + lease.ttl_s - EXPIRY_MARGIN_S,
        )

    def _start(self, work: Coroutine[None, None, bool | None]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _quietly(work: Coroutine[None, None, bool | None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - nobody awaits it; whoever waited was told
        get_logger().exception("credit.failed")


def _dismiss(line: Line[_Waiting], least_microtokens: int, error: AIBridgeError) -> None:
    for each in line.dismiss(least_microtokens):
        if not each.answer.done():
            each.answer.set_exception(type(error)(error.message, retry_after_s=error.retry_after_s))


def _refusal(error: InsufficientBalance) -> InsufficientBalance:
    if error.retry_after_s is None:
        return InsufficientBalance(
            "the token balance is too small for what this request may cost; buy tokens or lower its output limit"
        )
    return InsufficientBalance(
        "the rest of the balance is held by requests that are running; try again when they have ended",
        retry_after_s=error.retry_after_s,
    )
