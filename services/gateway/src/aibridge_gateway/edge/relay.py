"""The public data plane: authenticate, read, forward. Nothing here parses a prompt."""

from uuid import UUID

from litestar.types import Receive, Scope, Send

from aibridge_common import envelopes
from aibridge_common.dialect import Surface, find_endpoint
from aibridge_common.errors import AIBridgeError, MethodNotAllowed, NotFound, UpgradeRequired
from aibridge_common.ids import public_request_id, uuid7
from aibridge_common.settings import Secret
from aibridge_common.telemetry.log import get_logger
from aibridge_common.web.client import Client
from aibridge_gateway.edge.body import ClientGone, check_content_type, read_body
from aibridge_gateway.edge.credentials import find_key, without_key
from aibridge_gateway.edge.forward import AnswerCut, Forwarder
from aibridge_gateway.edge.headers import inward, on_behalf_of
from aibridge_gateway.edge.keyring import Keyring

_METHODS = frozenset({"GET", "POST"})
"""No other goes inward: the answer to a HEAD announces a body that never comes."""


class Relay:
    """Serves every public path that the router stands behind."""

    def __init__(self, keyring: Keyring, forwarder: Forwarder, service_token: Secret) -> None:
        self._keyring = keyring
        self._forwarder = forwarder
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
            await _render(client, _surface(scope), error, public_request_id(request_id))
        except AnswerCut:
            raise
        except Exception:  # noqa: BLE001 - the rim: whatever happens becomes an answer
            get_logger().exception("edge.failed", request_id=public_request_id(request_id))
            error = AIBridgeError("something went wrong here")
            await _render(client, _surface(scope), error, public_request_id(request_id))

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
        if find_endpoint(path.decode("latin-1")) is None:
            raise NotFound(f"nothing is served at {path.decode('latin-1')}")
        if method not in _METHODS:
            raise MethodNotAllowed(f"{method} is not served here")
        body = b""
        if method == "POST":
            check_content_type(headers)
            body = await read_body(receive)
        query = without_key(query)
        await self._forwarder.forward(
            client,
            method.encode(),
            path + b"?" + query if query else path,
            on_behalf_of(inward(headers), self._authorization, request_id, facts),
            body,
        )


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


async def _render(client: Client, surface: Surface, error: AIBridgeError, request_id: str) -> None:
    if client.started:
        return
    rendering = envelopes.render(surface, error, request_id)
    await client.start(rendering.status, rendering.headers)
    await client.finish(rendering.body)
