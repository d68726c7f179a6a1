"""One client exchange, from hold to settlement: attempts along the chain until one answers.

Runs detached from the client: see `pump`.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from enum import Enum

from msgspec import Struct, structs

from aibridge_common import envelopes
from aibridge_common.clock import Clock
from aibridge_common.errors import (
    AIBridgeError,
    InsufficientBalance,
    InvalidRequest,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from aibridge_common.events.usage import ANSWERED, AttemptRecorded
from aibridge_common.transport import Response, TransportError
from aibridge_common.usage import Usage
from aibridge_common.web.client import Client
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Data
from aibridge_router.catalog.registry import OwnKey
from aibridge_router.credit.wallet import Wallets
from aibridge_router.dialects.splice import tell_in_last
from aibridge_router.exchange.asked import Asked
from aibridge_router.exchange.attempt import (
    NO_ANSWER,
    PIECE_BYTES,
    Attempt,
    AttemptFailed,
    Verbatim,
    WholeReply,
    failure_on_the_wire,
)
from aibridge_router.exchange.bill import Bill
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.charge import Began, ending_of
from aibridge_router.exchange.continuation import ContinuableStream
from aibridge_router.exchange.giving_up import all_failed, none_tried
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.inline import FetchFirst
from aibridge_router.exchange.own_key import step_with_own_key, words_for_own_key
from aibridge_router.exchange.plan import Plan, plan_attempt
from aibridge_router.exchange.refusals import words_for
from aibridge_router.exchange.repeats import Answer, Repeats, fingerprint
from aibridge_router.exchange.session import session_of
from aibridge_router.exchange.translate import Translation
from aibridge_router.exchange.ways_out import WaysOut
from aibridge_router.failover.budget import Budget
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.health import Health
from aibridge_router.failover.policy import REACTIONS, Then
from aibridge_router.failover.walk import Rules, Step, Walk
from aibridge_router.limits.meters import KeyMeters
from aibridge_router.spool.spool import Spool
from aibridge_router.upstream.egress import EgressPool
from aibridge_router.upstream.fetch import Fetcher
from aibridge_router.upstream.headers import returned_headers
from aibridge_router.upstream.pools import Pools

LAST_WORD_S = 5.0
"""How long a client may take to hear that the deadline passed."""

PROGRESS_PIECES, PROGRESS_S = 50, 2.0
"""How much of a stream may pass before the spool knows: what a killed router cannot charge."""

ANSWER_S = 2.0
"""Kept back from the deadline, so that there is time to say that it passed."""


class Stop(Enum):
    """Why an exchange was stopped from outside."""

    DEADLINE = "deadline"
    CLIENT_GONE = "client gone"
    CLIENT_STALLED = "client stalled"
    SHUTDOWN = "shutdown"


class UpstreamRejected(InvalidRequest):
    """Providers that serve others fail on this request."""

    code = "upstream_rejected"


class Services(Struct, frozen=True, kw_only=True):
    """What every exchange uses."""

    pools: Pools
    egress: EgressPool
    wallets: Wallets
    spool: Spool
    clock: Clock
    health: Health
    further: Budget
    fetcher: Fetcher
    rng: random.Random
    repeats: Repeats
    meters: KeyMeters

    def walk(self, session: bytes, asked: Asked, rules: Rules) -> Walk:
        """The way of one request along its chain."""
        return Walk(asked.chain, self.health, self.further, self.rng, rules, session)


class Exchange:
    """Serves one request; whatever happens, it settles once at its end."""

    def __init__(
        self,
        services: Services,
        inbound: Inbound,
        asked: Asked,
        rules: Rules,
        client: Client,
        own_keys: Sequence[OwnKey] = (),
        limit_headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._services = services
        self._inbound = inbound
        self._asked = asked
        self.client = client
        self.stop: Stop | None = None
        self.streams = asked.head.stream
        """Whether a client that leaves ends it; a whole answer is waited for and charged."""
        self.answer: Answer | None = None
        """A whole answer, once it was given."""
        self.on_end: Callable[[], object] | None = None
        """Called when it has settled."""
        self._began_s = services.clock.monotonic_s()
        self.deadline_s = self._began_s + inbound.left_s
        self._first_content_s: float | None = None
        self._bill = Bill(services.wallets, services.spool, services.clock, inbound, asked)
        self._attempt: Attempt | None = None
        self._speaking: Attempt | None = None
        """Whose stream the client hears, also while another is asked to go on with it."""
        self._failed: list[tuple[Step, AttemptFailed]] = []
        self._limit_headers = limit_headers
        """How much of its limits the key has left."""
        self._own_keys = own_keys
        self._own_failed: list[tuple[Step, AttemptFailed]] = []
        """What went wrong with the customer's own keys; nothing is told of it once others answer."""
        self._fetched: dict[str, Data] = {}
        self._reply: WholeReply | None = None
        self._legs: list[dict[str, object]] = []
        """What other models gave of a stream that was continued."""
        self._attempts: list[AttemptRecorded] = []
        self._attempt_began_s = self._began_s
        session = session_of(inbound, asked)
        self._ways_out = WaysOut(services.egress, session)
        self._walk = services.walk(session, asked, rules)
        self._unaffordable: AIBridgeError | None = None
        self._output_max: int | None = None
        """How long the answer may be, where the balance covers less than was asked for."""

    async def run(self) -> None:
        """Serve, then settle. Never raises an error of the exchange itself."""
        try:
            await self._serve_or_say_why_not()
        except asyncio.CancelledError:
            if self.stop is None:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await self._stopped(self.stop)
        finally:
            self._close()
            if self.on_end is not None:
                self.on_end()

    # --- serving ------------------------------------------------------------------------------

    async def _serve_or_say_why_not(self) -> None:
        try:
            await self._serve()
        except AIBridgeError as error:
            await self._fail(error)

    async def _serve(self) -> None:
        services, walk = self._services, self._walk
        if self.streams:
            self.client.watch()
        if self._own_keys and await self._serve_with_own_key():
            return
        services.spool.check_room()
        while (step := walk.next(services.clock.monotonic_s())) is not None:
            plan = await self._afforded(step)
            if plan is None:
                continue
            if step.wait_s:
                await asyncio.sleep(step.wait_s)
            if not self._has_time or self.client.gone_at_s is not None:
                break
            if await self._try(step, plan):
                return
            await self._look_for_client()
        await self._give_up()

    async def _serve_with_own_key(self) -> bool:
        """Ask with the customer's own keys first; whether that is the end of it, well or not."""
        for key in self._own_keys:
            step = step_with_own_key(self._asked.chain, key)
            plan = await self._planned(step) if step is not None else None
            if step is None or plan is None:
                continue
            if await self._try(step, plan):
                return True
            self._bill.own_key_failed()
            _, failed = self._own_failed[-1]
            if REACTIONS[failed.failure].then is Then.STOP and failed.verbatim is not None:
                await self._pass_on(step, failed.verbatim)
                return True
            if key.on_failure == "stop" or not self._has_time:
                raise words_for_own_key(failed, step.target.provider)
        return False

    async def _look_for_client(self) -> None:
        """Nothing more is asked for a client that left; one that waits for a whole answer is watched only now."""
        if not self.streams and len(self._failed) == 1:
            self.client.watch()
            await asyncio.sleep(0)

    async def _afforded(self, step: Step, delivered: str = "") -> Plan | None:
        """How the target is asked, with its cost set aside; None when another is to be looked for."""
        plan = await self._planned(step, delivered)
        if plan is None or not await self._afford(step, plan):
            return None
        if self._output_max is None:
            return plan
        return await self._planned(step, delivered, self._output_max)

    async def _planned(
        self, step: Step, delivered: str = "", output_max: int | None = None
    ) -> Plan | None:
        """How the target is asked; None when it cannot carry the request and another is to be looked for.

        Raises what is wrong with the request when that is told by the model it was written for, before any answer.
        """
        try:
            try:
                return plan_attempt(self._asked, step.target, self._fetched, delivered, output_max)
            except FetchFirst as missing:
                self._fetched |= await self._services.fetcher.fetch_all(missing.urls)
                return plan_attempt(self._asked, step.target, self._fetched, delivered, output_max)
        except InvalidRequest as error:
            if not (step.stand_in or self.client.started):
                raise
            self._walk.skip(step, error.message)
            return None

    async def _afford(self, step: Step, plan: Plan) -> bool:
        """Hold what the target may cost. A dearer stand-in that the balance does not cover is passed over."""
        try:
            self._output_max = await self._bill.afford(plan)
        except (InsufficientBalance, Unavailable) as error:
            if not (step.stand_in or self.client.started):
                raise
            self._unaffordable = error
            self._walk.skip(step, f"the balance does not cover it: {error.message}")
            return False
        return True

    async def _try(self, step: Step, plan: Plan) -> bool:
        """Make one attempt; whether it answered. What it means for others is reported either way."""
        services = self._services
        health, clock = services.health, services.clock
        began_s = self._attempt_began_s = clock.monotonic_s()
        if not step.own and self._walk.lost_its_turn(began_s, step):
            return False
        probe = not step.own and self._walk.begin(began_s, step)
        way_out = self._ways_out.take(began_s, step.target)
        if way_out is None:
            failure = Failure.EGRESS
            provider = step.target.provider
            error = words_for(failure, provider.title or provider.name)
            self._note_failure(step, AttemptFailed(failure, error), probe=probe)
            return False
        left_s = min(self.deadline_s - ANSWER_S - began_s, step.target.model.total_timeout_s)
        attempt = self._attempt = Attempt(
            services.pools,
            services.egress,
            way_out,
            clock,
            self._inbound,
            step,
            plan,
            self._context_of(step),
            probe=probe,
            streams=self.streams,
            left_s=left_s,
        )
        try:
            self._bill.note_start(attempt)
            reply = await attempt.run()
        except AttemptFailed as failed:
            attempt.close()
            self._attempt = None
            failed.failure = self._ways_out.failed(
                clock.monotonic_s(), way_out, step.target, failed.failure
            )
            self._note_failure(step, failed, probe=probe)
            return False
        except BaseException:
            if not step.own:
                health.abandoned(step.way, probe=probe)
            raise
        self._first_content_s = clock.monotonic_s()
        self.deadline_s = min(self.deadline_s, began_s + step.target.model.total_timeout_s)
        if not step.own:
            health.succeeded(self._first_content_s, step.way, probe=probe)
        self._ways_out.served(self._first_content_s, way_out, step.target)
        if reply is None:
            await self._stream(attempt)
        else:
            await self._answer(attempt, reply)
        return True

    def _note_attempt(self, step: Step, ended: str, now_s: float) -> None:
        target = step.target
        self._attempts.append(
            AttemptRecorded(
                model=target.model.id,
                provider=target.provider.name,
                ended=ended,
                took_ms=int((now_s - self._attempt_began_s) * 1000),
                own_key=step.own,
            )
        )

    def _note_failure(self, step: Step, failed: AttemptFailed, *, probe: bool) -> None:
        now_s = self._services.clock.monotonic_s()
        self._note_attempt(step, failed.failure.value, now_s)
        if step.own:
            self._own_failed.append((step, failed))
            return
        self._failed.append((step, failed))
        if failed.failure is Failure.SILENT and not self._has_time:
            # It had less time than it may take: that says nothing about it.
            self._services.health.abandoned(step.way, probe=probe)
        else:
            self._services.health.failed(
                now_s,
                step.way,
                failed.failure,
                probe=probe,
                retry_after_s=failed.retry_after_s,
            )
        self._walk.failed(
            now_s,
            step,
            failed.failure,
            retry_after_s=failed.retry_after_s,
            crashed=failed.crashed,
        )

    async def _answer(self, attempt: Attempt, reply: WholeReply) -> None:
        self._reply = reply
        response = attempt.response
        assert response is not None, "an answer came"
        headers = self._answer_headers(response)
        headers.append((b"content-length", b"%d" % len(reply.body)))
        self.answer = Answer(status=response.status, headers=headers, body=reply.body)
        self._settle(attempt)  # first written, then given
        self._bill.write()
        await self.client.start(response.status, headers)
        await self.client.finish(reply.body)

    async def _stream(self, attempt: Attempt) -> None:
        """From the commit point on: what goes wrong now ends the stream with an error, whoever else is well."""
        response, tap, client = attempt.response, attempt.tap, self.client
        assert response is not None, "an answer came"
        assert tap is not None, "it is a stream"
        self._speaking = attempt
        if not client.started:
            headers = self._answer_headers(response)
            headers.append((b"cache-control", b"no-cache"))
            await client.start(response.status, headers)
        if attempt.held:
            if tap.terminal:
                self._bill.note_end(attempt, tap)
            await client.write(self._with_legs(attempt.held, tap))
        try:
            failure = await self._relay(attempt, response, tap)
        except (InsufficientBalance, Unavailable) as error:
            return await self._end_early(attempt, tap, error)
        if failure is None:
            return await client.finish()
        now_s = self._services.clock.monotonic_s()
        if not attempt.step.own:
            self._services.health.failed(now_s, attempt.step.way, failure, probe=False)
        if await self._continue(attempt, failure):
            return None
        if tap.failed and not isinstance(tap, ContinuableStream):
            return await client.finish()  # the provider's own error event has passed
        raise words_for(failure, attempt.provider)

    async def _relay(
        self, attempt: Attempt, response: Response, tap: CarriedStream
    ) -> Failure | None:
        """Carry the rest of a stream; what broke it, if something did."""
        clock, unread = self._services.clock, attempt.unread
        idle_s = attempt.step.target.model.idle_timeout_s
        frame_at_s = noted_at_s = clock.monotonic_s()
        pieces = 0
        try:
            while unread or (
                unread := await attempt.read_on(
                    response, max(0.0, frame_at_s + idle_s - clock.monotonic_s())
                )
            ):
                piece, unread = unread[:PIECE_BYTES], unread[PIECE_BYTES:]
                # Only whole frames count as life: a vendor that drips bytes is silent too.
                if not await self._pass_on_piece(attempt, tap, piece):
                    continue
                frame_at_s = clock.monotonic_s()
                pieces += 1
                if pieces >= PROGRESS_PIECES or frame_at_s > noted_at_s + PROGRESS_S:
                    pieces, noted_at_s = 0, frame_at_s
                    self._bill.note_progress(attempt, tap)
        except TransportError as error:
            return failure_on_the_wire(error)
        except NO_ANSWER:
            return Failure.MALFORMED
        if tap.failed:
            return Failure.TRANSIENT
        return None if tap.terminal else Failure.DROPPED

    async def _pass_on_piece(self, attempt: Attempt, tap: CarriedStream, piece: bytes) -> bool:
        """Whether it completed a frame. Raises as `Bill.cover` does."""
        before, bill = tap.output_estimate, self._bill
        data = tap.feed(piece)
        if not data and tap.output_estimate == before:
            return False
        if data:
            if tap.terminal:
                bill.note_end(attempt, tap)
            await self.client.write(self._with_legs(data, tap))
        if tap.output_estimate >= bill.look_again_tokens and not tap.terminal:
            await bill.cover(tap)
        return True

    async def _end_early(
        self, attempt: Attempt, tap: CarriedStream, error: InsufficientBalance | Unavailable
    ) -> None:
        """What can be held is used up: the answer ends as one does at its output limit, where that is why.

        Nothing more is read, and what was given is charged. Raises `Unavailable` when billing was not there to ask.
        """
        attempt.close()
        attempt.ended_early = True
        usage = self._settle(attempt)
        if isinstance(error, Unavailable):
            raise error
        self._bill.write()
        last = tap.end_early(usage, self._asked.head.choices)
        await self.client.finish(self._with_legs(last, tap))

    async def _continue(self, attempt: Attempt, failure: Failure) -> bool:
        """Let another model go on with a text that was cut; whether one did."""
        stream = attempt.tap
        delivered = stream.open_text if isinstance(stream, ContinuableStream) else None
        if delivered is None or self.client.gone_at_s is not None:
            return False
        assert isinstance(stream, ContinuableStream), "it has open text"
        attempt.close()
        self._legs.append(_leg(attempt))
        before = self._settle(attempt)
        self._failed.append(
            (attempt.step, AttemptFailed(failure, words_for(failure, attempt.provider)))
        )
        if not attempt.step.own:
            self._walk.cut(attempt.step)
        clock = self._services.clock
        while self._has_time and (step := self._walk.next(clock.monotonic_s())) is not None:
            plan = await self._afforded(step, delivered)
            if plan is None:
                continue
            assert isinstance(plan.carriage, Translation), "what can be continued is written by us"
            carriage = structs.replace(plan.carriage, goes_on=(stream, before))
            if await self._try(step, structs.replace(plan, carriage=carriage)):
                return True
        return False

    def _with_legs(self, data: bytes, tap: CarriedStream) -> bytes:
        """The last frames of an answer that several models gave say so."""
        attempt = self._attempt
        if self._legs and attempt is not None and (tap.terminal or attempt.ended_early):
            return tell_in_last(data, "aibridge", {"legs": [*self._legs, _leg(attempt)]})
        return data

    @property
    def _has_time(self) -> bool:
        return self._services.clock.monotonic_s() < self.deadline_s - ANSWER_S

    # --- headers ------------------------------------------------------------------------------

    def _answer_headers(self, response: Response) -> list[tuple[bytes, bytes]]:
        return (
            returned_headers(response.headers)
            + envelopes.request_id_headers(self._inbound.public_id)
            + self._own_headers
        )

    def _context_of(self, step: Step) -> AnswerContext:
        return AnswerContext(
            request_id=self._inbound.public_id,
            model=step.target.model.id,
            provider=step.target.provider.name,
            created_s=int(self._services.clock.now().timestamp()),
        )

    @property
    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        """Who answered, and after how many attempts; an error that no provider gave names none."""
        attempts = self._walk.attempts + len(self._own_failed)
        if self._attempt is not None:
            attempts += self._attempt.step.own
        headers = [(b"x-aibridge-attempts", b"%d" % attempts), *self._limit_headers]
        if self._attempt is not None:
            headers += _named(self._attempt.step)
            if self._output_max is not None:
                headers.append((b"x-aibridge-output-limit", b"%d" % self._output_max))
            if dropped := self._attempt.plan.carriage.dropped:
                headers.append((b"x-aibridge-dropped", ",".join(dropped).encode()))
        return headers

    # --- failing ------------------------------------------------------------------------------

    async def _give_up(self) -> None:
        """Nothing is left to try: the provider's words about the request, or ours about everything that failed."""
        if self._walk.poisoned:
            services = self._services
            services.repeats.poison(
                services.clock.monotonic_s(),
                self._inbound.account_id,
                fingerprint(self._inbound.path, self._asked.body),
            )
            raise UpstreamRejected(
                "two providers that serve others failed on this request, so it is not tried again; change it"
            )
        if self._walk.stopped and self._failed:
            step, last = self._failed[-1]
            if last.verbatim is not None:
                return await self._pass_on(step, last.verbatim)
        raise self._summary()

    async def _pass_on(self, step: Step, verbatim: Verbatim) -> None:
        said, response = verbatim.said, verbatim.response
        names = _named(step)
        if isinstance(said, AIBridgeError):
            return await self._fail(said, names)
        headers = self._answer_headers(response) + names
        headers.append((b"content-length", b"%d" % len(said)))
        await self.client.start(response.status, headers)
        return await self.client.finish(said)

    def _summary(self) -> AIBridgeError:
        now_s = self._services.clock.monotonic_s()
        retry_s = self._walk.retry_in_s(now_s)
        if self._failed:
            return all_failed(self._failed, retry_s)
        if self._unaffordable is not None:
            return self._unaffordable
        over = self._walk.passed_over(now_s)
        asked_for = self._asked.chain.model.id
        return none_tried(asked_for, over, retry_s, has_time=self._has_time)

    async def _fail(
        self, error: AIBridgeError, names: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        surface, client, speaking = self._asked.endpoint.surface, self.client, self._speaking
        if client.finished:
            return
        if speaking is not None:
            carriage = speaking.plan.carriage
            await client.finish(carriage.stream_error(error, speaking.context, speaking.tap))
            return
        if client.started:
            return  # a whole answer is on its way, and can only come or not
        rendering = envelopes.render(surface, error, self._inbound.public_id)
        await client.start(rendering.status, rendering.headers + self._own_headers + (names or []))
        await client.finish(rendering.body)

    async def _stopped(self, stop: Stop) -> None:
        last_words = {
            Stop.DEADLINE: UpstreamTimeout(f"{self._asked.chain.model.id} took too long"),
            Stop.SHUTDOWN: UpstreamFailed("the service is restarting; try again"),
        }
        if stop not in last_words:
            return
        with contextlib.suppress(
            TimeoutError
        ):  # the client may have stalled; settling must not wait for it
            async with asyncio.timeout(LAST_WORD_S):
                await self._fail(last_words[stop])

    # --- settling -----------------------------------------------------------------------------

    def _close(self) -> None:
        self.client.close()
        attempt = self._attempt
        if attempt is not None:
            attempt.close()
            if not attempt.settled:
                self._settle(attempt)
        self._bill.close()

    def _settle(self, attempt: Attempt) -> Usage:
        """Charge what the attempt gave; returns its usage."""
        self._note_attempt(attempt.step, ANSWERED, self._services.clock.monotonic_s())
        began = Began(
            inbound=self._inbound,
            asked=self._asked,
            at_s=self._began_s,
            first_content_s=self._first_content_s,
            attempts=self._attempts,
        )
        charge = self._bill.settle(
            attempt, ending_of(attempt, self._reply, self._left_by_client), began
        )
        if self._inbound.limits is not None and self._inbound.key_id is not None:
            self._services.meters.charged(
                self._inbound.key_id, charge.usage.total, charge.amount_microtokens
            )
        return charge.usage

    @property
    def _left_by_client(self) -> bool:
        return self.client.gone_at_s is not None or self.stop is Stop.CLIENT_STALLED


def _named(step: Step) -> list[tuple[bytes, bytes]]:
    """Whose answer, or whose refusal, it is."""
    return [
        (b"x-aibridge-model", step.target.model.id.encode()),
        (b"x-aibridge-provider", step.target.provider.name.encode()),
        (b"x-aibridge-key", b"own" if step.own else b"platform"),
    ]


def _leg(attempt: Attempt) -> dict[str, object]:
    target, tap = attempt.step.target, attempt.tap
    assert tap is not None, "only streams have legs"
    said = tap.usage.output if tap.usage is not None and tap.usage_is_final else None
    return {
        "model": target.model.id,
        "provider": target.provider.name,
        "output_tokens": tap.output_estimate if said is None else said,
    }
