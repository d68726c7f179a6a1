"""Billing as a process: it answers routers, settles what the bus delivers, sweeps, and dies between any two steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from aibridge_billing.leases.controllers import LEASE_HARD_TTL_S, LEASE_TTL_S
from aibridge_billing.leases.sweeper import EVERY_S as SWEEP_EVERY_S
from aibridge_billing.metering.consumer import FETCH_MESSAGES_MAX
from aibridge_billing.metering.settlement import _read
from aibridge_common.events.usage import UsageRecorded
from aibridge_common.usage import Multipliers, charge_microtokens

from .ledger import Charge, Ledger, Numbers
from .network import BILLING, BUS, Bus, Message, Network
from .truth import Truth
from .world import World

POLL_S = 1.0
RESTART_S = 5.0

CARDS = {
    "small": Multipliers(
        input=1, output=4, cache_read=1, cache_write_5m=1, cache_write_1h=1, reasoning=4
    ),
    "large": Multipliers(
        input=3, output=15, cache_read=1, cache_write_5m=4, cache_write_1h=6, reasoning=15
    ),
}


@dataclass
class Billing:
    """One process and its database. The database survives everything."""

    world: World
    network: Network
    bus: Bus
    ledger: Ledger
    truth: Truth
    clock_ahead_s: float = 0.0
    on_settled: Callable[[str], None] = lambda _router: None
    """The hint after a commit."""
    crashes: int = 0
    _busy: bool = False
    _life: int = 0
    _settled_batches: int = field(default=0)

    def begin(self) -> None:
        """Poll and sweep for ever."""
        self.bus.on_stored = self._fetch_soon
        self.world.after(POLL_S, self._poll)
        self.world.after(SWEEP_EVERY_S, self._sweep)

    @property
    def now_s(self) -> float:
        """By its own clock, which may jump."""
        return self.world.now_s + self.clock_ahead_s

    def die(self, for_s: float) -> None:
        """Everything that was not committed is forgotten."""
        self.world.say("billing dies", f"{for_s:.1f} s")
        self.crashes += 1
        self._life += 1
        self._busy = False
        self.network.down(BILLING, for_s)

    # --- what routers ask ---------------------------------------------------------------------

    def acquire(self, lease_id: UUID, account_id: UUID, want: int, least: int) -> int:
        """What was granted, 0 when the balance is too small."""
        ends_s = self.now_s + LEASE_TTL_S + LEASE_HARD_TTL_S
        granted = self.ledger.reserve(lease_id, account_id, want, least, ends_s)
        return granted or 0

    def extend(self, lease_id: UUID, account_id: UUID, total: int, least: int) -> int:
        """What was granted altogether, 0 when that is not enough."""
        ends_s = self.now_s + LEASE_TTL_S + LEASE_HARD_TTL_S
        return self.ledger.extend(lease_id, account_id, total, least, ends_s) or 0

    def release(self, lease_id: UUID, keep: int, granted: int) -> bool:
        self.ledger.release(lease_id, keep, granted)
        self.truth.released(lease_id)
        return True

    def spool(self, router: str, epoch_min: int) -> dict[int, list[tuple[int, int]]]:
        return self.ledger.ranges(router, epoch_min)

    # --- settling -----------------------------------------------------------------------------

    def _poll(self) -> None:
        self.world.after(POLL_S, self._poll)
        if self.bus.waiting:
            self._fetch_soon()

    def _fetch_soon(self) -> None:
        if not self._busy and self.network.reaches(BILLING, BUS):
            self._busy = True
            self.world.after(self.network.latency_s(), self._fetch, self._life)

    def _fetch(self, life: int) -> None:
        if life != self._life:
            return
        self._busy = False
        if not self.network.reaches(BILLING, BUS):
            return
        messages = self.bus.fetch(FETCH_MESSAGES_MAX)
        if messages:
            self._settle(messages)
            if self.bus.waiting:
                self._fetch_soon()

    def _settle(self, messages: list[Message]) -> None:
        charges: list[Charge] = []
        numbers: list[Numbers] = []
        for message in messages:
            read = _read(message.payload)
            if read.unreadable:
                self.world.say("billing cannot read", read.unreadable)
            charges += [_charge(event) for event in read.events]
            if (each := read.numbers) is not None:
                numbers.append((each.router, each.epoch, each.first, each.last))
        odds, chance = self.network.odds, self.world.chance
        if chance(odds.crash_before_commit):
            self.die(RESTART_S)
            return
        fresh = self.ledger.settle(charges, numbers)
        self.truth.settled(fresh)
        self._settled_batches += 1
        self.truth.debt_is_bounded()
        if chance(odds.crash_before_ack):
            self.die(RESTART_S)
            return
        for router in {message.router: None for message in messages}:
            self.world.after(self.network.latency_s(), self.on_settled, router)
        for message in messages:
            message.acknowledged = True

    def _sweep(self) -> None:
        self.world.after(SWEEP_EVERY_S, self._sweep)
        if self.network.reaches(BILLING, BILLING):
            for lease_id in self.ledger.sweep(self.now_s):
                self.world.say("billing ends lease", lease_id.int)


def _charge(event: UsageRecorded) -> Charge:
    amount = charge_microtokens(event.usage, CARDS[event.billed_model])
    return Charge(event.event_id, event.account_id, event.lease_id, amount)
