"""One call of one target, up to its commit point: the first piece of the answer, or the whole of one not streamed.

Until then nothing has reached the client, so whatever goes wrong may be mended by another target.
"""

import asyncio
import math

import msgspec
from msgspec import Struct

from aibridge_common.clock import Clock
from aibridge_common.errors import AIBridgeError
from aibridge_common.transport import (
    ConnectFailed,
    HeadersTimeout,
    IdleTimeout,
    ProxyFailed,
    Response,
    Timers,
    TransportError,
)
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.response import UnfinishedAnswer
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.plan import Plan
from aibridge_router.exchange.refusals import own_words, words_for
from aibridge_router.exchange.reported import Reported
from aibridge_router.failover.failure import Failure, classify, classify_event
from aibridge_router.failover.retry_after import retry_after_s
from aibridge_router.failover.walk import Step
from aibridge_router.sse import FrameTooLong, payloads
from aibridge_router.upstream.egress import EgressPool, WayOut
from aibridge_router.upstream.headers import upstream_headers
from aibridge_router.upstream.pools import Pools

ANSWER_BYTES_MAX = 64 * 2**20
REFUSAL_BYTES_MAX = 2**20
PROBE_SHARE = 3
"""A probe of a provider that was down waits this many times less for the first content: it may still be silent."""

PIECE_BYTES = 16 * 1024
"""A stream is looked at in pieces: a vendor may send in one read what costs more than is held."""

_TOLD_BY_STATUS = frozenset({Failure.CALLER, Failure.TRANSIENT, Failure.RATE_LIMIT})

NO_ANSWER = (
    FrameTooLong,
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    UnfinishedAnswer,
)
"""What reading something that is not an answer raises."""


class Verbatim(Struct, frozen=True, kw_only=True):
    """A provider's refusal that the client gets: its own bytes, or an error in the client's envelope."""

    response: Response
    said: bytes | AIBridgeError


class AttemptFailed(Exception):
    """It failed before its commit point. `error` says so in our words; `verbatim` is what the provider said."""

    def __init__(
        self,
        failure: Failure,
        error: AIBridgeError,
        *,
        retry_after_s: float | None = None,
        crashed: bool = False,
        verbatim: Verbatim | None = None,
    ) -> None:
        super().__init__(error.message)
        self.failure = failure
        self.error = error
        self.retry_after_s = retry_after_s
        self.crashed = crashed
        self.verbatim = verbatim


class WholeReply(Struct, frozen=True, kw_only=True):
    """An answer that came at once, as the client gets it."""

    body: bytes
    usage: Usage | None
    upstream_bytes: int


