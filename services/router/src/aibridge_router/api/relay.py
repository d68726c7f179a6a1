"""The router's data plane: raw ASGI handlers on the public paths, called by the gateway."""

from collections.abc import Sequence

import msgspec
from litestar.types import Receive, Scope, Send

from aibridge_common import envelopes
from aibridge_common.dialect import Endpoint, Operation, Surface, find_endpoint
from aibridge_common.errors import (
    AIBridgeError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Unavailable,
)
from aibridge_common.internal import DRAINING, REFUSED
from aibridge_common.structs import Command
from aibridge_common.telemetry.log import get_logger
from aibridge_common.web.client import Client
from aibridge_common.web.drain import Drain
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.overload import Limiter
from aibridge_router.api.counting import CountTokens, VendorRefused
from aibridge_router.api.models import list_models, one_model
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.catalog.registry import Registry
from aibridge_router.dialects.body import invalid_body
from aibridge_router.exchange.asked import read_asked
from aibridge_router.exchange.exchange import Exchange, Services
from aibridge_router.exchange.explain import explain
from aibridge_router.exchange.inbound import Inbound, full_path, read_body, read_inbound
from aibridge_router.exchange.pump import Pumps
from aibridge_router.exchange.repeats import Answer, fingerprint
from aibridge_router.exchange.session import session_of
from aibridge_router.failover.walk import Rules
from aibridge_router.limits.headers import limit_headers
from aibridge_router.limits.meter import KeyLimitReached

_PAID = frozenset({Operation.GENERATE, Operation.PASSTHROUGH})
"""What is served longest when too much is asked; anything else costs its caller nothing."""


class _Draining(Unavailable):
    """This router is about to stop; another may serve the request."""


