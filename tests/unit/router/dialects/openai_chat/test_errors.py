"""What the vendor says went wrong."""

import json

import pytest

from aibridge_router.canonical.codec import VendorError
from aibridge_router.canonical.events import Failed
from aibridge_router.dialects.openai_chat.codec import CODEC


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, {"type": "invalid_request_error", "code": None}, "invalid_request"),
        (400, {"code": "unknown_parameter"}, "invalid_request"),
        (400, {"code": "context_length_exceeded"}, "context_length_exceeded"),
        (400, {"message": "Maximum context length is 4096."}, "context_length_exceeded"),
        (400, {"code": "string_above_max_length"}, "invalid_request"),
        (401, {"code": "invalid_api_key"}, "unavailable"),
        (402, {}, "unavailable"),
        (403, {"code": "unsupported_country"}, "unavailable"),
        (404, {"code": "model_not_found"}, "model_not_found"),
        (404, {"code": None}, "not_found"),
        (408, {}, "upstream_timeout"),
        (413, {}, "payload_too_large"),
        (415, {}, "unsupported_media_type"),
        (422, {}, "invalid_request"),
        (429, {"type": "tokens", "code": "rate_limit_exceeded"}, "rate_limited"),
        (429, {"type": "requests"}, "rate_limited"),
        (429, {"code": "insufficient_quota"}, "unavailable"),
        (500, {"type": "server_error"}, "upstream_failed"),
        (502, {}, "upstream_failed"),
        (503, {"code": "server_is_overloaded"}, "unavailable"),
        (504, {}, "upstream_timeout"),
        (529, {}, "unavailable"),
    ],
)
def test_the_code_is_ours(status: int, error: dict[str, object], code: str) -> None:
    body = json.dumps({"error": error}).encode()

    assert code == CODEC.error_from_wire(status, body).code


def test_the_words_are_the_vendors() -> None:
    body = b'{"error":{"message":"Invalid value: \'x\'.","param":"messages[0]","code":null}}'

    expected = VendorError(
        code="invalid_request", message="Invalid value: 'x'.", param="messages[0]"
    )
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


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "Busy.", "type": "server_error"}, "upstream_failed"),
        ({"message": "Busy.", "code": "rate_limit_exceeded"}, "rate_limited"),
        ({"message": "Busy.", "code": 503}, "unavailable"),
        ("Busy.", "upstream_failed"),
    ],
)
def test_a_stream_fails_in_our_words(error: object, kind: str) -> None:
    frame = f"data: {json.dumps({'error': error})}\n\n".encode()

    assert CODEC.decoder("openai").feed(frame) == [Failed(kind=kind, message="Busy.")]
