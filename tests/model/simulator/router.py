"""A router: the real book, spool state, records, frames, recovery and publisher, with virtual tasks around them.

The tasks do what `Wallets` and `Spool` do, step for step; only how they wait is different.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from aibridge_billing.leases.controllers import LEASE_TTL_S
from aibridge_common.clock import Clock
from aibridge_common.events.usage import Outcome, UsageRecorded
from aibridge_common.usage import Usage, charge_microtokens
from aibridge_router.credit.book import EXPIRY_MARGIN_S, GiveBack, HeldLease, Hold, LeaseBook
from aibridge_router.credit.wallet import RETURN_EVERY_S
from aibridge_router.exchange.settlement import Ending, settle
from aibridge_router.spool.publisher import (
    GATHER_S,
    IN_FLIGHT_MAX,
    RETRY_S,
    RETRY_S_MAX,
    Publisher,
)
from aibridge_router.spool.records import Final, Progress, Start, encode, encode_event
from aibridge_router.spool.recovery import read_left
from aibridge_router.spool.segment import Position, frame
from aibridge_router.spool.spool import ASK_AGAIN_S, ASK_EVERY_S
from aibridge_router.spool.state import Batch, Ranges, SpoolState
from aibridge_router.spool.writer import Writer

from .billing import CARDS, Billing
from .disk import Disk, MemoryWriter
from .network import BILLING, BUS, Bus, Network
from .truth import PROGRESS_S, Exchange, Truth
from .world import World

SEGMENT_BYTES_MAX = 8 * 1024
SPOOL_BYTES_MAX = 64 * 2**20
DRAIN_S = 5.0
SLICE_TOKENS = 300


@dataclass
class Site:
    """What all routers share, and the classes that a test may replace."""

    world: World
    network: Network
    bus: Bus
    billing: Billing
    truth: Truth
    book: Callable[[], LeaseBook] = LeaseBook
    state: type[SpoolState] = SpoolState
    start_syncs: bool = True
    """Whether a start makes durable what it finds; a test may forget it."""


class SteppedPublisher(Publisher):
    """One envelope at a time instead of for ever."""

    def next_now(self) -> tuple[Batch, bytes] | None:
        """What `_next` returns, if it would return at once."""
        while self._again:
            if (lacking := self._take_again(self._again.popleft())) is not None:
                return lacking
        self._fill()
        return self._take() if self._ready else None

    def wake(self) -> None:
        """Its run looks itself."""


@dataclass
class Ask:
    """A request that waits for a new lease."""

    exchange: Exchange
    amount: int


class Router:
    """What outlives a process: a name, a disk, a clock. `run` is the process, None while there is none."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.site = site
        self.disk = Disk()
        self.run: Run | None = None
        self.paused_until_s = 0.0
        self.clock_ahead_s = 0.0
        self.torn = 0

    def start(self) -> None:
        """A new process, which recovers what the last one left."""
        if self.run is None:
            self.run = Run(self)

    def kill(self, *, power_lost: bool) -> None:
        """Nothing that was in memory is left."""
        run = self.run
        if run is None:
            return
        self.site.world.say(self.name, "dies", "without power" if power_lost else "")
        run.alive, self.run = False, None
        if power_lost:
            self.disk.lose_power(self.site.world.random)
        self._crashed(power_lost=power_lost)

    def left(self) -> None:
        """The process went by itself."""
        self.run = None
        self.disk.sync_all()
        self.site.world.say(self.name, "leaves")
        self._crashed(power_lost=False)

    def _crashed(self, *, power_lost: bool) -> None:
        self.site.truth.crashed(
            self.name, self.disk, power_lost=power_lost, paused_until_s=self.paused_until_s
        )
        self.paused_until_s = min(self.paused_until_s, self.site.world.now_s)

    def stop(self, then: Callable[[], None]) -> None:
        """Drain, settle, give leases back, leave."""
        if self.run is not None:
            self.run.drain(then)

    @property
    def is_idle(self) -> bool:
        """Whether billing has everything and older runs left nothing."""
        run = self.run
        return run is not None and run.is_idle


