"""One run: traffic, faults on a schedule, quiet, and the judgement at the end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from aibridge_billing.leases.controllers import LEASE_HARD_TTL_S, LEASE_TTL_S
from aibridge_router.credit.book import LeaseBook
from aibridge_router.spool.state import SpoolState

from .billing import CARDS, Billing
from .ledger import Ledger
from .network import BILLING, BUS, NO_ODDS, Bus, Network, Odds
from .router import SLICE_TOKENS, Router, Site
from .truth import Exchange, Truth
from .world import Violation, World

ROUTERS, ACCOUNTS = 4, 6
RATES_PER_S = (2.0, 6.0, 12.0, 30.0)
RATE_CHANGES_S = 45.0
AUDIT_EVERY_S = 600.0

RICH, POOR = 100_000_000, 1_500_000
TOP_UP_EVERY_S = 120.0

FAULT_EVERY_S = 20.0
UNSYNCED_EVERY_S, UNSYNCED_TRIES = 0.0011, 5000
QUIET_S_MAX = 5400.0
"""Ample: a lost envelope is sent again after 60, 120, ... 960 s."""


class Weather(Enum):
    """What a run has to bear."""

    CALM = "calm"
    """Nothing goes wrong: no debt, nothing estimated."""
    SHORT = "short"
    """Outages end before billing takes leases back: no debt."""
    STORM = "storm"
    """Anything, for as long as it likes: debt within the bound."""
    TIGHT = "tight"
    """As a storm, and holds that are sometimes too small."""


@dataclass(frozen=True)
class Parts:
    """The classes under test; a test puts broken ones in their place."""

    book: Callable[[], LeaseBook] = LeaseBook
    state: type[SpoolState] = SpoolState
    ledger: type[Ledger] = Ledger
    start_syncs: bool = True


@dataclass
class Report:
    """What a run was like. Equal for equal seeds."""

    seed: int
    weather: str
    requests: int = 0
    served: int = 0
    charged: int = 0
    recovered: int = 0
    duplicates: int = 0
    redelivered: int = 0
    late_charges: int = 0
    spent: int = 0
    debt_ever: int = 0
    lost_with_power: int = 0
    short_tokens_max: int = 0
    torn: int = 0
    events: int = 0
    virtual_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter[str])


class Failed(AssertionError):
    """A violation with everything that is needed to see it again."""

    def __init__(self, report: Report, violation: Exception, last_events: str) -> None:
        again = f"--seed {report.seed} --requests {report.requests}"
        super().__init__(
            f'seed {report.seed}: {violation!r}\nreplay: make simulate ARGS="{again}"\n{last_events}'
        )


class Simulation:
    """All parts of one run."""

    def __init__(self, seed: int, requests: int, parts: Parts) -> None:
        world = self.world = World(seed)
        self.weather = list(Weather)[seed % 8 if seed % 8 < 4 else 2]
        odds = NO_ODDS if self.weather is Weather.CALM else Odds()
        self.network = Network(world, odds)
        self.bus = Bus(world, self.network)
        self.ledger = parts.ledger()
        self.truth = Truth(world, self.ledger, holds_are_bounds=self.weather is not Weather.TIGHT)
        self.billing = Billing(world, self.network, self.bus, self.ledger, self.truth)
        site = Site(
            world,
            self.network,
            self.bus,
            self.billing,
            self.truth,
            parts.book,
            parts.state,
            parts.start_syncs,
        )
        self.routers = [Router(f"router-{number}", site) for number in range(ROUTERS)]
        self._by_name = {router.name: router for router in self.routers}
        self.billing.on_settled = self._tell
        self.report = Report(seed, self.weather.value, requests=requests)
        self._accounts = [world.new_id() for _ in range(ACCOUNTS)]
        self._left = requests
        self._rate_per_s = RATES_PER_S[1]
        self._stormy = self.weather is not Weather.CALM

    def run(self) -> Report:
        """Raises `Failed`."""
        try:
            self._run()
        except (AssertionError, LookupError, ValueError, OSError) as error:
            raise Failed(self.report, error, self.world.last_events()) from error
        return self._reported()

    def _run(self) -> None:
        world = self.world
        for number, account in enumerate(self._accounts):
            self.ledger.buy(account, RICH if number % 3 else POOR)
        for router in self.routers:
            router.start()
        self.billing.begin()
        world.after(0.0, self._request)
        world.after(RATE_CHANGES_S, self._change_rate)
        world.after(TOP_UP_EVERY_S, self._top_up)
        world.after(AUDIT_EVERY_S, self._audit)
        if self._stormy:
            world.after(FAULT_EVERY_S / 2, self._fault)
        while self._left:
            world.run_until(world.now_s + 10.0)
        self._quiet()
        self._judge()

    # --- traffic ------------------------------------------------------------------------------

    def _request(self) -> None:
        if not self._left:
            return
        self._left -= 1
        random, world = self.world.random, self.world
        world.after(random.expovariate(self._rate_per_s), self._request)
        number = random.randrange(ACCOUNTS)
        home = number if random.random() < 0.85 else random.randrange(ROUTERS)
        exchange = self._exchange(self._accounts[number])
        for step in range(ROUTERS):  # the gateway goes on to the next worker
            run = self.routers[(home + step) % ROUTERS].run
            if run is not None and not run.draining:
                run.after(0.0, run.submit, exchange)
                return

    def _exchange(self, account_id: UUID) -> Exchange:
        random = self.world.random
        stream = random.random() < 0.3
        model = random.choice(("small", "small", "large"))
        output_max = random.choice((200, 1000, 4000))
        input_tokens = random.randrange(20, 3000)
        output_tokens = random.randrange(1, output_max + 1)
        if not stream:
            takes_s = random.uniform(0.1, 6.0)
        elif random.random() < 0.02:
            takes_s = random.uniform(60.0, 590.0)
        else:
            takes_s = random.uniform(0.5, 25.0)
        ending = random.choices(("completed", "cut", "left", "refused"), (85, 5, 5, 5))[0]
        if not stream and ending != "refused":
            ending = "completed"
        if ending == "refused":
            output_tokens, takes_s = 0, min(takes_s, 3.0)
        card = CARDS[model]
        first = min(output_max, SLICE_TOKENS) if stream else output_max
        hold = input_tokens * card.input + first * card.output
        if self.weather is Weather.TIGHT and random.random() < 0.03:
            hold //= 2
        return Exchange(
            request_id=self.world.new_id(),
            account_id=account_id,
            lease_id=UUID(int=0),
            hold=hold,
            model=model,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            takes_s=takes_s,
            stream=stream,
            ending=ending,
            output_max=output_max,
        )

    def _change_rate(self) -> None:
        self._rate_per_s = self.world.random.choice(RATES_PER_S)
        self.world.after(RATE_CHANGES_S, self._change_rate)

    def _top_up(self) -> None:
        random = self.world.random
        if self._left:
            self.world.after(TOP_UP_EVERY_S, self._top_up)
        for number, account in enumerate(self._accounts):
            if number % 3 == 0:
                self.ledger.buy(account, random.randrange(50_000, POOR))
            if random.random() < 0.2:
                lots = self.ledger.accounts[account].lots
                self.ledger.refund(account, random.randrange(len(lots)), random.randrange(1, POOR))

    def _tell(self, router: str) -> None:
        run = self._by_name[router].run
        if run is not None and self.network.reaches(router, BUS):
            run.after(0.0, run.told)

    # --- faults -------------------------------------------------------------------------------

    def _fault(self) -> None:
        if not self._stormy:
            return
        random = self.world.random
        self.world.after(random.expovariate(1 / FAULT_EVERY_S), self._fault)
        faults = [
            self._kill_router,
            self._kill_router,
            self._cut_power,
            self._restart,
            self._pause,
            self._kill_billing,
            self._stop_bus,
            self._part_from_billing,
            self._part_from_bus,
            self._part_billing_from_bus,
            self._wipe,
        ]
        if self.weather is not Weather.SHORT:
            faults += [self._jump_billing]
        fault = random.choice(faults)
        router = random.choice(self.routers)
        lasts_s = random.choice((0.2, 3.0, 20.0, 70.0)) * random.uniform(0.5, 1.5)
        if self.weather is not Weather.SHORT and random.random() < 0.05:
            lasts_s = random.uniform(600.0, 1500.0)
        self.report.faults[fault.__name__.removeprefix("_")] += 1
        self.world.say("fault", fault.__name__, router.name, f"{lasts_s:.1f} s")
        fault(router, lasts_s)

    def _kill_router(self, router: Router, lasts_s: float) -> None:
        router.kill(power_lost=False)
        self.world.after(lasts_s, router.start)

    def _cut_power(self, router: Router, lasts_s: float) -> None:
        """At a moment at which something is not durable, if there is one soon."""
        self._await_unsynced(router, lasts_s, UNSYNCED_TRIES)

    def _await_unsynced(self, router: Router, lasts_s: float, tries: int) -> None:
        if tries and not router.disk.has_unsynced_finals:
            self.world.after(UNSYNCED_EVERY_S, self._await_unsynced, router, lasts_s, tries - 1)
        elif self.world.chance(0.5):  # a process that died just before, and was started again
            router.kill(power_lost=False)
            router.start()
            self.world.after(self.world.random.uniform(0.0, 2.0), self._cut, router, lasts_s)
        else:
            self._cut(router, lasts_s)

    def _cut(self, router: Router, lasts_s: float) -> None:
        router.kill(power_lost=True)
        router.clock_ahead_s -= self.world.random.choice((0.0, 0.0, 3600.0))
        self.world.after(lasts_s, router.start)

    def _restart(self, router: Router, lasts_s: float) -> None:
        router.stop(lambda: self.world.after(lasts_s, router.start))

    def _pause(self, router: Router, lasts_s: float) -> None:
        router.paused_until_s = self.world.now_s + lasts_s

    def _kill_billing(self, _router: Router, lasts_s: float) -> None:
        self.billing.die(lasts_s)

    def _stop_bus(self, _router: Router, lasts_s: float) -> None:
        self.network.down(BUS, lasts_s)

    def _part_from_billing(self, router: Router, lasts_s: float) -> None:
        self.network.cut(router.name, BILLING, lasts_s)

    def _part_from_bus(self, router: Router, lasts_s: float) -> None:
        self.network.cut(router.name, BUS, lasts_s)

    def _part_billing_from_bus(self, _router: Router, lasts_s: float) -> None:
        self.network.cut(BILLING, BUS, lasts_s)

    def _wipe(self, _router: Router, _lasts_s: float) -> None:
        self.bus.wipe()

    def _jump_billing(self, _router: Router, _lasts_s: float) -> None:
        self.billing.clock_ahead_s += self.world.random.choice((-600.0, 600.0, 900.0))

    # --- the end ------------------------------------------------------------------------------

    def _audit(self) -> None:
        self.world.after(AUDIT_EVERY_S, self._audit)
        if broken := self.ledger.audit():
            raise Violation("; ".join(broken))

    def _quiet(self) -> None:
        """No more faults; everything that was broken comes back."""
        world = self.world
        self._stormy = False
        self.network.odds = NO_ODDS
        world.say("quiet")
        until_s = world.now_s + QUIET_S_MAX
        while not all(router.is_idle for router in self.routers):
            if world.now_s > until_s:
                waits = [router.name for router in self.routers if not router.is_idle]
                raise Violation(f"{waits} never became idle; {self.truth.unsettled} unsettled")
            world.run_until(world.now_s + 5.0)
        for router in self.routers:
            router.stop(lambda: None)
        world.run_until(world.now_s + LEASE_TTL_S + LEASE_HARD_TTL_S + 2000.0)

    def _judge(self) -> None:
        truth, ledger = self.truth, self.ledger
        self._audit()
        truth.every_exchange_is_charged_once()
        truth.debt_is_bounded()
        for account_id, account in ledger.accounts.items():
            if account.reserved:
                raise Violation(f"{account_id} keeps {account.reserved} reserved")
            if account.excess and self.weather in {Weather.CALM, Weather.SHORT}:
                raise Violation(f"{account_id} fell {account.excess} into debt")
        if self.weather is Weather.CALM and (truth.recovered or self.bus.redelivered):
            raise Violation("something went wrong though nothing was broken")

    def _reported(self) -> Report:
        report, truth = self.report, self.truth
        report.served = len(truth.exchanges)
        report.charged = len(truth.charged)
        report.recovered = truth.recovered
        report.duplicates = self.ledger.duplicates
        report.redelivered = self.bus.redelivered
        report.spent = truth.spent
        report.late_charges = truth.late_charges
        report.debt_ever = sum(account.excess for account in self.ledger.accounts.values())
        report.lost_with_power = truth.lost_with_power
        report.short_tokens_max = truth.estimated_short_tokens
        report.torn = sum(router.torn for router in self.routers)
        report.events = self.world.events
        report.virtual_s = self.world.now_s
        return report


def simulate(seed: int, requests: int, parts: Parts | None = None) -> Report:
    """One run from its seed. Raises `Failed`."""
    return Simulation(seed, requests, parts or Parts()).run()
