"""What really happened, noted apart from the product, and what must follow from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from aibridge_router.spool.segment import Position, SegmentName

from .disk import FLUSH_S, YOUNG_S, Disk
from .ledger import Charge, Ledger
from .world import Violation, World

PROGRESS_S = 2.0

Place = Position


@dataclass
class Exchange:
    """One request that a router admitted, as the provider and the disk saw it."""

    request_id: UUID
    account_id: UUID
    lease_id: UUID
    hold: int
    model: str
    input_tokens: int
    output_tokens: int
    """The whole answer."""
    takes_s: float
    stream: bool
    ending: str
    output_max: int = 0
    begun_at_s: float = 0.0
    waits_since_s: float | None = None
    """Nothing is read of it while more is asked for."""
    is_over: bool = False
    started: Position | None = None
    noted: list[tuple[Position, int, int]] = field(default_factory=list[tuple[Position, int, int]])
    """Where a progress stands, what it would cost, and the tokens it counts."""
    ended: list[tuple[Position, int, float]] = field(
        default_factory=list[tuple[Position, int, float]]
    )
    """Where a final stands, what it costs, and when it was written."""
    published: set[int] = field(default_factory=set[int])
    may_cost: set[int] = field(default_factory=set[int])
    """Empty while it runs."""
    counted: int = 0
    """Its part of what its lease owes."""

    def delivered_tokens(self, now_s: float) -> int:
        """What the client has of the answer."""
        read_s = (now_s if self.waits_since_s is None else self.waits_since_s) - self.begun_at_s
        return int(self.output_tokens * min(1.0, read_s / self.takes_s))


class Truth:
    """The judge. Knows every exchange and hears of everything that touches money."""

    def __init__(self, world: World, ledger: Ledger, *, holds_are_bounds: bool) -> None:
        self._world = world
        self._ledger = ledger
        self._holds_are_bounds = holds_are_bounds
        self.exchanges: dict[UUID, Exchange] = {}
        self.charged: dict[UUID, int] = {}
        self.recovered = 0
        self.estimated_short_tokens = 0
        self.spent = 0
        self.lost_with_power = 0
        self.late_charges = 0
        self._unsettled: dict[str, dict[UUID, Exchange]] = {}
        self._home: dict[UUID, str] = {}
        self._owed: dict[UUID, int] = {}
        self._numbered: dict[tuple[str, int], list[UUID]] = {}
        self._verified: dict[tuple[str, int], int] = {}
        self._beyond_holds: dict[UUID, int] = {}
        self._late: dict[UUID, int] = {}
        self._late_bound: dict[UUID, int] = {}
        self._syncs = True

    # --- what routers do ----------------------------------------------------------------------

    def admitted(self, router: str, exchange: Exchange) -> None:
        self.exchanges[exchange.request_id] = exchange
        self._unsettled.setdefault(router, {})[exchange.request_id] = exchange
        self._home[exchange.request_id] = router
        self._count(exchange, exchange.hold)

    def _count(self, exchange: Exchange, amount: int) -> None:
        lease = exchange.lease_id
        self._owed[lease] = self._owed.get(lease, 0) + amount - exchange.counted
        exchange.counted = amount

    def extended(self, exchange: Exchange, more: int) -> None:
        """Another slice is held."""
        exchange.hold += more
        self._count(exchange, exchange.hold)

    def ended(
        self,
        router: str,
        epoch: int,
        sequence: int,
        exchange: Exchange,
        amount: int,
        place: Position,
    ) -> None:
        """A final was appended, by its own run or a later one."""
        exchange.ended.append((place, amount, self._world.now_s))
        if not exchange.may_cost:
            exchange.may_cost.add(amount)
            self._count(exchange, amount)
        if sequence:
            numbered = self._numbered.setdefault((router, epoch), [])
            numbered.append(exchange.request_id)
            if len(numbered) != sequence:
                raise Violation(f"{router} {epoch}: number {sequence} after {len(numbered) - 1}")
        if amount == 0:
            self._unsettled[router].pop(exchange.request_id, None)

    def published(self, router: str, epoch: int, first: int, last: int) -> None:
        """An envelope left."""
        numbered = self._numbered[router, epoch]
        for request_id in numbered[first - 1 : last]:
            exchange = self.exchanges[request_id]
            exchange.published.update(amount for _, amount, _ in exchange.ended)

    def crashed(self, router: str, disk: Disk, *, power_lost: bool, paused_until_s: float) -> None:
        """From now on only the journal on the disk says what its exchanges cost."""
        now_s = self._world.now_s
        self._syncs = paused_until_s + YOUNG_S < now_s
        for exchange in self._unsettled.get(router, {}).values():
            ran = not exchange.may_cost
            amount = self._as_the_journal_says(exchange, disk, ran=ran)
            exchange.may_cost = {amount, *exchange.published}
            self._count(exchange, max(exchange.may_cost))
            if ran and exchange.stream and not power_lost and exchange.begun_at_s > paused_until_s:
                self._is_short_of_one_interval(exchange, now_s)

    def _is_short_of_one_interval(self, exchange: Exchange, now_s: float) -> None:
        counted = exchange.noted[-1][2] if exchange.noted else 0
        short = exchange.delivered_tokens(now_s) - counted
        interval = (PROGRESS_S + FLUSH_S) * exchange.output_tokens / exchange.takes_s + 1
        if short > interval:
            raise Violation(f"{exchange.request_id}: {short} tokens are in no progress")
        self.estimated_short_tokens = max(short, self.estimated_short_tokens)

    def _as_the_journal_says(self, exchange: Exchange, disk: Disk, *, ran: bool) -> int:
        for place, amount, _ in exchange.ended:
            if disk.has(place):
                return amount
        for place, amount, at_s in exchange.ended:
            if amount and self._syncs and self._world.now_s - at_s > YOUNG_S:
                raise Violation(
                    f"{exchange.request_id}: a final of {at_s:.3f} s at {place} is gone"
                )
        self.lost_with_power += bool(exchange.ended)
        exchange.ended.clear()
        if exchange.started is None or not disk.has(exchange.started):
            return 0
        self.recovered += ran
        return next((amount for place, amount, _ in reversed(exchange.noted) if disk.has(place)), 0)

    def deletes(self, router: str, name: SegmentName, disk: Disk) -> None:
        """A segment is about to go: nothing that is not settled may need it."""
        for exchange in self._unsettled.get(router, {}).values():
            if exchange.may_cost == {0}:
                continue
            for place, amount, _ in exchange.ended:
                if place.segment == name and amount:
                    raise Violation(f"{name} is deleted with the usage of {exchange.request_id}")
            started = exchange.started
            if (
                started is not None
                and started.segment == name
                and disk.has(started)
                and not any(disk.has_for_good(place) for place, _, _ in exchange.ended)
            ):
                raise Violation(f"{name} is deleted with the start of {exchange.request_id}")

    def believes(self, router: str, report: dict[int, list[tuple[int, int]]]) -> None:
        """What billing told a router is committed must be."""
        for epoch, ranges in report.items():
            key = (router, epoch)
            numbered = self._numbered.get(key, [])
            for first, last in ranges:
                known = self._verified.get(key, 0)
                if last > len(numbered):
                    raise Violation(f"{key}: {last} is covered and was never written")
                for sequence in range(max(first, known + 1), last + 1):
                    if numbered[sequence - 1] not in self._ledger.usage:
                        raise Violation(f"{key}: {sequence} is covered and not settled")
                if first <= known + 1:
                    self._verified[key] = max(known, last)

    # --- what billing does --------------------------------------------------------------------

    def settled(self, charges: Iterable[Charge]) -> None:
        """These were committed as new."""
        for charge in charges:
            exchange = self.exchanges.get(charge.event)
            if exchange is None:
                raise Violation(f"{charge.event} is charged and was never asked")
            if charge.event in self.charged:
                raise Violation(f"{charge.event} is charged twice")
            if charge.amount not in exchange.may_cost:
                raise Violation(
                    f"{charge.event} costs {exchange.may_cost} and is charged {charge.amount}"
                )
            self.charged[charge.event] = charge.amount
            self._unsettled[self._home[charge.event]].pop(charge.event, None)
            self._count(exchange, 0)
            self._bound(charge, exchange)

    def _bound(self, charge: Charge, exchange: Exchange) -> None:
        """Sum of what was charged beyond holds, and of what leases owed when billing had ended them."""
        account_id, lease_id = charge.account, exchange.lease_id
        beyond = self._beyond_holds.get(account_id, 0) + max(0, charge.amount - exchange.hold)
        self._beyond_holds[account_id] = beyond
        lease = self._ledger.leases[lease_id]
        if lease.hard_expired:
            self.late_charges += 1
            before = min(lease.amount, self._late.get(lease_id, 0))
            self._late[lease_id] = self._late.get(lease_id, 0) + charge.amount
            after = min(lease.amount, self._late[lease_id])
            self._late_bound[account_id] = self._late_bound.get(account_id, 0) + after - before

    def debt_is_bounded(self) -> None:
        """The bound of the design: nothing unless a hold was too small or a lease was ended early."""
        for account_id, account in self._ledger.accounts.items():
            bound = self._beyond_holds.get(account_id, 0) + self._late_bound.get(account_id, 0)
            if account.excess > bound:
                raise Violation(f"{account_id} fell {account.excess} into debt, bound {bound}")

    def released(self, lease_id: UUID) -> None:
        """What is left of a lease still covers what its holder owes."""
        lease = self._ledger.leases[lease_id]
        if self._holds_are_bounds and not lease.hard_expired:
            owed = self._owed.get(lease_id, 0)
            if lease.remaining < owed:
                raise Violation(f"lease {lease_id} keeps {lease.remaining} and owes {owed}")

    # --- the end ------------------------------------------------------------------------------

    @property
    def unsettled(self) -> int:
        """Exchanges that cost something and are not charged yet, and those that run."""
        return sum(
            not exchange.may_cost or min(exchange.may_cost) > 0
            for exchanges in self._unsettled.values()
            for exchange in exchanges.values()
        )

    def every_exchange_is_charged_once(self) -> None:
        for exchange in self.exchanges.values():
            amount = self.charged.get(exchange.request_id, 0)
            if amount not in exchange.may_cost:
                raise Violation(
                    f"{exchange.request_id} costs {exchange.may_cost} and {amount} is charged"
                )
