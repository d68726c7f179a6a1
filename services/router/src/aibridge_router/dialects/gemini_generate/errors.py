"""What Google says went wrong, in the hub's words."""

import re

import msgspec
from msgspec import Struct

from aibridge_router.canonical.codec import VendorError
from aibridge_router.dialects.gemini_generate.wire import ErrorWire, Wire

_TEXTS = (
    ("exceeds the maximum number of tokens", "context_length_exceeded"),
    ("input context is too long", "context_length_exceeded"),
    ("payload size exceeds", "payload_too_large"),
    ("API key not valid", "upstream_failed"),
    ("API key expired", "upstream_failed"),
)
"""What Google says under a general status, and what it means; a refused key is ours, not the client's."""

_WORDS = {
    "INVALID_ARGUMENT": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "FAILED_PRECONDITION": "upstream_failed",  # billing or region of our account
    "UNAUTHENTICATED": "upstream_failed",
    "PERMISSION_DENIED": "upstream_failed",
    "NOT_FOUND": "model_not_found",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "DEADLINE_EXCEEDED": "upstream_timeout",
    "UNAVAILABLE": "unavailable",
    "INTERNAL": "upstream_failed",
}
_STATUSES = {
    400: "invalid_request",
    404: "model_not_found",
    413: "payload_too_large",
    422: "invalid_request",
    429: "rate_limited",
    503: "unavailable",
    504: "upstream_timeout",
}
_SAID = {
    "rate_limited": "RESOURCE_EXHAUSTED",
    "unavailable": "UNAVAILABLE",
    "upstream_timeout": "DEADLINE_EXCEEDED",
    "upstream_failed": "INTERNAL",
}
"""A failure's kind is one of our codes where a vendor failed, and already Google's word where we end the stream."""

_NUMBERS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

_PLACES = (
    re.compile(r"\* GenerateContentRequest\.([\w.\[\]]+):"),
    re.compile(r"(?:Invalid value at|Unknown name \"\w+\" at) '([\w.\[\]]+)'"),
    re.compile(r'Unknown name "(\w+)"'),
)


class _Document(Struct, frozen=True):
    error: ErrorWire | str | None = None


_decode = msgspec.json.Decoder(_Document | list[_Document]).decode


def error_from_wire(status: int, body: bytes) -> VendorError:
    """Never raises, whatever the body is; a refused stream is told in an array."""
    try:
        document = _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        document = _Document()
    if isinstance(document, list):
        document = document[0] if document else _Document()
    error = document.error
    if not isinstance(error, ErrorWire):
        error = ErrorWire(message=error)
    message = error.message or f"the vendor answered with status {status}"
    places = (found[1] for place in _PLACES if (found := place.search(message)))
    return VendorError(code=code_of(status, error), message=message, param=next(places, None))


def code_of(status: int, error: ErrorWire) -> str:
    """One of our codes: by the text, by Google's word, by the status."""
    message = error.message or ""
    for text, code in _TEXTS:
        if text in message:
            return code
    if status == 413:
        return _STATUSES[status]
    by_word = _WORDS.get(error.status or "")
    return by_word or _STATUSES.get(status) or "upstream_failed"


def failure_to_wire(kind: str, message: str) -> Wire:
    """The last frame of a stream that failed."""
    word = _SAID.get(kind, kind)
    status = word if word in _NUMBERS else "INTERNAL"
    return {"error": {"code": _NUMBERS[status], "message": message, "status": status}}