class ExplainRoute(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request as it would be sent: the public path, with its query where it has one, and the body."""

    path: str
    body: msgspec.Raw


_decode_question = msgspec.json.Decoder(ExplainRoute).decode
_GETS = frozenset({Operation.LIST_MODELS, Operation.GET_MODEL})


class Relay:
    """Serves every public path of the data plane."""

    def __init__(
        self,
        guard: ServiceGuard,
        catalog: CatalogRefresh,
        services: Services,
        pumps: Pumps,
        limiter: Limiter,
        drain: Drain,
    ) -> None:
        self._guard = guard
        self._catalog = catalog
        self._services = services
        self._pumps = pumps
        self._limiter = limiter
        self._drain = drain
        self._count_tokens = CountTokens(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every error is rendered in the caller's dialect."""
        endpoint = find_endpoint(full_path(scope))
        surface = endpoint.surface if endpoint is not None else Surface.OPENAI
        client = Client(receive, send)
        inbound: Inbound | None = None
        try:
            inbound = read_inbound(scope, self._guard)
            await self._admit(scope, endpoint, inbound, receive, client)
        except VendorRefused as refusal:
            await _send_json(client, refusal.body, inbound, refusal.upstream_status)
        except KeyLimitReached as error:
            now = self._services.clock.now()
            await _render(client, surface, error, inbound, limit_headers(surface, error.left, now))
        except AIBridgeError as error:
            await _render(client, surface, error, inbound)
        except Exception:  # noqa: BLE001 - the rim: whatever happens becomes an answer
            get_logger().exception("relay.failed")
            await _render(client, surface, AIBridgeError("something went wrong here"), inbound)

    async def _admit(
        self,
        scope: Scope,
        endpoint: Endpoint | None,
        inbound: Inbound,
        receive: Receive,
        client: Client,
    ) -> None:
        if self._drain.started:
            await read_body(receive)
            raise _Draining("the service is restarting; try again", retry_after_s=1)
        self._limiter.enter(shed_first=endpoint is None or endpoint.operation not in _PAID)
        try:
            await self._serve(scope, endpoint, inbound, receive, client)
        finally:
            self._limiter.leave()

    async def _serve(
        self,
        scope: Scope,
        endpoint: Endpoint | None,
        inbound: Inbound,
        receive: Receive,
        client: Client,
    ) -> None:
        if endpoint is None:
            raise NotFound("nothing is served at this path")
        registry = self._catalog.registry
        if registry is None:
            raise Unavailable("the catalogue is not loaded yet", retry_after_s=1)
        method = scope["method"]  # pyright: ignore[reportGeneralTypeIssues]
        if endpoint.operation in _GETS:
            if method != "GET":
                raise MethodNotAllowed(f"{method} is not served here")
            return await _send_json(client, _models(endpoint, registry, inbound), inbound)
        if method != "POST":
            raise MethodNotAllowed(f"{method} is not served here; use POST")
        body = await read_body(receive)
        if endpoint.operation is Operation.COUNT_TOKENS:
            answer = await self._count_tokens.answer(endpoint, registry, inbound, body)
            return await _send_json(client, answer, inbound)
        rules = Rules(
            failover=registry.routing.failover and inbound.options.failover,
            larger_context=inbound.options.larger_context,
            attempts_max=registry.routing.attempts_max,
        )
        if endpoint.operation is Operation.EXPLAIN:
            return await _send_json(client, self._explain(registry, inbound, rules, body), inbound)
        continuation = rules.failover and inbound.options.continuation
        asked = read_asked(
            endpoint,
            registry,
            body,
            inbound.query,
            continuation=continuation,
            models=_models_of(inbound),
        )
        left = await self._admit_key(endpoint.surface, inbound)
        own_keys = registry.own_keys(inbound.account_id)
        exchange = Exchange(self._services, inbound, asked, rules, client, own_keys, left)
        now_s = self._services.clock.monotonic_s()
        repeats = self._services.repeats
        repeats.refuse_poison(now_s, inbound.account_id, inbound.path, body)
        key = inbound.idempotency_key
        if key is None:
            return await self._pumps.run(exchange)
        repeat = inbound.account_id, key
        answer = repeats.begin(now_s, repeat, fingerprint(inbound.path, body))
        if answer is not None:
            return await _answer_again(client, answer)
        # When it has settled, not when its caller has left: the one who asks again wants this very answer.
        exchange.on_end = lambda: repeats.end(
            self._services.clock.monotonic_s(), repeat, exchange.answer
        )
        return await self._pumps.run(exchange)

    async def _admit_key(self, surface: Surface, inbound: Inbound) -> list[tuple[bytes, bytes]]:
        """Count one request of a limited key; what it has left, as headers. Raises `KeyLimitReached`."""
        if inbound.limits is None or inbound.key_id is None:
            return []
        standing = await self._services.meters.admit(
            inbound.account_id, inbound.key_id, inbound.limits
        )
        return limit_headers(surface, standing, self._services.clock.now())

    def _explain(self, registry: Registry, inbound: Inbound, rules: Rules, body: bytes) -> bytes:
        try:
            question = _decode_question(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid_body(error) from None
        path, _, query = question.path.partition("?")
        endpoint = find_endpoint(path)
        if endpoint is None or endpoint.operation not in _PAID:
            raise InvalidRequest(f"path: {path[:200]} sends no prompt to a model", param="path")
        asked = read_asked(
            endpoint, registry, bytes(question.body), query.encode(), models=_models_of(inbound)
        )
        walk = self._services.walk(session_of(inbound, asked), asked, rules)
        now_s = self._services.clock.monotonic_s()
        return msgspec.json.encode(explain(now_s, asked, walk))


async def _answer_again(client: Client, answer: Answer) -> None:
    await client.start(answer.status, [*answer.headers, (b"idempotent-replayed", b"true")])
    await client.finish(answer.body)


def _models(endpoint: Endpoint, registry: Registry, inbound: Inbound) -> bytes:
    surface, only = endpoint.surface, _models_of(inbound)
    if surface is Surface.OPENAI and not endpoint.native:
        named = any(name == b"anthropic-version" for name, _ in inbound.headers)
        surface = Surface.ANTHROPIC if named else surface
    if endpoint.operation is Operation.GET_MODEL:
        return one_model(registry, surface, endpoint.model or "", native=endpoint.native, only=only)
    return list_models(registry, surface, native=endpoint.native, only=only)


def _models_of(inbound: Inbound) -> Sequence[str] | None:
    return inbound.limits.models if inbound.limits is not None else None


async def _send_json(
    client: Client, body: bytes, inbound: Inbound | None, status: int = 200
) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if inbound is not None:
        headers += envelopes.request_id_headers(inbound.public_id)
    await client.start(status, headers)
    await client.finish(body)


async def _render(
    client: Client,
    surface: Surface,
    error: AIBridgeError,
    inbound: Inbound | None,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    if client.started:
        return
    rendering = envelopes.render(surface, error, inbound.public_id if inbound is not None else None)
    # Only what was refused at the door: the gateway may give it to another router, since nothing has begun.
    refused = [(b"connection", b"close"), (REFUSED, DRAINING)]
    leaving = refused if isinstance(error, _Draining) else []
    await client.start(rendering.status, [*rendering.headers, *leaving, *more])
    await client.finish(rendering.body)
