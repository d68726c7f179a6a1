"""OpenAI's error shape and the headers that come with it."""

from typing import Any

import msgspec

from aibridge_sandbox.call import Request
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.frame import Frame, Reply

_KINDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", None),
    404: ("invalid_request_error", None),
    408: ("server_error", None),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    502: ("server_error", None),
    503: ("server_error", None),
    504: ("server_error", None),
}


def error_body(refusal: Refusal) -> dict[str, Any]:
    """The inside of `error`."""
    kind, code = _KINDS.get(refusal.status, ("invalid_request_error", None))
    if refusal.status >= 500:
        kind = "server_error"
    return {
        "message": refusal.message,
        "type": refusal.kind or kind,
        "param": refusal.param,
        "code": refusal.code or code,
    }


def openai_headers(mint: str) -> tuple[tuple[str, str], ...]:
    """Sent with every answer, good or bad."""
    return (
        ("x-request-id", f"req_{mint[:32]}"),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "12"),
    )


def envelope(refusal: Refusal, _: Request, mint: str) -> Reply:
    """The refusal in OpenAI's shape."""
    headers = dict(openai_headers(mint))
    if refusal.status == 429 and refusal.code != "insufficient_quota":
        headers["retry-after"] = "1"
    headers.update(refusal.headers)
    data = msgspec.json.encode({"error": error_body(refusal)})
    return Reply(
        status=refusal.status,
        content_type="application/json",
        frames=(Frame(data=data, terminal=True),),
        headers=tuple(headers.items()),
    )
