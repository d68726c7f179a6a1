"""The vendor's errors in our words."""

from typing import Any

import msgspec

from aibridge_router.canonical.codec import VendorError

CODES: dict[str, str] = {
    "context_length_exceeded": "context_length_exceeded",
    "string_above_max_length": "invalid_request",
    "rate_limit_exceeded": "rate_limited",
    "slow_down": "rate_limited",
    "requests": "rate_limited",
    "tokens": "rate_limited",
    "rate_limit_error": "rate_limited",
    "model_not_found": "model_not_found",
    "deployment_not_found": "model_not_found",
    "request_too_large": "payload_too_large",
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
"""The vendor's `code` or `type`, the first that is here."""

_STATUSES: dict[int, str] = {
    401: "unavailable",
    402: "unavailable",
    403: "unavailable",
    404: "not_found",
    408: "upstream_timeout",
    413: "payload_too_large",
    429: "rate_limited",
    503: "unavailable",
    504: "upstream_timeout",
    529: "unavailable",
}

_OVERFLOWS = (
    "maximum context length",
    "exceeds the context window",
    "context_length_exceeded",
    "input tokens exceed",
    "prompt is too long",
)
"""Texts by which servers that give no code say that the prompt does not fit."""


def code_of(code: object, kind: object, message: str, status: int = 500) -> str:
    """Our code for what the vendor says, else for its status."""
    text = message.lower()
    if any(mark in text for mark in _OVERFLOWS):
        return "context_length_exceeded"
    if isinstance(code, str) and code in CODES:
        return CODES[code]
    if status in _STATUSES:
        return _STATUSES[status]
    if isinstance(kind, str) and kind in CODES:
        return CODES[kind]
    return "invalid_request" if 400 <= status < 500 else "upstream_failed"


def error_from_wire(status: int, body: bytes) -> VendorError:
    """What the vendor says went wrong; never raises, whatever the body is."""
    error = _error(body)
    message = error.get("message")
    if not isinstance(message, str) or not message:
        message = f"the vendor answered with status {status}"
    param = error.get("param")
    return VendorError(
        code=code_of(error.get("code"), error.get("type"), message, status),
        message=message,
        param=param if isinstance(param, str) else None,
    )


def _error(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    error = document.get("error", document)
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}
