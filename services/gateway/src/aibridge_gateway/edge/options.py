"""What a client may say of its request in headers: what may happen to it, and how long it is waited for.

These headers end here. What they come to, within what the key may ask for, goes inward in headers of our own.
"""

from collections.abc import Iterable

import msgspec

from aibridge_common.errors import InvalidRequest
from aibridge_common.routing import RoutingOptions

_ROUTING = {
    b"x-aibridge-failover": "failover",
    b"x-aibridge-continuation": "continuation",
    b"x-aibridge-larger-context": "larger_context",
}
_SWITCH = {b"on": True, b"off": False}
_TIMEOUTS = frozenset({b"x-stainless-timeout", b"x-stainless-read-timeout"})
"""Sent by the SDKs of OpenAI and Anthropic. It is how long they wait for the next byte, so it bounds a whole answer,
which comes at once, and says nothing of a stream, which may take much longer than its longest silence."""
_OURS = _TIMEOUTS | _ROUTING.keys()

TIMEOUT_MIN_S = 5.0
"""A client that says less gets this: hardly a model answers faster, and a slip must not refuse everything."""
TIMEOUT_MAX_S = 600.0
"""What every request gets that does not ask for less."""


class RequestOptions(msgspec.Struct, frozen=True):
    """What was said in the headers of one request; `timeout_s` is None where it is the longest."""

    routing: RoutingOptions
    timeout_s: float | None = None


def read_options(headers: Iterable[tuple[bytes, bytes]], allowed: RoutingOptions) -> RequestOptions:
    """What one request gets of what its key is `allowed`: it may refuse, never ask for more.

    Raises `InvalidRequest` for a switch that is neither on nor off. A timeout that is no number is passed over: the
    client did not mean us.
    """
    said = [header for header in headers if header[0] in _OURS]
    if not said:
        return RequestOptions(allowed)
    refused: dict[str, bool] = {}
    timeout_s = TIMEOUT_MAX_S
    for name, value in said:
        option = _ROUTING.get(name)
        if option is None:
            timeout_s = min(timeout_s, _seconds(value))
        elif not _is_on(name, value):
            refused[option] = False
    routing = msgspec.structs.replace(allowed, **refused) if refused else allowed
    return RequestOptions(routing, timeout_s if timeout_s < TIMEOUT_MAX_S else None)


def _is_on(name: bytes, value: bytes) -> bool:
    on = _SWITCH.get(value.strip().lower())
    if on is None:
        raise InvalidRequest(f"{name.decode()} is on or off", param=name.decode())
    return on


def _seconds(value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return TIMEOUT_MAX_S
    return max(seconds, TIMEOUT_MIN_S) if seconds > 0 else TIMEOUT_MAX_S