class Run:
    """One process."""

    def __init__(self, router: Router) -> None:
        site = self.site = router.site
        self.router, self.name = router, router.name
        self.alive = True
        self.draining = False
        self._world, self._truth = site.world, site.truth
        self._running = 0
        if site.start_syncs:
            router.disk.sync_all()
        found = router.disk.segments()
        left = read_left(found)
        router.torn += len(left.torn)
        newest = found[-1][0].epoch if found else 0
        wall_ns = int((self._world.now_s + router.clock_ahead_s + 10_000) * 1e9)
        epoch = self.epoch = max(wall_ns, newest + 1)
        started_in = {each.start.request_id: each.segment for each in left.unended}
        state = self.state = site.state(epoch, SPOOL_BYTES_MAX, left.segments, started_in)
        self.writer = MemoryWriter(
            router.disk,
            epoch,
            SEGMENT_BYTES_MAX,
            self._world.random,
            self.after,
            state.opened,
            self._durable,
        )
        self.publisher = SteppedPublisher(
            self.name, state, cast("Writer", self.writer), cast("Clock", self._world)
        )
        self.book = site.book()
        self._waiting: dict[UUID, deque[Ask]] = {}
        self._refilling: set[UUID] = set()
        self._growing: dict[UUID, deque[Callable[[], None]]] = {}
        self._in_flight = 0
        self._sends_soon = False
        self._told = self._may_be_told = False
        self._waits = 0
        for each in left.unended:
            event = each.event
            exchange = self._truth.exchanges[each.start.request_id]
            self._end(exchange, event, _price(event) if event is not None else 0)
        self.writer.flush()
        self._world.say(self.name, "starts", epoch, f"recovered {len(left.unended)}")
        self.after(RETURN_EVERY_S, self._tick)
        self._learn()
        self._send_soon()

    def after(self, delay_s: float, do: Callable[..., None], *arguments: Any) -> None:
        """Later, if this process lives then and is not stopped."""
        self._world.after(delay_s, self._do, do, arguments)

    def _do(self, do: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if not self.alive:
            return
        paused_s = self.router.paused_until_s - self._world.now_s
        if paused_s > 0:
            self._world.after(paused_s, self._do, do, arguments)
        else:
            do(*arguments)

    def _ask(self, whom: str, question: Callable[[], Any], answer: Callable[[Any], None]) -> None:
        self.site.network.ask(self.name, whom, question, lambda value: self._do(answer, (value,)))

    @property
    def is_idle(self) -> bool:
        return not (
            self._running or self._in_flight or self.state.unapplied or self.state.has_old_segments
        )

    # --- admission, as `Wallets` does it ------------------------------------------------------

    def submit(self, exchange: Exchange) -> None:
        """A request comes."""
        if self.draining or self.state.refusal is not None:
            return
        account_id, amount = exchange.account_id, exchange.hold
        now_s = self._world.now_s
        hold = self.book.admit(now_s, account_id, amount)
        if hold is None:
            waiting = self._waiting.setdefault(account_id, deque())
            waiting.append(Ask(exchange, amount))
            if len(waiting) == 1:
                self._serve_waiting(account_id)
            return
        if account_id not in self._refilling and self.book.runs_low(now_s, account_id, amount):
            self._refilling.add(account_id)
            self._acquire(account_id, amount, lambda well: self._refilled(account_id, well))
        self._begin(exchange, hold)

    def _refilled(self, account_id: UUID, well: bool) -> None:
        self.after(0.0 if well else 1.0, self._refilling.discard, account_id)

    def _serve_waiting(self, account_id: UUID) -> None:
        waiting = self._waiting.get(account_id)
        while waiting:
            ask = waiting[0]
            hold = self.book.admit(self._world.now_s, account_id, ask.amount)
            if hold is None:
                self._acquire(account_id, ask.amount, lambda _well: self._served(account_id))
                return
            waiting.popleft()
            self._begin(ask.exchange, hold)

    def _served(self, account_id: UUID) -> None:
        ask = self._waiting[account_id].popleft()
        hold = self.book.admit(self._world.now_s, account_id, ask.amount)
        if hold is not None:
            self._begin(ask.exchange, hold)
        self._serve_waiting(account_id)

    def _acquire(self, account_id: UUID, amount: int, then: Callable[[bool], None]) -> None:
        asked_at_s, lease_id = self._world.now_s, self._world.new_id()
        want = self.book.next_lease_microtokens(asked_at_s, account_id, amount)
        billing = self.site.billing

        def granted(value: int | None) -> None:
            if value:
                self.book.add(
                    HeldLease(
                        lease_id=lease_id,
                        account_id=account_id,
                        granted_microtokens=value,
                        free_microtokens=value,
                        expires_at_s=asked_at_s + LEASE_TTL_S - EXPIRY_MARGIN_S,
                    )
                )
            then(bool(value))

        self._ask(BILLING, lambda: billing.acquire(lease_id, account_id, want, amount), granted)

    def _give_back(self, given: GiveBack) -> None:
        def released(value: bool | None) -> None:
            if value:
                self.book.given_back(given)

        billing, lease_id = self.site.billing, given.lease.lease_id
        keep, granted = given.keep_microtokens, given.granted_microtokens
        self._ask(BILLING, lambda: billing.release(lease_id, keep, granted), released)

    def _tick(self) -> None:
        self.after(RETURN_EVERY_S, self._tick)
        now_s = self._world.now_s
        for given in self.book.take_due(now_s):
            self._give_back(given)
        self.state.tick(now_s)
        if due := self.state.due_again(now_s):
            self._world.say(self.name, "sends again", len(due))
            self.publisher.send_again(due)
            self._send_soon()

    def drain(self, then: Callable[[], None]) -> None:
        """New requests are refused; what runs ends; what is settled is given back."""
        self.draining = True
        self._world.say(self.name, "drains")
        self._drained(self._world.now_s + 700.0, None, then)

    def _drained(
        self, last_call_s: float, settled_by_s: float | None, then: Callable[[], None]
    ) -> None:
        now_s = self._world.now_s
        if self._running and now_s < last_call_s:
            self.after(1.0, self._drained, last_call_s, None, then)
            return
        by_s = now_s + DRAIN_S if settled_by_s is None else settled_by_s
        if now_s < by_s and (self.state.unapplied or self._in_flight):
            self.after(0.1, self._drained, last_call_s, by_s, then)
            return
        for given in self.book.take_all():
            self._give_back(given)
        self.after(DRAIN_S + 1.0, self._leave, then)

    def _leave(self, then: Callable[[], None]) -> None:
        self.writer.flush()
        self.alive = False
        self.router.left()
        then()

    # --- an exchange --------------------------------------------------------------------------

    def _begin(self, exchange: Exchange, hold: Hold) -> None:
        now_s = self._world.now_s
        exchange.lease_id, exchange.begun_at_s = hold.lease_id, now_s
        self._running += 1
        self._truth.admitted(self.name, exchange)
        start = Start(
            request_id=exchange.request_id,
            account_id=exchange.account_id,
            key_id=None,
            lease_id=hold.lease_id,
            hold_microtokens=hold.amount_microtokens,
            requested_model=exchange.model,
            model=exchange.model,
            provider="vendor",
            price_version=1,
            input_tokens_estimate=exchange.input_tokens,
            endpoint="chat",
            stream=exchange.stream,
            at=self._world.now(),
        )
        data = frame(encode(start))
        self.writer.append_now(data)
        exchange.started = self.writer.end
        self.state.started(exchange.request_id, len(data))
        if exchange.stream and exchange.ending != "refused":
            self._look_again(exchange, hold, half=True)
        if exchange.stream and exchange.takes_s > PROGRESS_S:
            self.after(PROGRESS_S, self._note, exchange, hold)
        else:
            self.after(exchange.takes_s, self._finish, exchange, hold)

    # --- another slice, as `Bill` and `Wallets` hold it ---------------------------------------

    def _look_again(self, exchange: Exchange, hold: Hold, *, half: bool) -> None:
        """When half of the last slice is left, or all of it is used."""
        covered = _covered(exchange, hold)
        if covered < exchange.output_max:
            due = covered - SLICE_TOKENS // 2 if half else covered
            due_s = exchange.begun_at_s + exchange.takes_s * due / max(1, exchange.output_tokens)
            self.after(max(0.0, due_s - self._world.now_s), self._cover, exchange, hold)

    def _read_on(self, exchange: Exchange, hold: Hold) -> None:
        """A process that was stopped finds much to read, and looks at what it holds before each piece."""
        now_s, covered = self._world.now_s, max(0, _covered(exchange, hold))
        if exchange.delivered_tokens(now_s) > covered and covered < exchange.output_max:
            exchange.begun_at_s = now_s - exchange.takes_s * covered / exchange.output_tokens

    def _cover(self, exchange: Exchange, hold: Hold) -> None:
        self._read_on(exchange, hold)
        now_s = self._world.now_s
        if exchange.is_over or exchange.delivered_tokens(now_s) >= exchange.output_tokens:
            return
        tokens = min(SLICE_TOKENS, exchange.output_max - _covered(exchange, hold))
        more = tokens * CARDS[exchange.model].output
        if self.book.extend(now_s, hold, more):
            self._truth.extended(exchange, more)
            self._look_again(exchange, hold, half=True)
            return
        exchange.waits_since_s = now_s
        waiting = self._growing.get(hold.lease_id)
        if waiting is not None:
            waiting.append(lambda: self._grow(exchange, hold, more))
            return
        self._growing[hold.lease_id] = deque()
        self._grow(exchange, hold, more)

    def _grow(self, exchange: Exchange, hold: Hold, more: int) -> None:
        lease, billing = hold.lease, self.site.billing
        total, least = lease.granted_microtokens + more, lease.granted_microtokens + 1

        def answered(value: int | None) -> None:
            before = hold.amount_microtokens
            if value:
                self.book.grown(hold, value)
                self._truth.extended(exchange, hold.amount_microtokens - before)
            elif value is None:
                self.book.may_have_grown(lease, total)
            self._goes_on(exchange, hold, got=hold.amount_microtokens - before, wanted=more)
            waiting = self._growing[lease.lease_id]
            if waiting:
                waiting.popleft()()
            else:
                del self._growing[lease.lease_id]

        account_id = lease.account_id
        self._ask(
            BILLING, lambda: billing.extend(lease.lease_id, account_id, total, least), answered
        )

    def _goes_on(self, exchange: Exchange, hold: Hold, *, got: int, wanted: int) -> None:
        now_s = self._world.now_s
        assert exchange.waits_since_s is not None
        exchange.begun_at_s += now_s - exchange.waits_since_s
        exchange.waits_since_s = None
        if not got and exchange.delivered_tokens(now_s) >= _covered(exchange, hold) - 1:
            exchange.output_tokens = exchange.delivered_tokens(now_s)
            exchange.ending = "spent"
            self._truth.spent += 1
            self._finish(exchange, hold)
            return
        self._look_again(exchange, hold, half=got >= wanted)

    def _note(self, exchange: Exchange, hold: Hold) -> None:
        if exchange.is_over:
            return
        self._read_on(exchange, hold)
        now_s = self._world.now_s
        tokens = exchange.delivered_tokens(now_s)
        progress = Progress(
            request_id=exchange.request_id,
            model=exchange.model,
            provider="vendor",
            price_version=1,
            usage=None,
            output_tokens_estimate=tokens,
        )
        data = frame(encode(progress))
        self.writer.append(data)
        self.state.grew(len(data))
        if tokens:
            exchange.noted.append((self.writer.end, _cost(exchange, tokens), tokens))
        left_s = exchange.begun_at_s + exchange.takes_s - now_s
        if left_s > PROGRESS_S:
            self.after(PROGRESS_S, self._note, exchange, hold)
        else:
            self.after(max(0.0, left_s), self._finish, exchange, hold)

    def _finish(self, exchange: Exchange, hold: Hold) -> None:
        if exchange.is_over:
            return
        if exchange.stream and exchange.ending not in {"refused", "spent"}:
            self._read_on(exchange, hold)
        left_s = exchange.begun_at_s + exchange.takes_s - self._world.now_s
        if exchange.ending != "spent" and (exchange.waits_since_s is not None or left_s > 1e-6):
            self.after(min(max(0.01, left_s), PROGRESS_S), self._note, exchange, hold)
            return
        exchange.is_over = True
        self._running -= 1
        tokens, outcome, reported, is_final = exchange.output_tokens, Outcome.COMPLETED, True, True
        match exchange.ending:
            case "refused":
                tokens, outcome, reported = 0, Outcome.UPSTREAM_ERROR, False
            case "cut":
                outcome, reported, is_final = Outcome.UPSTREAM_CUT, True, False
            case "left":
                outcome, reported = Outcome.CLIENT_GONE, False
            case "spent":
                outcome, reported = Outcome.HOLD_SPENT, False
            case _:
                pass
        usage = Usage(input=exchange.input_tokens, output=tokens if is_final else 1)
        settlement = settle(
            Ending(
                outcome=outcome,
                reported=usage if reported else None,
                reported_is_final=reported and is_final,
                delivered_tokens=tokens,
                input_estimate=exchange.input_tokens,
            )
        )
        event = None
        amount = 0
        if settlement.usage is not None:
            event = UsageRecorded(
                event_id=exchange.request_id,
                account_id=exchange.account_id,
                key_id=None,
                lease_id=hold.lease_id,
                requested_model=exchange.model,
                billed_model=exchange.model,
                provider="vendor",
                price_version=1,
                usage=settlement.usage,
                source=settlement.source,
                outcome=outcome,
                occurred_at=self._world.now(),
                stream=exchange.stream,
            )
            amount = _price(event)
        owed = _cost(exchange, exchange.output_tokens)
        if exchange.ending == "refused" or (exchange.ending == "spent" and not tokens):
            owed = 0
        sequence = self._end(exchange, event, owed)
        self.book.finish(hold, amount, sequence)

    def _end(self, exchange: Exchange, event: UsageRecorded | None, owed: int) -> int:
        sequence = 0
        final = Final(request_id=exchange.request_id)
        if event is not None:
            sequence = self.state.next_sequence(self._world.now_s)
            final = Final(request_id=event.event_id, sequence=sequence, event=encode_event(event))
        data = frame(encode(final))
        self.writer.append(data)
        if sequence:
            self.writer.sync_soon()
        self.state.ended(final.request_id, sequence, len(data))
        self._truth.ended(self.name, self.epoch, sequence, exchange, owed, self.writer.end)
        return sequence

    # --- delivery, as `Publisher` and `Spool` do it -------------------------------------------

    def _durable(self, place: Position) -> None:
        self.state.durable(place)
        self._send_soon()

    def _send_soon(self) -> None:
        if not self._sends_soon:
            self._sends_soon = True
            self.after(GATHER_S, self._send_due)

    def _send_due(self) -> None:
        self._sends_soon = False
        while self._in_flight < IN_FLIGHT_MAX and (found := self.publisher.next_now()) is not None:
            self._in_flight += 1
            batch, payload = found
            self._truth.published(self.name, batch.epoch, batch.first, batch.last)
            self._send(batch, payload, RETRY_S)

    def _send(self, batch: Batch, payload: bytes, pause_s: float) -> None:
        message_id = f"{self.name}:{batch.epoch}:{batch.first}-{batch.last}"
        if batch.round:
            message_id += f":{self.epoch}-{batch.round}"
        bus = self.site.bus

        def taken(value: bool | None) -> None:
            if value is None:
                again_s = pause_s * self._world.random.uniform(0.5, 1.0)
                self.after(again_s, self._send, batch, payload, min(RETRY_S_MAX, pause_s * 2))
                return
            self._in_flight -= 1
            self.state.taken(self._world.now_s, batch)
            self._send_soon()

        self._ask(BUS, lambda: bus.store(self.name, message_id, payload), taken)

    def told(self) -> None:
        """Billing says that it settled something."""
        self._told = True
        if self._may_be_told:
            self._may_be_told = False
            self._learn()

    def _learn(self) -> None:
        self._told = False
        if self.state.unapplied or self.state.has_old_segments:
            billing, oldest = self.site.billing, self.state.oldest_segment.epoch
            self._ask(BILLING, lambda: billing.spool(self.name, oldest), self._learned)
        else:
            self.after(ASK_AGAIN_S, self._wait_to_be_told)

    def _learned(self, report: dict[int, list[tuple[int, int]]] | None) -> None:
        if report is not None:
            self._truth.believes(self.name, report)
            ranges = {epoch: Ranges(found) for epoch, found in report.items()}
            self.state.applied(self._world.now_s, ranges)
            for name in self.state.take_deletable():
                self._truth.deletes(self.name, name, self.router.disk)
                self.writer.delete(name)
        self.book.applied(self.state.watermark)
        self.after(ASK_AGAIN_S, self._wait_to_be_told)

    def _wait_to_be_told(self) -> None:
        if self._told:
            self._learn()
        else:
            self._may_be_told = True
            self._waits += 1
            self.after(ASK_EVERY_S, self._not_told, self._waits)

    def _not_told(self, wait: int) -> None:
        if self._may_be_told and wait == self._waits:
            self.told()


def _covered(exchange: Exchange, hold: Hold) -> int:
    """How many tokens of output."""
    card = CARDS[exchange.model]
    return (hold.amount_microtokens - exchange.input_tokens * card.input) // card.output


def _cost(exchange: Exchange, output_tokens: int) -> int:
    """By the price alone, apart from the product."""
    card = CARDS[exchange.model]
    return exchange.input_tokens * card.input + output_tokens * card.output


def _price(event: UsageRecorded) -> int:
    return charge_microtokens(event.usage, CARDS[event.billed_model])
