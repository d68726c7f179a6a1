"""One error, three renderings: each client gets the envelope its SDK parses.

The table is data: what differs between the surfaces is a row, not a branch. Statuses that an SDK reads in its own
way are set here (an OpenAI client stops at once on 429 `insufficient_quota`, a 402 costs it several tries).
"""

from msgspec import Struct, json

from aibridge_common.dialect import Surface
from aibridge_common.errors import AIBridgeError


class Rendering(Struct, frozen=True, kw_only=True):
    """A finished HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Row(Struct, frozen=True):
    """How one error code looks on one surface; `status` None keeps the error's own."""

    type: str
    code: str | None = None
    status: int | None = None


_ANTHROPIC: dict[str, _Row] = {
    "invalid_request": _Row("invalid_request_error"),
    "context_length_exceeded": _Row("invalid_request_error"),
    "unsupported_media_type": _Row("invalid_request_error"),
    "invalid_api_key": _Row("authentication_error"),
    "wrong_credentials": _Row("authentication_error"),
    "second_factor_needed": _Row("authentication_error"),
    "insufficient_balance": _Row("billing_error"),
    "forbidden": _Row("permission_error"),
    "not_found": _Row("not_found_error"),
    "model_not_found": _Row("not_found_error"),
    "payload_too_large": _Row("request_too_large"),
    "rate_limited": _Row("rate_limit_error"),
    "upstream_timeout": _Row("timeout_error"),
    "unavailable": _Row("overloaded_error", status=529),
}
_OPENAI: dict[str, _Row] = {
    "invalid_request": _Row("invalid_request_error"),
    "context_length_exceeded": _Row("invalid_request_error", "context_length_exceeded"),
    "unsupported_media_type": _Row("invalid_request_error", "unsupported_media_type"),
    "invalid_api_key": _Row("invalid_request_error", "invalid_api_key"),
    "wrong_credentials": _Row("invalid_request_error", "wrong_credentials"),
    "second_factor_needed": _Row("invalid_request_error", "second_factor_needed"),
    "insufficient_balance": _Row("insufficient_quota", "insufficient_quota", 429),
    "forbidden": _Row("invalid_request_error", "forbidden"),
    "not_found": _Row("invalid_request_error", "not_found"),
    "model_not_found": _Row("invalid_request_error", "model_not_found"),
    "method_not_allowed": _Row("invalid_request_error", "method_not_allowed"),
    "upgrade_required": _Row("invalid_request_error", "upgrade_required"),
    "payload_too_large": _Row("invalid_request_error", "payload_too_large"),
    "rate_limited": _Row("requests", "rate_limit_exceeded"),
    "upstream_failed": _Row("server_error", "upstream_failed"),
    "upstream_timeout": _Row("server_error", "upstream_timeout"),
    "unavailable": _Row("server_error", "server_error"),
}
_GEMINI: dict[str, _Row] = {
    "invalid_request": _Row("INVALID_ARGUMENT"),
    "context_length_exceeded": _Row("INVALID_ARGUMENT"),
    "unsupported_media_type": _Row("INVALID_ARGUMENT"),
    "invalid_api_key": _Row("UNAUTHENTICATED"),
    "wrong_credentials": _Row("UNAUTHENTICATED"),
    "second_factor_needed": _Row("UNAUTHENTICATED"),
    "insufficient_balance": _Row("RESOURCE_EXHAUSTED", status=402),
    "forbidden": _Row("PERMISSION_DENIED"),
    "not_found": _Row("NOT_FOUND"),
    "model_not_found": _Row("NOT_FOUND"),
    "payload_too_large": _Row("INVALID_ARGUMENT"),
    "rate_limited": _Row("RESOURCE_EXHAUSTED"),
    "upstream_timeout": _Row("DEADLINE_EXCEEDED"),
    "unavailable": _Row("UNAVAILABLE"),
}
_TABLES = {Surface.ANTHROPIC: _ANTHROPIC, Surface.OPENAI: _OPENAI, Surface.GEMINI: _GEMINI}
_OTHERWISE = {
    Surface.ANTHROPIC: _Row("api_error"),
    Surface.OPENAI: _Row("server_error", "server_error"),
    Surface.GEMINI: _Row("INTERNAL"),
}
_OTHERWISE_4XX = {
    Surface.ANTHROPIC: _Row("invalid_request_error"),
    Surface.OPENAI: _Row("invalid_request_error"),
    Surface.GEMINI: _Row("INVALID_ARGUMENT"),
}
_NEVER_RETRY = frozenset({401, 402, 403, 404, 413, 415, 426})
"""Claude Code retries a 401 for minutes and SDKs retry a 429 unless `x-should-retry: false` comes with it."""


def render(surface: Surface, error: AIBridgeError, request_id: str | None = None) -> Rendering:
    """The answer that says `error` to a client of `surface`."""
    row = _row(surface, error)
    status = row.status or error.status
    headers = [(b"content-type", b"application/json")]
    if error.final or error.status in _NEVER_RETRY:
        headers.append((b"x-should-retry", b"false"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if request_id is not None:
        headers += request_id_headers(request_id)
    if error.status == 426:
        headers.append((b"upgrade", b"HTTP/1.1"))
        headers.append((b"connection", b"Upgrade"))
    body = json.encode(_document(surface, row, status, error, request_id))
    headers.append((b"content-length", b"%d" % len(body)))
    return Rendering(status=status, headers=headers, body=body)


def request_id_headers(request_id: str) -> list[tuple[bytes, bytes]]:
    """The request id under our own name and under those that Anthropic's and OpenAI's clients print."""
    value = request_id.encode()
    return [
        (b"x-aibridge-request-id", value),
        (b"request-id", value),
        (b"x-request-id", value),
    ]


def kind_of(surface: Surface, error: AIBridgeError) -> str:
    """The word by which a client of `surface` knows this kind of error."""
    row = _row(surface, error)
    return row.code or row.type


def stream_event(surface: Surface, error: AIBridgeError, request_id: str | None = None) -> bytes:
    """The frame that ends a started stream with an error; never followed by a terminal event.

    A clean end would make several SDKs return the truncated text as a success.
    """
    row = _row(surface, error)
    data = json.encode(_document(surface, row, row.status or error.status, error, request_id))
    if surface is Surface.ANTHROPIC:
        return b"event: error\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


def _row(surface: Surface, error: AIBridgeError) -> _Row:
    row = _TABLES[surface].get(error.code)
    if row is not None:
        return row
    return (_OTHERWISE_4XX if error.status < 500 else _OTHERWISE)[surface]


def _document(
    surface: Surface, row: _Row, status: int, error: AIBridgeError, request_id: str | None
) -> dict[str, object]:
    message = error.message
    if surface is Surface.ANTHROPIC:
        return {
            "type": "error",
            "error": {"type": row.type, "message": message},
            "request_id": request_id,
        }
    if surface is Surface.OPENAI:
        return {
            "error": {
                "message": message,
                "type": row.type,
                "param": error.param,
                "code": row.code,
            }
        }
    return {"error": {"code": status, "message": message, "status": row.type}}
