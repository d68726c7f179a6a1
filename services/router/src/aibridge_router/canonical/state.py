"""A vendor's state inside another dialect's slot for it.

Anthropic's clients give the `signature` of a thinking block back byte for byte, so state of any provider travels there
as `aib1.<provider>.<base64>`. It is unpacked for that provider and left out for every other.
"""

import base64
import binascii

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import State

_PREFIX = "aib1."
MARKS: dict[Dialect, bytes] = {
    Dialect.ANTHROPIC_MESSAGES: _PREFIX.encode(),
    Dialect.OPENAI_RESPONSES: _PREFIX.encode(),
    Dialect.GEMINI_GENERATE: base64.b64encode(b"aib1")[:5],
}
"""What stands in every body that carries packed state; Gemini's slot takes base64 only. Chat has no slot."""


def pack(state: State) -> str:
    """The state as one opaque string."""
    data = base64.urlsafe_b64encode(state.data.encode()).decode().rstrip("=")
    return f"{_PREFIX}{state.provider}.{data}"


def unpack(text: str) -> State | None:
    """The inverse of `pack`; None for a string that is a vendor's own."""
    if not text.startswith(_PREFIX):
        return None
    provider, _, data = text.removeprefix(_PREFIX).partition(".")
    try:
        raw = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
        return State(provider=provider, data=raw.decode())
    except (binascii.Error, UnicodeDecodeError):
        return None
