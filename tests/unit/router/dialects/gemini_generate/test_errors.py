"""What Google says went wrong."""

import json
from typing import Any

import pytest

from aibridge_router.canonical.codec import VendorError
from aibridge_router.dialects.gemini_generate.codec import CODEC

ERRORS: list[tuple[int, str, str, str, str | None]] = [
    # status, word, message, our code, param
    (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200) exceeds the maximum number of tokens allowed (1000).",
        "context_length_exceeded",
        None,
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.",
        "invalid_request",
        "contents[0].parts",
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Invalid JSON payload received. Unknown name \"foo\" at 'tools[0]': Cannot find field.",
        "invalid_request",
        "tools[0]",
    ),
    (
        400,
        "INVALID_ARGUMENT",
        'Invalid JSON payload received. Unknown name "foo": Cannot find field.',
        "invalid_request",
        "foo",
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Invalid value at 'generation_config.top_k' (TYPE_FLOAT), \"x\"",
        "invalid_request",
        "generation_config.top_k",
    ),
    (400, "INVALID_ARGUMENT", "API key not valid. Please pass one.", "upstream_failed", None),
    (400, "FAILED_PRECONDITION", "User location is not supported.", "upstream_failed", None),
    (
        400,
        "INVALID_ARGUMENT",
        "Request payload size exceeds the limit: 20971520 bytes.",
        "payload_too_large",
        None,
    ),
    (401, "UNAUTHENTICATED", "Who?", "upstream_failed", None),
    (403, "PERMISSION_DENIED", "No.", "upstream_failed", None),
    (404, "NOT_FOUND", "models/x is not found for API version v1beta", "model_not_found", None),
    (413, "INVALID_ARGUMENT", "Too large.", "payload_too_large", None),
    (429, "RESOURCE_EXHAUSTED", "Quota.", "rate_limited", None),
    (499, "CANCELLED", "Gone.", "upstream_failed", None),
    (500, "INTERNAL", "An internal error has occurred.", "upstream_failed", None),
    (503, "UNAVAILABLE", "The model is overloaded.", "unavailable", None),
    (504, "DEADLINE_EXCEEDED", "Too slow.", "upstream_timeout", None),
    (503, "", "Overloaded.", "unavailable", None),
]


@pytest.mark.parametrize("in_array", [False, True])
@pytest.mark.parametrize(("status", "word", "message", "code", "param"), ERRORS)
def test_errors(
    status: int, word: str, message: str, code: str, param: str | None, *, in_array: bool
) -> None:
    """A refused stream without `alt=sse` is told in an array."""
    error: Any = {"error": {"code": status, "message": message, "status": word, "details": [{}]}}
    body = json.dumps([error] if in_array else error).encode()

    assert CODEC.error_from_wire(status, body) == VendorError(
        code=code, message=message, param=param
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"1", b'{"error":null}', b"\xff"])
def test_what_is_no_error_goes_by_its_status(body: bytes) -> None:
    assert CODEC.error_from_wire(503, body) == VendorError(
        code="unavailable", message="the vendor answered with status 503"
    )


def test_an_error_may_be_a_sentence() -> None:
    assert CODEC.error_from_wire(418, b'{"error":"teapot"}') == VendorError(
        code="upstream_failed", message="teapot"
    )
