"""What an OpenAI-protocol vendor says went wrong, in the hub's words."""

from typing import Any

import msgspec

from aibridge_router.canonical.codec import VendorError

_CODES = {
    "context_length_exceeded": "context_length_exceeded",
    "string_above_max_length": "invalid_request",
    "model_not_found": "model_not_found",
    "deployment_not_found": "model_not_found",
    "request_too_large": "payload_too_large",
    "rate_limit_exceeded": "rate_limited",
    "slow_down": "rate_limited",
    "requests": "rate_limited",
    "tokens": "rate_limited",
    # The operator's account, not the caller's: others of ours may still serve.
    "insufficient_quota": "unavailable",
    "credit_balance_exhausted": "unavailable",
    "billing_hard_limit_reached": "unavailable",
    "invalid_api_key": "unavailable",
    "account_deactivated": "unavailable",
    "server_is_overloaded": "unavailable",
    "overloaded": "unavailable",
    "server_error": "upstream_failed",
    "internal_error": "upstream_failed",
    "timeout": "upstream_timeout",
    "invalid_prompt": "invalid_request",
    "invalid_request_error": "invalid_request",
}
"""The vendor's `code` or `type`; a code says more than the status, a type less."""

_STATUSES = {
    401: "unavailable",
    402: "unavailable",
    403: "unavailable",
    404: "not_found",
    408: "upstream_timeout",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
    504: "upstream_timeout",
    529: "unavailable",
}
_OVERFLOWS = (
    "maximum context length",
    "exceeds the context window",
    "context window of this model",
    "input tokens exceed",
    "prompt is too long",
)
"""Texts by which servers that give no code say that the prompt does not fit."""


def error_from_wire(status: int, body: bytes) -> VendorError:
    """Never raises, whatever the body is."""
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        document = None
    error = document.get("error", document) if isinstance(document, dict) else None
    return failure(error, status)


def failure(error: object, status: int = 500) -> VendorError:
    """What `error` of a document or of a stream says: an object, a text, or nothing that we know."""
    said: dict[str, Any] = error if isinstance(error, dict) else {"message": error}
    message, param = said.get("message"), said.get("param")
    if not isinstance(message, str) or not message:
        message = f"the vendor answered with status {status}"
    return VendorError(
        code=_code(said.get("code"), said.get("type"), message.lower(), status),
        message=message,
        param=param if isinstance(param, str) else None,
    )


def _code(code: object, kind: object, text: str, status: int) -> str:
    if any(mark in text for mark in _OVERFLOWS):
        return "context_length_exceeded"
    if isinstance(code, int) and 400 <= code < 600:
        status = code  # some servers repeat the status there
    if isinstance(code, str) and code in _CODES:
        return _CODES[code]
    if status in _STATUSES:
        return _STATUSES[status]
    if isinstance(kind, str) and kind in _CODES:
        return _CODES[kind]
    return "invalid_request" if 400 <= status < 500 else "upstream_failed"
