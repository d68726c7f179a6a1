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
    REQUEST_ID,
    ROUTING,
    decode_deadline,
    decode_routing,
)
from aibridge_common.routing import DEFAULT, RoutingOptions
from aibridge_common.web.guard import ServiceGuard


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

    @property
    def idempotency_key(self) -> bytes | None:
        """The client's own id for this request, if it gave one."""
        for name, value in self.headers:
            if name == b"idempotency-key":
                return value
        return None

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
    caller = request = account = key = routing = deadline = None
    headers: list[tuple[bytes, bytes]] = []
    for header in scope["headers"]:
        name = header[0]
        if name == b"authorization":
            caller = guard.caller(header[1])
        elif name == REQUEST_ID:
            request = header[1]
        elif name == ACCOUNT:
            account = header[1]
        elif name == KEY:
            key = header[1]
        elif name == ROUTING:
            routing = header[1]
        elif name == DEADLINE_MS:
            deadline = header[1]
        else:
            headers.append(header)
    if caller is None:
        raise Unauthenticated("a service token is needed")
    try:
        return Inbound(
            request_id=UUID(bytes=bytes.fromhex((request or b"").decode())),
            account_id=UUID(bytes=bytes.fromhex((account or b"").decode())),
            key_id=UUID(bytes=bytes.fromhex(key.decode())) if key else None,
            headers=headers,
            query=scope["query_string"],
            path=full_path(scope),
            left_s=decode_deadline(deadline) / 1000,
            options=decode_routing(routing),
        )
    except ValueError:
        raise InvalidRequest("the internal request or account id is malformed") from None


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
