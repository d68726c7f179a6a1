"""Anthropic's error shape and the headers that come with it."""

import msgspec

from aibridge_sandbox.call import Request
from aibridge_sandbox.openai.envelope import error_body
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.frame import Frame, Reply

COMPATIBLE_PATH = "/v1/chat/completions"

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def request_id(mint: str) -> str:
    """The same id in the header and in an error's body."""
    return f"req_011{mint[:21]}"


def anthropic_headers(mint: str) -> tuple[tuple[str, str], ...]:
    """Sent with every answer, good or bad."""
    return (
        ("request-id", request_id(mint)),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
    )


def kind_of(status: int) -> str:
    """The usual error type of a status."""
    fallback = "api_error" if status >= 500 else "invalid_request_error"
    return _KINDS.get(status, fallback)


def envelope(refusal: Refusal, request: Request, mint: str) -> Reply:
    """Messages' own envelope; the compatibility endpoint answers in OpenAI's."""
    kind = refusal.kind or kind_of(refusal.status)
    if request.path == COMPATIBLE_PATH:
        body = {"error": {**error_body(refusal), "code": refusal.code or kind, "type": kind}}
    else:
        body = {
            "type": "error",
            "error": {"type": kind, "message": refusal.message},
            "request_id": request_id(mint),
        }
    headers = dict(anthropic_headers(mint))
    if refusal.status == 429:
        headers["retry-after"] = "1"
    headers.update(refusal.headers)
    return Reply(
        status=refusal.status,
        content_type="application/json",
        frames=(Frame(data=msgspec.json.encode(body), terminal=True),),
        headers=tuple(headers.items()),
    )
