"""The public data plane: authenticate, read, forward. Nothing here parses a prompt."""

from uuid import UUID

from litestar.types import Receive, Scope, Send

from aibridge_common import envelopes
from aibridge_common.clock import Clock
from aibridge_common.contracts.auth import KeyFacts
from aibridge_common.dialect import Endpoint, Surface, find_endpoint
from aibridge_common.errors import (
    AIBridgeError,
    MethodNotAllowed,
    NotFound,
    Unavailable,
    UpgradeRequired,
)
from aibridge_common.ids import public_request_id, uuid7
from aibridge_common.internal import DEADLINE_DEFAULT_MS
from aibridge_common.settings import Secret
from aibridge_common.telemetry.log import get_logger
from aibridge_common.web.client import Client
from aibridge_common.web.drain import Drain
from aibridge_gateway.edge.addresses import ClientAddresses
from aibridge_gateway.edge.admission import Admission
from aibridge_gateway.edge.body import ClientGone, check_content_type, read_body
from aibridge_gateway.edge.credentials import find_key, without_key
from aibridge_gateway.edge.forward import AnswerCut, Forwarder, asks_for_stream
from aibridge_gateway.edge.headers import inward, on_behalf_of, under_options
from aibridge_gateway.edge.keyring import Keyring
from aibridge_gateway.edge.options import read_options

_METHODS = frozenset({"GET", "POST"})
"""No other goes inward: the answer to a HEAD announces a body that never comes."""


class Relay:
    """Serves every public path that the router stands behind."""

    def __init__(
        self,
        keyring: Keyring,
        addresses: ClientAddresses,
        admission: Admission,
        forwarder: Forwarder,
        drain: Drain,
        clock: Clock,
        service_token: Secret,
    ) -> None:
        self._keyring = keyring
        self._addresses = addresses
        self._admission = admission
        self._forwarder = forwarder
        self._drain = drain
        self._clock = clock
        self._authorization = b"Bearer " + service_token.reveal().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every error is rendered in the caller's dialect."""
        client = Client(receive, send)
        request_id = uuid7()
        try:
            await self._serve(scope, receive, client, request_id)
        except ClientGone:
            return
        except AIBridgeError as error:
            await self._render(client, _surface(scope), error, request_id)
        except AnswerCut:
            raise
        except Exception:  # noqa: BLE001 - the rim: whatever happens becomes an answer
            get_logger().exception("edge.failed", request_id=public_request_id(request_id))
            error = AIBridgeError("something went wrong here")
            await self._render(client, _surface(scope), error, request_id)

    async def _serve(
        self, scope: Scope, receive: Receive, client: Client, request_id: UUID
    ) -> None:
        headers = scope["headers"]
        query = scope["query_string"]
        method: str = scope["method"]  # pyright: ignore[reportGeneralTypeIssues]
        path = _path(scope)
        if any(name == b"upgrade" for name, _ in headers):
            raise UpgradeRequired("WebSocket is not served here; use HTTP with server-sent events")
        facts = await self._keyring.facts(find_key(headers, query))
        client_at = scope["client"]  # pyright: ignore[reportGeneralTypeIssues]
        self._addresses.check(facts.limits, client_at, headers)
        endpoint = find_endpoint(path.decode("latin-1"))
        if endpoint is None:
            raise NotFound(f"nothing is served at {path.decode('latin-1')}")
        if method not in _METHODS:
            raise MethodNotAllowed(f"{method} is not served here")
        self._admission.enter(facts.account_id, endpoint.operation)
        try:
            await self._forward(scope, receive, client, request_id, facts, endpoint)
        finally:
            self._admission.leave(facts.account_id, endpoint.operation)

    async def _forward(
        self,
        scope: Scope,
        receive: Receive,
        client: Client,
        request_id: UUID,
        facts: KeyFacts,
        endpoint: Endpoint,
    ) -> None:
        began_at_s = self._clock.monotonic_s()
        headers = scope["headers"]
        options = read_options(headers, facts.routing)
        method: str = scope["method"]  # pyright: ignore[reportGeneralTypeIssues]
        body = b""
        if method == "POST":
            check_content_type(headers)
            body = await read_body(receive)
        if (
            self._drain.started
        ):  # after the body: the connection is closed, and a client that still sent would not read
            raise Unavailable("this server is stopping; try again", retry_after_s=1)
        query = without_key(scope["query_string"])
        path = _path(scope)
        target = path + b"?" + query if query else path
        streamed = asks_for_stream(target, body)
        remaining_ms = DEADLINE_DEFAULT_MS
        if options.timeout_s is not None and not streamed:
            waited_s = self._clock.monotonic_s() - began_at_s
            remaining_ms = int((options.timeout_s - waited_s) * 1000)
        sent = on_behalf_of(inward(headers), self._authorization, request_id, facts)
        await self._forwarder.forward(
            client,
            method.encode(),
            target,
            under_options(sent, options.routing, remaining_ms, facts.limits),
            body,
            account_id=facts.account_id,
            streamed=streamed,
            surface=endpoint.surface,
        )

    async def _render(
        self, client: Client, surface: Surface, error: AIBridgeError, request_id: UUID
    ) -> None:
        if client.started:
            return
        rendering = envelopes.render(surface, error, public_request_id(request_id))
        if self._drain.started:
            rendering.headers.append((b"connection", b"close"))
        await client.start(rendering.status, rendering.headers)
        await client.finish(rendering.body)


def _path(scope: Scope) -> bytes:
    # Inside a Litestar mount `path` is cut; the raw path is what the client asked for.
    raw = scope.get("raw_path") or scope["path"].encode("latin-1")
    return raw.split(b"?", 1)[0]


def _surface(scope: Scope) -> Surface:
    endpoint = find_endpoint(_path(scope).decode("latin-1"))
    if endpoint is None:
        return Surface.OPENAI
    named = any(name == b"anthropic-version" for name, _ in scope["headers"])
    if named and endpoint.dialect is None and not endpoint.native:
        return Surface.ANTHROPIC  # the model list serves two clients on one path
    return endpoint.surface
