"""The headers between gateway and router. Clients cannot set them: the edge forwards an allow-list."""

import msgspec

from aibridge_common.limits import NO_LIMITS, KeyLimits
from aibridge_common.routing import DEFAULT, RoutingOptions

REQUEST_ID = b"x-ab-request-id"
ACCOUNT = b"x-ab-account"
KEY = b"x-ab-key"
ROUTING = b"x-ab-routing"
DEADLINE_MS = b"x-ab-deadline-ms"
LIMITS = b"x-ab-limits"

REFUSED = b"x-ab-refused"
"""Why a router did not begin a request; one that says so may be sent to another router."""
DRAINING = b"draining"
"""Its value while a router drains: nothing was read for a provider, held or charged. Beside it stands a 503."""

BODY_BYTES_MAX = 32 * 2**20
"""The largest body served, which is Anthropic's own limit."""
DEADLINE_DEFAULT_MS = 600_000
"""What a request gets whose client does not say how long it waits: the SDKs' own default."""


def encode_routing(options: RoutingOptions) -> bytes | None:
    """The names of what is on, as `x-ab-routing`; None for the defaults, which need no header."""
    if options == DEFAULT:
        return None
    names = [name for name in RoutingOptions.__struct_fields__ if getattr(options, name)]
    return ",".join(names).encode()


def decode_routing(value: bytes | None) -> RoutingOptions:
    """The inverse; a name of a newer gateway is passed over."""
    if value is None:
        return DEFAULT
    names = value.decode("latin-1").split(",")
    return RoutingOptions(**{name: name in names for name in RoutingOptions.__struct_fields__})


def encode_deadline(remaining_ms: int) -> bytes | None:
    """What is left of the request's time, as `x-ab-deadline-ms`; None for the default, which needs no header."""
    return None if remaining_ms == DEADLINE_DEFAULT_MS else b"%d" % max(1, remaining_ms)


def decode_deadline(value: bytes | None) -> int:
    """The inverse, in milliseconds. What is no number counts as the default."""
    if value is None or not value.isdigit():
        return DEADLINE_DEFAULT_MS
    return min(int(value), DEADLINE_DEFAULT_MS)


def encode_limits(limits: KeyLimits | None) -> bytes | None:
    """What the router is to see to, as `x-ab-limits`; addresses and expiry end at the edge. None for nothing."""
    if limits is None:
        return None
    inward = msgspec.structs.replace(limits, ip_ranges=None, expires_at=None)
    return None if inward == NO_LIMITS else msgspec.json.encode(inward)


def decode_limits(value: bytes | None) -> KeyLimits | None:
    """The inverse; a limit of a newer gateway is passed over. Raises `ValueError`."""
    return None if value is None else _decode_limits(value)


_decode_limits = msgspec.json.Decoder(KeyLimits).decode
