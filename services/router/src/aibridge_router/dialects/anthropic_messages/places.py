"""Refusals of a part that was decoded apart from its body, named by its place in the whole."""

import msgspec

from aibridge_common.errors import InvalidRequest
from aibridge_router.dialects.body import invalid_body


def invalid_at(place: str, reason: str) -> InvalidRequest:
    """The refusal of the field at `place`."""
    return InvalidRequest(f"{place}: {reason}", param=place)


def invalid_within(place: str, error: msgspec.DecodeError) -> InvalidRequest:
    """The refusal of a field inside what stands at `place`."""
    inner = invalid_body(error)
    path = f"{place}.{inner.param}" if inner.param else place
    return invalid_at(path, inner.message.partition(": ")[2])
