"""Where another vendor's state travels in this dialect: the opaque strings that its clients give back unchanged.

A thinking block has such a string; a tool call has none, so a call's state is the signature of an empty thinking block
that names the call behind a `#`.
"""

from aibridge_router.canonical.content import State
from aibridge_router.canonical.state import pack, unpack

NATIVE_PROVIDER = "anthropic"
"""Whose state a signature is that a client gives back and we did not pack."""

_OF_CALL = "#"


def state_from_wire(text: str, provider: str) -> State | None:
    """The state in a signature or in redacted data, None where there is none; what we did not pack is `provider`'s."""
    if not text:
        return None
    return unpack(text) or State(provider=provider, data=text)


def call_state_to_wire(state: State, call_id: str) -> str:
    """The signature that carries the state of a call."""
    return f"{pack(state)}{_OF_CALL}{call_id}"


def call_state_from_wire(text: str) -> tuple[str, State] | None:
    """The call and its state, None for any other signature."""
    packed, mark, call_id = text.partition(_OF_CALL)
    state = unpack(packed) if mark else None
    return (call_id, state) if state is not None else None
