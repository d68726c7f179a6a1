"""What a vendor behind Messages says went wrong, in the hub's words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.canonical.codec import VendorError
from aibridge_router.dialects.anthropic_messages.codec import CODEC

ROWS: list[tuple[int, str, str, str, str | None]] = [
    (400, "invalid_request_error", "max_tokens: too large", "invalid_request", "max_tokens"),
    (
        400,
        "invalid_request_error",
        "messages.1.role: role 'system' is not supported",
        "invalid_request",
        "messages.1.role",
    ),
    (400, "invalid_request_error", "Something is wrong", "invalid_request", None),
    (
        400,
        "invalid_request_error",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "context_length_exceeded",
        None,
    ),
    (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
        "context_length_exceeded",
        None,
    ),
    (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the API.",
        "insufficient_balance",
        None,
    ),
    (401, "authentication_error", "invalid x-api-key", "invalid_api_key", None),
    (402, "billing_error", "Pay.", "insufficient_balance", None),
    (403, "permission_error", "Not yours.", "forbidden", None),
    (404, "not_found_error", "model: claude-none", "model_not_found", None),
    (404, "not_found_error", "Not found", "not_found", None),
    (409, "conflict_error", "Again.", "conflict", None),
    (413, "request_too_large", "Too large", "payload_too_large", None),
    (429, "rate_limit_error", "Slow down.", "rate_limited", None),
    (500, "api_error", "Oh.", "upstream_failed", None),
    (504, "timeout_error", "Late.", "upstream_timeout", None),
    (529, "overloaded_error", "Overloaded", "unavailable", None),
    # What we do not know is told by its status.
    (400, "novel_error", "Oh.", "invalid_request", None),
    (422, "novel_error", "Oh.", "invalid_request", None),
    (503, "novel_error", "Oh.", "unavailable", None),
    (502, "", "Oh.", "upstream_failed", None),
]


@pytest.mark.parametrize(("status", "kind", "message", "code", "param"), ROWS)
def test_an_error_is_told(
    status: int, kind: str, message: str, code: str, param: str | None
) -> None:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    assert VendorError(code=code, message=message, param=param) == CODEC.error_from_wire(
        status, msgspec.json.encode(body)
    )


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            502,
            b"<html>",
            VendorError(code="upstream_failed", message="the vendor answered with status 502"),
        ),
        (429, b'{"error":"Slow."}', VendorError(code="rate_limited", message="Slow.")),
        (
            404,
            b"{}",
            VendorError(code="not_found", message="the vendor answered with status 404"),
        ),
    ],
)
def test_other_bodies_are_told_by_their_status(
    status: int, body: bytes, expected: VendorError
) -> None:
    assert expected == CODEC.error_from_wire(status, body)


@given(st.integers(400, 599), st.binary(max_size=20))
def test_no_body_is_too_odd(status: int, body: bytes) -> None:
    assert CODEC.error_from_wire(status, body).message
