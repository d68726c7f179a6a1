"""Each error on each surface, as the SDKs of that surface read it."""

import json
from typing import Any

import pytest

from aibridge_common import errors
from aibridge_common.dialect import Surface
from aibridge_common.envelopes import render, request_id_headers, stream_event
from aibridge_common.errors import AIBridgeError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AIBridgeError)
]
OPENAI, ANTHROPIC, GEMINI = Surface.OPENAI, Surface.ANTHROPIC, Surface.GEMINI
REQUEST_ID = "req_" + "0" * 32

# error: (OpenAI status, type, code), (Anthropic status, type), (Gemini status, its status word)
TABLE: dict[str, tuple[tuple[int, str, str | None], tuple[int, str], tuple[int, str]]] = {
    "internal_error": (
        (500, "server_error", "server_error"),
        (500, "api_error"),
        (500, "INTERNAL"),
    ),
    "invalid_request": (
        (400, "invalid_request_error", None),
        (400, "invalid_request_error"),
        (400, "INVALID_ARGUMENT"),
    ),
    "context_length_exceeded": (
        (400, "invalid_request_error", "context_length_exceeded"),
        (400, "invalid_request_error"),
        (400, "INVALID_ARGUMENT"),
    ),
    "unsupported_media_type": (
        (415, "invalid_request_error", "unsupported_media_type"),
        (415, "invalid_request_error"),
        (415, "INVALID_ARGUMENT"),
    ),
    "invalid_api_key": (
        (401, "invalid_request_error", "invalid_api_key"),
        (401, "authentication_error"),
        (401, "UNAUTHENTICATED"),
    ),
    "wrong_credentials": (
        (401, "invalid_request_error", "wrong_credentials"),
        (401, "authentication_error"),
        (401, "UNAUTHENTICATED"),
    ),
    "second_factor_needed": (
        (401, "invalid_request_error", "second_factor_needed"),
        (401, "authentication_error"),
        (401, "UNAUTHENTICATED"),
    ),
    "insufficient_balance": (
        (429, "insufficient_quota", "insufficient_quota"),
        (402, "billing_error"),
        (402, "RESOURCE_EXHAUSTED"),
    ),
    "forbidden": (
        (403, "invalid_request_error", "forbidden"),
        (403, "permission_error"),
        (403, "PERMISSION_DENIED"),
    ),
    "not_found": (
        (404, "invalid_request_error", "not_found"),
        (404, "not_found_error"),
        (404, "NOT_FOUND"),
    ),
    "model_not_found": (
        (404, "invalid_request_error", "model_not_found"),
        (404, "not_found_error"),
        (404, "NOT_FOUND"),
    ),
    "method_not_allowed": (
        (405, "invalid_request_error", "method_not_allowed"),
        (405, "invalid_request_error"),
        (405, "INVALID_ARGUMENT"),
    ),
    "conflict": (
        (409, "invalid_request_error", None),
        (409, "invalid_request_error"),
        (409, "INVALID_ARGUMENT"),
    ),
    "payload_too_large": (
        (413, "invalid_request_error", "payload_too_large"),
        (413, "request_too_large"),
        (413, "INVALID_ARGUMENT"),
    ),
    "upgrade_required": (
        (426, "invalid_request_error", "upgrade_required"),
        (426, "invalid_request_error"),
        (426, "INVALID_ARGUMENT"),
    ),
    "rate_limited": (
        (429, "requests", "rate_limit_exceeded"),
        (429, "rate_limit_error"),
        (429, "RESOURCE_EXHAUSTED"),
    ),
    "upstream_failed": (
        (502, "server_error", "upstream_failed"),
        (502, "api_error"),
        (502, "INTERNAL"),
    ),
    "upstream_timeout": (
        (504, "server_error", "upstream_timeout"),
        (504, "timeout_error"),
        (504, "DEADLINE_EXCEEDED"),
    ),
    "unavailable": (
        (503, "server_error", "server_error"),
        (529, "overloaded_error"),
        (503, "UNAVAILABLE"),
    ),
}
NEVER_AGAIN = {
    "invalid_api_key",
    "wrong_credentials",
    "second_factor_needed",
    "insufficient_balance",
    "forbidden",
    "not_found",
    "model_not_found",
    "payload_too_large",
    "unsupported_media_type",
    "upgrade_required",
}


def rendered(surface: Surface, error: AIBridgeError) -> tuple[int, dict[bytes, bytes], Any]:
    answer = render(surface, error, REQUEST_ID)
    return answer.status, dict(answer.headers), json.loads(answer.body)


