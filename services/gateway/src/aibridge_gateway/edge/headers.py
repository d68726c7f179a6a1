"""Which of a client's headers travel inward, and which of the router's travel back."""

from collections.abc import Iterable
from uuid import UUID

from aibridge_common.contracts.auth import KeyFacts
from aibridge_common.internal import (
    ACCOUNT,
    DEADLINE_MS,
    KEY,
    LIMITS,
    REFUSED,
    REQUEST_ID,
    ROUTING,
    encode_deadline,
    encode_limits,
    encode_routing,
)
from aibridge_common.limits import KeyLimits
from aibridge_common.routing import RoutingOptions

Headers = list[tuple[bytes, bytes]]

_INWARD = frozenset(
    {
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-type",
        b"idempotency-key",
        b"openai-beta",
        b"originator",
        b"session-id",
        b"thread-id",
        b"x-claude-code-session-id",
        b"x-openai-internal-codex-responses-lite",
        b"x-session-affinity",
        b"x-session-id",
    }
)
_INWARD_PREFIX = b"x-codex-"
_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server", REFUSED})


def inward(client: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The client's headers that the router may see: an allow-list, so no client can speak for the gateway."""
    return [
        header for header in client if header[0] in _INWARD or header[0].startswith(_INWARD_PREFIX)
    ]


def on_behalf_of(
    headers: Headers, authorization: bytes, request_id: UUID, facts: KeyFacts
) -> Headers:
    """`headers` with who asks, and for whom."""
    headers += (
        (b"authorization", authorization),
        (REQUEST_ID, request_id.hex.encode()),
        (ACCOUNT, facts.account_id.hex.encode()),
        (KEY, facts.key_id.hex.encode()),
    )
    return headers


def under_options(
    headers: Headers,
    routing: RoutingOptions,
    remaining_ms: int,
    limits: KeyLimits | None = None,
) -> Headers:
    """`headers` with what may happen to the request, what is left of its time and its key's limits."""
    for name, value in (
        (ROUTING, encode_routing(routing)),
        (DEADLINE_MS, encode_deadline(remaining_ms)),
        (LIMITS, encode_limits(limits)),
    ):
        if value is not None:
            headers.append((name, value))
    return headers


def outward(router: Headers) -> Headers:
    """The router's headers without those that belong to its own connection."""
    return [header for header in router if header[0] not in _HOP]
