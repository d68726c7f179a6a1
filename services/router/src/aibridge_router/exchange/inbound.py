"""What the gateway tells the router about a request, in headers that clients cannot set: the edge strips them."""

from uuid import UUID

from litestar.types import Receive, Scope
from msgspec import Struct

from aibridge_common.errors import InvalidRequest, PayloadTooLarge, Unauthenticated
from aibridge_common.ids import public_request_id
from aibridge_common.internal import (
    ACCOUNT,
    BODY_BYTES_MAX,
    DEADLINE_DEFAULT_MS,
    DEADLINE_MS,
    KEY,
    LIMITS,
    REQUEST_ID,
    ROUTING,
    decode_deadline,
    decode_limits,
    decode_routing,
)
from aibridge_common.limits import KeyLimits
from aibridge_common.routing import DEFAULT, RoutingOptions
from aibridge_common.web.guard import ServiceGuard

_IDEMPOTENCY_KEY = b"idempotency-key"
_TOLD = frozenset({REQUEST_ID, ACCOUNT, KEY, ROUTING, DEADLINE_MS, LIMITS, _IDEMPOTENCY_KEY})
"""What is for the router itself; no upstream gets any of it."""


class Inbound(Struct, frozen=True, kw_only=True):
    """An authenticated request; `headers` are the client's that passed the edge."""

    request_id: UUID
    account_id: UUID
    key_id: UUID | None
    headers: list[tuple[bytes, bytes]]
    query: bytes
    path: str = ""
    left_s: float = DEADLINE_DEFAULT_MS / 1000
    """How long the client still waits."""
    options: RoutingOptions = DEFAULT
    limits: KeyLimits | None = None
    """What the key is limited to, as far as the router sees to it."""
    idempotency_key: bytes | None = None
    """The client's own id for this request."""

    @property
    def public_id(self) -> str:
        """The request id as the customer sees it."""
        return public_request_id(self.request_id)


def full_path(scope: Scope) -> str:
    """The path as the client asked for it; inside a Litestar mount `path` is cut."""
    raw = scope.get("raw_path") or scope["path"].encode()
    return raw.split(b"?", 1)[0].decode("latin-1")


def read_inbound(scope: Scope, guard: ServiceGuard) -> Inbound:
    """Check who calls and for whom. Raises `Unauthenticated` or `InvalidRequest`."""
    caller = None
    told: dict[bytes, bytes] = {}
    headers: list[tuple[bytes, bytes]] = []
    for header in scope["headers"]:
        name, value = header
        if name == b"authorization":
            caller = guard.caller(value)
        elif name in _TOLD:
            told[name] = value
        else:
            headers.append(header)
    if caller is None:
        raise Unauthenticated("a service token is needed")
    key = told.get(KEY)
    try:
        return Inbound(
            request_id=UUID(bytes=bytes.fromhex(told.get(REQUEST_ID, b"").decode())),
            account_id=UUID(bytes=bytes.fromhex(told.get(ACCOUNT, b"").decode())),
            key_id=UUID(bytes=bytes.fromhex(key.decode())) if key else None,
            headers=headers,
            query=scope["query_string"],
            path=full_path(scope),
            left_s=decode_deadline(told.get(DEADLINE_MS)) / 1000,
            options=decode_routing(told.get(ROUTING)),
            limits=decode_limits(told.get(LIMITS)),
            idempotency_key=told.get(_IDEMPOTENCY_KEY),
        )
    except ValueError:
        raise InvalidRequest("an internal header is malformed") from None


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises `PayloadTooLarge`, and `InvalidRequest` when the caller left before its end."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise InvalidRequest("the caller left before the end of the body")
    body = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    total = len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the caller left before the end of the body")
        part = message.get("body", b"")
        total += len(part)
        if total > BODY_BYTES_MAX:
            raise PayloadTooLarge(f"the body exceeds {BODY_BYTES_MAX // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)
