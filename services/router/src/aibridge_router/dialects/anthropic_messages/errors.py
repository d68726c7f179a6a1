"""What a vendor behind Messages says went wrong, in the hub's words."""

import re

import msgspec
from msgspec import Struct

from aibridge_router.canonical.codec import VendorError
from aibridge_router.dialects.anthropic_messages.answer_wire import ErrorWire

_CODES = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "invalid_api_key",
    "billing_error": "insufficient_balance",
    "permission_error": "forbidden",
    "not_found_error": "not_found",
    "request_too_large": "payload_too_large",
    "conflict_error": "conflict",
    "rate_limit_error": "rate_limited",
    "timeout_error": "upstream_timeout",
    "api_error": "upstream_failed",
    "overloaded_error": "unavailable",
}
_STATUSES = {
    401: "invalid_api_key",
    402: "insufficient_balance",
    403: "forbidden",
    404: "not_found",
    408: "upstream_timeout",
    409: "conflict",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
    504: "upstream_timeout",
    529: "unavailable",
}
_TEXTS = {
    "invalid_request": (
        (
            re.compile(r"prompt is too long|exceeds? (?:the )?context|context window"),
            "context_length_exceeded",
        ),
        (
            re.compile(r"credit balance is too low|usage limits|spend(?:ing)? limit"),
            "insufficient_balance",
        ),
    ),
    "not_found": ((re.compile(r"\bmodel\b"), "model_not_found"),),
}
"""What the vendor says only in words, by the code that its type stands for."""

_PARAM = re.compile(r"([a-z_]+(?:\.[a-zA-Z0-9_]+)*): ")
"""The vendor's messages begin with the field that is wrong."""


class _Document(Struct, frozen=True):
    error: ErrorWire | str | None = None


_decode = msgspec.json.Decoder(_Document).decode


def error_from_wire(status: int, body: bytes) -> VendorError:
    """Never raises, whatever the body is."""
    try:
        error = _decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    if not isinstance(error, ErrorWire):
        error = ErrorWire(message=error or "")
    message = error.message or f"the vendor answered with status {status}"
    code = _CODES.get(error.type) or _STATUSES.get(status)
    if code is None:
        code = "invalid_request" if 400 <= status < 500 else "upstream_failed"
    for pattern, said in _TEXTS.get(code, ()):
        if pattern.search(message) is not None:
            code = said
            break
    param = _PARAM.match(message) if code == "invalid_request" else None
    return VendorError(code=code, message=message, param=param[1] if param is not None else None)


def code_of(kind: str) -> str:
    """The hub's code for the type of an error event."""
    return _CODES.get(kind, "upstream_failed")
