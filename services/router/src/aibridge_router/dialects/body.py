"""What is checked on the bytes of a request before it is converted, and how a refusal names its place."""

import re
from itertools import accumulate

import msgspec

from aibridge_common.errors import InvalidRequest

DEPTH_MAX = 64
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_NOT_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


_BASE64 = re.compile(rb"[A-Za-z0-9+/]{2000,}={0,2}")
BYTES_PER_TOKEN = 4
"""About what a token is in text, wherever no vendor says how many there were."""

_ATTACHED_TOKENS = 1600
"""About what a picture or a page costs, however long its base64 is."""


def estimated_tokens(body: bytes) -> int:
    """About how many tokens a prompt has: text by its bytes, what is attached in base64 by the piece."""
    attached = _BASE64.findall(body)
    text_bytes = len(body) - sum(map(len, attached))
    return text_bytes // BYTES_PER_TOKEN + _ATTACHED_TOKENS * len(attached)


def nested_too_deep(body: bytes, limit: int = DEPTH_MAX) -> bool:
    """Whether JSON `body` nests deeper than `limit`.

    Conversion walks schemas and contents in Python, where depth is stack, so this comes first there. A body that passes
    as bytes needs it not: nothing walks it but the decoder, which guards itself. It runs on whole-body operations:
    strings are cut out, then each bracket is a step up or down.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    marks = _unescaped(body).translate(_STEPS, _NOT_MARKS).replace(b'""', b"")
    steps = b"".join(marks.split(b'"')[::2])
    return max(accumulate(memoryview(steps).cast("b")), default=0) > limit


def _unescaped(body: bytes) -> bytes:
    return body.replace(b"\\\\", b"").replace(b'\\"', b"")


def invalid_body(error: msgspec.DecodeError | UnicodeDecodeError) -> InvalidRequest:
    """The refusal of a body that does not fit, with the field's path in `param` (`messages.0.content`)."""
    if not isinstance(error, msgspec.ValidationError):
        return InvalidRequest(f"the body is not valid JSON: {error}")
    reason, _, place = str(error).partition(" - at `$")
    path = _INDEX.sub(r".\1", place.rstrip("`")).lstrip(".")
    missing = _MISSING.fullmatch(reason)
    if missing is not None:
        path = f"{path}.{missing[1]}".lstrip(".")
        reason = "Field required"
    return InvalidRequest(f"{path or 'the body'}: {reason}", param=path or None)
