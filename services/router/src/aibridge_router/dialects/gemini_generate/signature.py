"""`thoughtSignature`: the one slot that Google has for state.

Google's own signature goes back to Google as it came. State of any other provider travels to a Gemini client packed by
`canonical.state` and once more in base64, since the official clients hold the field as bytes and give it back in either
alphabet.
"""

import base64
import binascii

from aibridge_router.canonical.content import State
from aibridge_router.canonical.state import pack, unpack

NATIVE_PROVIDER = "google"
"""Whose a signature is that a client brings unpacked."""

SKIP = "skip_thought_signature_validator"
"""What Google takes where a call of its Gemini 3 has no signature: for calls that another model made."""

_SKIPS = frozenset(
    {SKIP, base64.b64encode(SKIP.encode()).decode(), "context_engineering_is_the_way_to_go"}
)
_PACKED = base64.b64encode(b"aib1").decode()[:5]
_STANDARD = str.maketrans("-_", "+/")


def standard_base64(text: str) -> str:
    """Base64 in the alphabet and with the padding that every vendor takes; the official client sends the other one."""
    if "-" in text or "_" in text:
        text = text.translate(_STANDARD)
    return text + "=" * (-len(text) % 4)


def state_from_wire(signature: str | None, provider: str = NATIVE_PROVIDER) -> State | None:
    """The state behind a signature; None for the words that stand in place of one."""
    if not signature or signature in _SKIPS:
        return None
    if signature.startswith(_PACKED):
        try:
            packed = base64.b64decode(standard_base64(signature), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            packed = ""
        state = unpack(packed)
        if state is not None:
            return state
    return State(provider=provider, data=signature)


def native_signature(state: State | None, provider: str) -> str | None:
    """The signature for Google, None where the state is another provider's."""
    return state.data if state is not None and state.provider == provider else None


def packed_signature(state: State) -> str:
    """The signature for a client."""
    return base64.b64encode(pack(state).encode()).decode()