class Attempt:
    """See the module. `response` and `tap` are there as soon as they exist, for whoever must settle."""

    def __init__(
        self,
        pools: Pools,
        egress: EgressPool,
        way_out: WayOut,
        clock: Clock,
        inbound: Inbound,
        step: Step,
        plan: Plan,
        context: AnswerContext,
        *,
        probe: bool,
        streams: bool,
        left_s: float,
    ) -> None:
        self._pools = pools
        self._egress: EgressPool | None = egress
        self.way_out = way_out
        self._clock = clock
        self._inbound = inbound
        self._streams = streams
        self._probe = probe
        self._left_s = left_s
        self._began_s = clock.monotonic_s()
        self.step = step
        self.plan = plan
        self.context = context
        self.response: Response | None = None
        self.tap: CarriedStream | None = None
        self.settled = False
        self.ended_early = False
        """Whether we ended its stream because no more of it could be held."""
        self.reported = Reported()
        self.held = b""
        """What the client gets first of a stream, held back until the commit point."""
        self.unread = b""
        """What came with it and was not looked at yet."""

    @property
    def provider(self) -> str:
        """How errors name it."""
        provider = self.step.target.provider
        return provider.title or provider.name

    async def run(self) -> WholeReply | None:
        """Ask, and wait for the commit point; None means that a stream is there. Raises `AttemptFailed`."""
        try:
            response = await self._ask()
            if not 200 <= response.status < 300:
                await self._refused(response)
            if response.is_event_stream:
                return await self._begin_stream(response)
            return await self._read_whole(response)
        except TransportError as error:
            failure = failure_on_the_wire(error)
            raise AttemptFailed(failure, words_for(failure, self.provider)) from error
        except NO_ANSWER as error:
            raise AttemptFailed(Failure.MALFORMED, own_words(self.provider, 200, None)) from error

    def close(self) -> None:
        """Leave the provider's answer where it is, and the way out to others. Safe to repeat."""
        if self.response is not None:
            self.response.close()
        egress, self._egress = self._egress, None
        if egress is not None:
            egress.release(self.way_out.name)

    # --- inside -------------------------------------------------------------------------------

    async def _ask(self) -> Response:
        plan, target = self.plan, self.step.target
        model = target.model
        pool, prefix = self._pools.at(target.provider.base_url, self.way_out)
        response = self.response = await pool.request(
            b"POST",
            (prefix + plan.path).encode(),
            upstream_headers(
                self._inbound.headers,
                target.provider,
                self.step.key.secret.reveal(),
                self._inbound.public_id,
                bearer=plan.bearer,
            ),
            plan.body,
            Timers(
                connect_s=min(model.connect_timeout_s, self._left_s),
                headers_s=self._begins_s,
                idle_s=model.idle_timeout_s,
            ),
        )
        return response

    @property
    def _begins_s(self) -> float:
        """How long the answer may take to begin; one that is not streamed begins when it is finished."""
        model = self.step.target.model
        wait_s = self._first_content_s if self._streams else model.headers_timeout_s
        return min(wait_s, self._left_s)

    @property
    def _first_content_s(self) -> float:
        wait_s = self.step.target.model.first_content_s
        return wait_s / PROBE_SHARE if self._probe else wait_s

    async def _read(self, response: Response, bytes_max: int) -> bytes:
        """The whole body. A vendor that drips it is silent, though its connection is not."""
        left_s = self._began_s + self._begins_s - self._clock.monotonic_s()
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                return await response.read(bytes_max, self.step.target.model.idle_timeout_s)
        except TimeoutError as error:
            silent = Failure.SILENT
            raise AttemptFailed(silent, words_for(silent, self.provider)) from error

    async def _read_whole(self, response: Response) -> WholeReply:
        body = await self._read(response, ANSWER_BYTES_MAX)
        self.reported.see(body)
        try:
            answer, usage = self.plan.carriage.answer(body, self.context)
        except UnfinishedAnswer as error:
            failure = classify_event(body)
            raise AttemptFailed(failure, words_for(failure, self.provider)) from error
        return WholeReply(body=answer, usage=usage, upstream_bytes=len(body))

    async def _begin_stream(self, response: Response) -> None:
        tap = self.tap = self.plan.carriage.stream(self.context)
        clock = self._clock
        give_up_s = clock.monotonic_s() + min(self._first_content_s, self._left_s)
        idle_s = self.step.target.model.idle_timeout_s
        came = b""
        while not tap.committed:
            # A vendor that drips byte by byte is not silent, so the bound is on the first content, not on the read.
            left_s = max(0.0, give_up_s - clock.monotonic_s())
            data = await self.read_on(response, min(idle_s, left_s))
            if not data:
                break
            while data and not tap.committed:
                piece, data = data[:PIECE_BYTES], data[PIECE_BYTES:]
                came += piece
                self.held += tap.feed(piece)
                if tap.failed and not tap.committed:
                    raise self._failed_inside(came)
            self.unread = data
        if not tap.committed:
            failure = Failure.DROPPED if tap.started else Failure.MALFORMED
            raise AttemptFailed(failure, words_for(failure, self.provider))

    async def read_on(self, response: Response, timeout_s: float) -> bytes:
        """The next of a stream, empty at its end; seen whole before it is taken apart. Raises `TransportError`."""
        data = await response.next_chunk(timeout_s)
        self.reported.see(data)
        return data

    def _failed_inside(self, came: bytes) -> AttemptFailed:
        said = [payload for payload in payloads(came) if b"error" in payload]
        failure = classify_event(said[-1]) if said else Failure.TRANSIENT
        return AttemptFailed(failure, words_for(failure, self.provider))

    async def _refused(self, response: Response) -> None:
        body = await self._read(response, REFUSAL_BYTES_MAX)
        status = response.status
        failure = classify(status, body)
        wait_s = retry_after_s(response.headers, self._clock.now())
        said = self.plan.carriage.refusal(status, body, self.step.key.secret.reveal())
        wait_whole_s = None if wait_s is None else math.ceil(wait_s)
        raise AttemptFailed(
            failure,
            own_words(self.provider, status, wait_whole_s)
            if failure in _TOLD_BY_STATUS
            else words_for(failure, self.provider),
            retry_after_s=wait_s,
            crashed=status == 500,
            verbatim=None if said is None else Verbatim(response=response, said=said),
        )


def failure_on_the_wire(error: TransportError) -> Failure:
    """The class of what the transport could not do."""
    if isinstance(error, HeadersTimeout | IdleTimeout):
        return Failure.SILENT
    if isinstance(error, ProxyFailed):
        return Failure.EGRESS
    if isinstance(error, ConnectFailed):
        return Failure.UNREACHABLE
    return Failure.DROPPED
