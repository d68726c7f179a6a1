"""Google's error shape."""

from typing import Any

import msgspec

from aibridge_sandbox.call import Request
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.frame import Frame, Reply

COMPATIBLE = "/v1beta/openai/"

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def status_word(status: int) -> str:
    """The canonical name of an HTTP status at Google."""
    return _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")


def envelope(refusal: Refusal, request: Request, _: str) -> Reply:
    """The compatibility endpoint wraps Google's own error in a list, as the vendor does."""
    error: dict[str, Any] = {
        "code": refusal.status,
        "message": refusal.message,
        "status": refusal.kind or status_word(refusal.status),
    }
    if refusal.details:
        error["details"] = refusal.details
    body: object = {"error": error}
    if request.path.startswith(COMPATIBLE):
        body = [body]
    headers = {"server": "scaffolding on HTTPServer2"}
    if refusal.status == 429:
        headers["retry-after"] = "1"
    headers.update(refusal.headers)
    return Reply(
        status=refusal.status,
        content_type="application/json; charset=UTF-8",
        frames=(Frame(data=msgspec.json.encode(body), terminal=True),),
        headers=tuple(headers.items()),
    )