def test_the_table_has_every_error() -> None:
    assert set(TABLE) == {kind.code for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
class TestEveryError:
    def test_openai(self, kind: type[AIBridgeError]) -> None:
        expected_status, expected_type, expected_code = TABLE[kind.code][0]
        status, _, body = rendered(OPENAI, kind("why", param="messages"))

        assert status == expected_status
        assert body == {
            "error": {
                "message": "why",
                "type": expected_type,
                "param": "messages",
                "code": expected_code,
            }
        }

    def test_anthropic(self, kind: type[AIBridgeError]) -> None:
        expected_status, expected_type = TABLE[kind.code][1]
        status, _, body = rendered(ANTHROPIC, kind("why"))

        assert status == expected_status
        assert body == {
            "type": "error",
            "error": {"type": expected_type, "message": "why"},
            "request_id": REQUEST_ID,
        }

    def test_gemini(self, kind: type[AIBridgeError]) -> None:
        """The status is also in the body, where the SDK looks for it."""
        expected_status, expected_word = TABLE[kind.code][2]
        status, _, body = rendered(GEMINI, kind("why"))

        assert status == expected_status
        assert body == {
            "error": {"code": expected_status, "message": "why", "status": expected_word}
        }

    @pytest.mark.parametrize("surface", Surface)
    def test_headers(self, kind: type[AIBridgeError], surface: Surface) -> None:
        """What trying again cannot help says so, whatever the status on this surface."""
        answer = render(surface, kind("é"), REQUEST_ID)
        headers = dict(answer.headers)

        assert len(headers) == len(answer.headers)
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"content-length"] == b"%d" % len(answer.body)
        assert (headers.get(b"x-should-retry") == b"false") == (kind.code in NEVER_AGAIN)
        assert headers[b"x-aibridge-request-id"] == REQUEST_ID.encode()
        assert (headers.get(b"upgrade") == b"HTTP/1.1") == (kind.code == "upgrade_required")

    @pytest.mark.parametrize("surface", Surface)
    def test_stream_event(self, kind: type[AIBridgeError], surface: Surface) -> None:
        """One frame with the same document, whose text can break neither the frame nor the JSON."""
        text = 'a\r\n\r\ndata: "forged"\nevent: x\u2028'
        frame = stream_event(surface, kind(text), REQUEST_ID)
        event, data = frame.split(b"data: ", 1)

        assert event == (b"event: error\n" if surface is ANTHROPIC else b"")
        assert data.endswith(b"}\n\n")
        assert data.count(b"\n") == 2
        assert b"\r" not in data
        assert data.strip() == render(surface, kind(text), REQUEST_ID).body


class TestHeaders:
    def test_retry_after(self) -> None:
        _, headers, _ = rendered(OPENAI, errors.RateLimited("slow down", retry_after_s=7))

        assert headers[b"retry-after"] == b"7"

    def test_retry_after_now(self) -> None:
        _, headers, _ = rendered(OPENAI, errors.Unavailable("later", retry_after_s=0))

        assert headers[b"retry-after"] == b"0"

    def test_no_retry_after(self) -> None:
        _, headers, _ = rendered(OPENAI, errors.RateLimited("slow down"))

        assert b"retry-after" not in headers

    def test_request_id(self) -> None:
        """Under our name, Anthropic's and OpenAI's."""
        assert request_id_headers("req_1") == [
            (b"x-aibridge-request-id", b"req_1"),
            (b"request-id", b"req_1"),
            (b"x-request-id", b"req_1"),
        ]

    def test_without_request_id(self) -> None:
        answer = render(ANTHROPIC, errors.NotFound("no"))

        assert b"request-id" not in dict(answer.headers)
        assert json.loads(answer.body)["request_id"] is None


class TestUnknownError:
    """An error that no table names falls back by its status."""

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (418, ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"]),
            (599, ["server_error", "api_error", "INTERNAL"]),
        ],
    )
    def test_by_status(self, status: int, expected: list[str]) -> None:
        kind = type("Odd", (AIBridgeError,), {"code": "odd", "status": status})
        bodies = [rendered(surface, kind("x")) for surface in (OPENAI, ANTHROPIC, GEMINI)]

        assert [body[0] for body in bodies] == [status] * 3
        assert [
            bodies[0][2]["error"]["type"],
            bodies[1][2]["error"]["type"],
            bodies[2][2]["error"]["status"],
        ] == expected
