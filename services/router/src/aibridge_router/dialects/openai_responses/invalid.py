"""Turns what the decoder says of a body into the field that is wrong."""

import re

import msgspec

from aibridge_common.errors import InvalidRequest

Malformed = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding can raise: bytes that are no UTF-8 have an error of their own."""

_INDEX = re.compile(r"\[(\d+)\]")
_MISSING = re.compile(r"missing required field `(\w+)`")


def invalid(error: Exception, at: str = "") -> InvalidRequest:
    """`error` as a refusal; `at` is where the decoded piece stands, such as `input.0`."""
    message, separator, place = str(error).partition(" - at `$")
    path = _INDEX.sub(r".\1", place.rstrip("`")).lstrip(".") if separator else ""
    missing = _MISSING.search(message)
    names = [at, path, missing.group(1) if missing else ""]
    param = ".".join(name for name in names if name) or None
    if not isinstance(error, msgspec.ValidationError):
        return InvalidRequest(f"{param or 'the body'} is not valid JSON: {message}", param=param)
    return InvalidRequest(f"{param or 'the body'}: {message}", param=param)
