"""What an OpenAI-protocol vendor says went wrong, in the hub's words."""

import msgspec
from msgspec import Struct

from aibridge_router.canonical.codec import VendorError
from aibridge_router.dialects.openai_chat.wire import ErrorWire

_CODES = {
    "context_length_exceeded": "context_length_exceeded",
    "string_above_max_length": "context_length_exceeded",
    "model_not_found": "model_not_found",
    "rate_limit_exceeded": "rate_limited",
}
_STATUSES = {
    404: "not_found",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
    504: "upstream_timeout",
    529: "unavailable",
}
_TEXTS = ("maximum context length", "context window")


class _Document(Struct, frozen=True):
    error: ErrorWire | str | None = None


_decode = msgspec.json.Decoder(_Document).decode


def error_from_wire(status: int, body: bytes) -> VendorError:
    """Never raises, whatever the body is."""
    try:
        error = _decode(body).error
    except (msgspec.DecodeError, RecursionError):
        error = None
    if isinstance(error, str):
        error = ErrorWire(message=error)
    message = (error and error.message) or f"the vendor answered with status {status}"
    code = _CODES.get(str(error.code)) if error is not None else None
    if code is None and any(text in message for text in _TEXTS):
        code = "context_length_exceeded"
    if code is None:
        code = _STATUSES.get(status) or (
            "invalid_request" if 400 <= status < 500 else "upstream_failed"
        )
    return VendorError(code=code, message=message, param=error.param if error else None)
