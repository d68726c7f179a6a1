"""What is checked on the bytes of a request before anything decodes them, and how a refusal names its place."""

import re
from functools import cache
from itertools import accumulate, pairwise

import msgspec

from aibridge_common.errors import InvalidRequest

DEPTH_MAX = 64
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_NOT_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_WHITESPACE = b" \t\r\n"


def nested_too_deep(body: bytes, limit: int = DEPTH_MAX) -> bool:
    """Whether JSON `body` nests deeper than `limit`.

    A decoder that recurses can exhaust the stack on a few kilobytes of brackets, so this comes first. It runs on
    whole-body operations only: strings are cut out, then each bracket is a step up or down.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    marks = _unescaped(body).translate(_STEPS, _NOT_MARKS).replace(b'""', b"")
    steps = b"".join(marks.split(b'"')[::2])
    return max(accumulate(memoryview(steps).cast("b")), default=0) > limit


def repeats_top_level(body: bytes, name: bytes) -> bool:
    """Whether the object `body` has the member `name` twice, however its letters are escaped.

    Two readers of such a body may believe different things, for example which model it asks for.
    """
    escaped = b"\\u00" in body
    pieces = _spellings(name).split(body) if escaped else body.split(b'"' + name + b'"')
    if len(pieces) < 3:
        return False
    found = depth = 0
    inside = False
    for piece, following in pairwise(pieces):
        parts = _unescaped(piece).split(b'"')
        depth += _opened(b"".join(parts[inside::2]))
        inside ^= len(parts) % 2 == 0
        if parts[-1].endswith(b"\\"):
            inside = False  # the quote before the name was escaped; the one behind it ends a string
        elif not inside and depth == 1 and following.lstrip(_WHITESPACE).startswith(b":"):
            found += 1
    return found > 1


def _opened(outside_strings: bytes) -> int:
    opened = outside_strings.count(b"{") + outside_strings.count(b"[")
    return opened - outside_strings.count(b"}") - outside_strings.count(b"]")


def _unescaped(body: bytes) -> bytes:
    return body.replace(b"\\\\", b"").replace(b'\\"', b"")


@cache
def _spellings(name: bytes) -> re.Pattern[bytes]:
    letters = (b"(?:%b|\\\\u00(?i:%02x))" % (re.escape(bytes([code])), code) for code in name)
    return re.compile(b'"' + b"".join(letters) + b'"')


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
