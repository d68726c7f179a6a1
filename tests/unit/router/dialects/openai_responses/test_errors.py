"""What the vendor says went wrong."""

import json

import pytest

from aibridge_router.canonical.codec import VendorError
from aibridge_router.dialects.openai_responses.codec import CODEC


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, {"type": "invalid_request_error", "code": None}, "invalid_request"),
        (400, {"type": "invalid_request_error", "code": "unknown_parameter"}, "invalid_request"),
        (400, {"code": "context_length_exceeded"}, "context_length_exceeded"),
        (
            400,
            {"message": "Your input exceeds the context window of this model."},
            "context_length_exceeded",
        ),
        (
            400,
            {"message": "This model's maximum context length is 4096 tokens."},
            "context_length_exceeded",
        ),
        (401, {"code": "invalid_api_key"}, "unavailable"),
        (403, {"code": "unsupported_country"}, "unavailable"),
        (404, {"code": "model_not_found"}, "model_not_found"),
        (404, {"code": None}, "not_found"),
        (408, {}, "upstream_timeout"),
        (413, {}, "payload_too_large"),
        (422, {}, "invalid_request"),
        (429, {"type": "tokens", "code": "rate_limit_exceeded"}, "rate_limited"),
        (429, {"type": "requests"}, "rate_limited"),
        (429, {"type": "insufficient_quota", "code": "insufficient_quota"}, "unavailable"),
        (500, {"type": "server_error"}, "upstream_failed"),
        (502, {}, "upstream_failed"),
        (503, {"code": "server_is_overloaded"}, "unavailable"),
        (504, {}, "upstream_timeout"),
    ],
)
def test_the_code_is_ours(status: int, error: dict[str, object], code: str) -> None:
    body = json.dumps({"error": error}).encode()

    assert code == CODEC.error_from_wire(status, body).code


def test_the_words_are_the_vendors() -> None:
    body = b'{"error":{"message":"Invalid value: \'x\'.","type":"invalid_request_error","param":"input[0]"}}'

    expected = VendorError(code="invalid_request", message="Invalid value: 'x'.", param="input[0]")
    assert expected == CODEC.error_from_wire(400, body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"no such thing"}', "no such thing"),
        (b'{"message":"flat"}', "flat"),
        (b"<html>", "the vendor answered with status 400"),
        (b"\xff", "the vendor answered with status 400"),
        (b"[1]", "the vendor answered with status 400"),
        (b'{"error":null}', "the vendor answered with status 400"),
        (b'{"error":{"message":5,"param":7}}', "the vendor answered with status 400"),
        (b"[" * 100_000, "the vendor answered with status 400"),
    ],
)
def test_any_body_will_do(body: bytes, message: str) -> None:
    assert VendorError(code="invalid_request", message=message) == CODEC.error_from_wire(400, body)
