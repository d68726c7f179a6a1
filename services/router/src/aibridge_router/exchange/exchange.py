"""One client exchange, from hold to settlement. Runs detached from the client: see `pump`."""

import asyncio
import contextlib
from enum import Enum

import msgspec
from msgspec import Struct

from aibridge_common import envelopes
from aibridge_common.clock import Clock
from aibridge_common.dialect import Endpoint
from aibridge_common.errors import (
    AIBridgeError,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from aibridge_common.events.usage import Outcome, UsageRecorded
from aibridge_common.telemetry.log import get_logger
from aibridge_common.transport import (
    ConnectFailed,
    HeadersTimeout,
    IdleTimeout,
    Response,
    Timers,
    TransportError,
)
from aibridge_common.usage import ImplausibleUsage, Usage, charge_microtokens
from aibridge_common.web.client import Client
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.response import UnfinishedAnswer
from aibridge_router.credit.book import Hold
from aibridge_router.credit.estimate import worst_case_microtokens
from aibridge_router.credit.wallet import Wallets
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.plan import Plan
from aibridge_router.exchange.refusals import own_words
from aibridge_router.exchange.settlement import Ending, settle
from aibridge_router.spool.outbox import Outbox
from aibridge_router.sse import FrameTooLong
from aibridge_router.upstream.headers import returned_headers, upstream_headers
from aibridge_router.upstream.pools import Pools

ANSWER_BYTES_MAX = 64 * 2**20
REFUSAL_BYTES_MAX = 2**20
BYTES_PER_TOKEN = 4
LAST_WORD_S = 5.0
"""How long a client may take to hear that the deadline passed."""


class Stop(Enum):
    """Why an exchange was stopped from outside."""

    DEADLINE = "deadline"
    CLIENT_GONE = "client gone"
    CLIENT_STALLED = "client stalled"


class Services(Struct, frozen=True, kw_only=True):
    """What every exchange uses."""

    pools: Pools
    wallets: Wallets
    outbox: Outbox
    clock: Clock


class Exchange:
    """Serves one planned request; whatever happens, `settle` runs once at its end."""

    def __init__(
        self, services: Services, endpoint: Endpoint, inbound: Inbound, plan: Plan, client: Client
    ) -> None:
        self._services = services
        self._endpoint = endpoint
        self._inbound = inbound
        self._plan = plan
        self.client = client
        self.stop: Stop | None = None
        self._began_s = services.clock.monotonic_s()
        self._first_content_s: float | None = None
        self._hold: Hold | None = None
        self._response: Response | None = None
        self._ending = Ending(outcome=Outcome.UPSTREAM_ERROR)
        self._tap: CarriedStream | None = None

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

    @property
    def _provider(self) -> str:
        provider = self._plan.target.provider
        return provider.title or provider.name

    # --- serving ------------------------------------------------------------------------------

    async def _serve_or_say_why_not(self) -> None:
        try:
            await self._serve()
        except AIBridgeError as error:
            await self._fail(error)
        except TransportError as error:
            await self._fail(self._from_wire(error))
        except (
            FrameTooLong,
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
            UnfinishedAnswer,
        ):
            await self._fail(own_words(self._provider, 200, None))

    async def _serve(self) -> None:
        plan, services = self._plan, self._services
        services.outbox.check_room()
        model = plan.target.model
        self._hold = await services.wallets.hold(
            self._inbound.account_id,
            worst_case_microtokens(
                plan.head,
                len(plan.body),
                model.context_tokens,
                model.max_output_tokens,
                plan.target.card.multipliers,
            ),
        )
        response = await self._ask()
        if not 200 <= response.status < 300:
            await self._pass_refusal_on(response)
        elif _is_event_stream(response):
            await self._stream(response)
        else:
            await self._answer(response)

    async def _ask(self) -> Response:
        plan = self._plan
        target = plan.target
        pool, prefix = self._services.pools.at(target.provider.base_url)
        response = self._response = await pool.request(
            b"POST",
            (prefix + plan.path).encode(),
            upstream_headers(
                self._inbound.headers,
                target.provider,
                target.keys[0].secret.reveal(),
                self._inbound.public_id,
                bearer=plan.bearer,
            ),
            plan.body,
            Timers(headers_s=target.model.headers_timeout_s, idle_s=target.model.idle_timeout_s),
        )
        return response

    async def _answer(self, response: Response) -> None:
        plan = self._plan
        body = await response.read(ANSWER_BYTES_MAX, plan.target.model.idle_timeout_s)
        answer, usage = plan.carriage.answer(body, self._context)
        self._first_content_s = self._services.clock.monotonic_s()
        self._ending = Ending(
            outcome=Outcome.COMPLETED,
            reported=usage,
            reported_is_final=usage is not None,
            delivered_tokens=len(body) // BYTES_PER_TOKEN,
            input_estimate=self._input_estimate,
        )
        headers = self._answer_headers(response)
        headers.append((b"content-length", b"%d" % len(answer)))
        await self.client.start(response.status, headers)
        await self.client.finish(answer)

    async def _stream(self, response: Response) -> None:
        plan, client = self._plan, self.client
        idle_s = plan.target.model.idle_timeout_s
        tap = self._tap = plan.carriage.stream(self._context)
        client.watch()
        while data := await response.next_chunk(idle_s):
            data = tap.feed(data)
            if not data:
                continue
            if not client.started:
                self._first_content_s = self._services.clock.monotonic_s()
                headers = self._answer_headers(response)
                headers.append((b"cache-control", b"no-cache"))
                await client.start(response.status, headers)
            await client.write(data)
        if not tap.started:
            raise own_words(self._provider, 200, None)
        if not (tap.terminal or tap.failed):
            raise UpstreamFailed(f"{self._provider} ended the stream early")
        await client.finish()

    async def _pass_refusal_on(self, response: Response) -> None:
        body = await response.read(REFUSAL_BYTES_MAX, self._plan.target.model.idle_timeout_s)
        passed_on = self._plan.carriage.refusal(
            response.status, body, self._plan.target.keys[0].secret.reveal()
        )
        if passed_on is None:
            raise own_words(self._provider, response.status, _retry_after_s(response))
        if isinstance(passed_on, AIBridgeError):
            passed_on.retry_after_s = _retry_after_s(response)
            raise passed_on
        headers = self._answer_headers(response)
        headers.append((b"content-length", b"%d" % len(passed_on)))
        await self.client.start(response.status, headers)
        await self.client.finish(passed_on)

    def _answer_headers(self, response: Response) -> list[tuple[bytes, bytes]]:
        return (
            returned_headers(response.headers)
            + envelopes.request_id_headers(self._inbound.public_id)
            + self._own_headers
        )

    @property
    def _context(self) -> AnswerContext:
        target = self._plan.target
        return AnswerContext(
            request_id=self._inbound.public_id,
            model=target.model.id,
            provider=target.provider.name,
            created_s=int(self._services.clock.now().timestamp()),
        )

    @property
    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        target = self._plan.target
        headers = [
            (b"x-aibridge-model", target.model.id.encode()),
            (b"x-aibridge-provider", target.provider.name.encode()),
            (b"x-aibridge-attempts", b"1"),
        ]
        if self._plan.carriage.dropped:
            headers.append((b"x-aibridge-dropped", ",".join(self._plan.carriage.dropped).encode()))
        return headers

    # --- failing ------------------------------------------------------------------------------

    async def _fail(self, error: AIBridgeError) -> None:
        surface, client = self._endpoint.surface, self.client
        if client.finished:
            return
        if client.started:
            await client.finish(self._error_frames(error))
            return
        rendering = envelopes.render(surface, error, self._inbound.public_id)
        await client.start(rendering.status, rendering.headers + self._own_headers)
        await client.finish(rendering.body)

    def _error_frames(self, error: AIBridgeError) -> bytes:
        return self._plan.carriage.stream_error(error, self._context, self._tap)

    async def _stopped(self, stop: Stop) -> None:
        if stop is not Stop.DEADLINE:
            return
        with contextlib.suppress(
            TimeoutError
        ):  # the client may have stalled; settling must not wait for it
            async with asyncio.timeout(LAST_WORD_S):
                await self._fail(UpstreamTimeout(f"{self._provider} took too long"))

    def _from_wire(self, error: TransportError) -> AIBridgeError:
        if isinstance(error, HeadersTimeout | IdleTimeout):
            return UpstreamTimeout(f"{self._provider} did not answer in time")
        if isinstance(error, ConnectFailed):
            return Unavailable(f"{self._provider} cannot be reached")
        return UpstreamFailed(f"{self._provider} did not answer properly")

    # --- settling -----------------------------------------------------------------------------

    @property
    def _input_estimate(self) -> int:
        context_tokens = self._plan.target.model.context_tokens
        return min(len(self._plan.body) // BYTES_PER_TOKEN, context_tokens)

    def _close(self) -> None:
        self.client.close()
        if self._response is not None:
            self._response.close()
        hold, self._hold = self._hold, None
        if hold is None:
            return
        ending = self._ended()
        settlement = settle(ending)
        charge = 0
        if settlement.usage is not None:
            charge = self._price(settlement.usage)
            self._services.outbox.put(
                self._event(hold, ending, settlement.usage, settlement.source)
            )
        self._services.wallets.finish(hold, charge)

    def _ended(self) -> Ending:
        tap = self._tap
        if tap is None:
            return self._ending
        if self.client.gone_at_s is not None or self.stop is Stop.CLIENT_STALLED:
            outcome = Outcome.CLIENT_GONE
        elif tap.failed:
            outcome = Outcome.UPSTREAM_ERROR
        else:
            outcome = Outcome.COMPLETED if tap.terminal else Outcome.UPSTREAM_CUT
        return Ending(
            outcome=outcome,
            reported=tap.usage,
            reported_is_final=tap.usage_is_final,
            delivered_tokens=tap.output_estimate,
            input_estimate=self._input_estimate,
        )

    def _price(self, usage: Usage) -> int:
        try:
            return charge_microtokens(usage, self._plan.target.card.multipliers)
        except ImplausibleUsage:
            get_logger().error("usage.implausible", request_id=self._inbound.public_id)
            return 0

    def _event(self, hold: Hold, ending: Ending, usage: Usage, source: object) -> UsageRecorded:
        clock, target, inbound = self._services.clock, self._plan.target, self._inbound
        now_s = clock.monotonic_s()
        first_s = self._first_content_s if self._first_content_s is not None else now_s
        return UsageRecorded(
            event_id=inbound.request_id,
            account_id=inbound.account_id,
            key_id=inbound.key_id,
            lease_id=hold.lease_id,
            requested_model=self._plan.head.model,
            billed_model=target.model.id,
            provider=target.provider.name,
            price_version=target.card.version,
            usage=usage,
            source=source,  # pyright: ignore[reportArgumentType]
            outcome=ending.outcome,
            occurred_at=clock.now(),
            endpoint=self._plan.dialect.value,
            stream=self._tap is not None,
            first_content_ms=int((first_s - self._began_s) * 1000),
            total_ms=int((now_s - self._began_s) * 1000),
        )


def _is_event_stream(response: Response) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in response.headers
    )


def _retry_after_s(response: Response) -> int | None:
    for name, value in response.headers:
        if name == b"retry-after" and value.isdigit():
            return min(int(value), 3600)
    return None
