"""What a vendor says becomes one class, by the documents that vendors really send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.failover.failure import Failure, classify, classify_event

BY_STATUS = {
    400: Failure.CALLER,
    401: Failure.CREDENTIAL,
    402: Failure.MONEY,
    403: Failure.ACCESS,
    404: Failure.CALLER,
    405: Failure.CALLER,
    408: Failure.TRANSIENT,
    409: Failure.TRANSIENT,
    410: Failure.MODEL_GONE,
    413: Failure.CALLER,
    415: Failure.CALLER,
    418: Failure.CALLER,
    422: Failure.CALLER,
    424: Failure.TRANSIENT,
    425: Failure.TRANSIENT,
    429: Failure.RATE_LIMIT,
    451: Failure.CALLER,
    **dict.fromkeys((500, 502, 503, 504, 520, 521, 522, 523, 524, 529), Failure.TRANSIENT),
    **dict.fromkeys((101, 204, 301, 302, 307, 308), Failure.MALFORMED),
}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def openai(kind: str, code: str | None, message: str = "No.") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def gemini(code: int, status: str, message: str, *reasons: str) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if reasons:
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
            for reason in reasons
        ]
    return {"error": error}


def words(document: object) -> bytes:
    return json.dumps(document).encode()


ANTHROPIC = [
    (400, anthropic("invalid_request_error", "max_tokens: Field required"), Failure.CALLER),
    (
        400,
        anthropic(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. "
            "Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        Failure.MONEY,
    ),
    (
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. "
            "You will regain access on 2026-12-01 at 00:00 UTC.",
        ),
        Failure.MONEY,
    ),
    (
        400,
        anthropic("invalid_request_error", "prompt is too long: 200251 tokens > 200000 maximum"),
        Failure.OVERFLOW,
    ),
    (
        400,
        anthropic(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 198309 + 8192 > 200000, "
            "decrease input length or `max_tokens` and try again",
        ),
        Failure.OVERFLOW,
    ),
    (401, anthropic("authentication_error", "invalid x-api-key"), Failure.CREDENTIAL),
    (402, anthropic("billing_error", "Payment is due."), Failure.MONEY),
    (403, anthropic("permission_error", "Your key may not use this."), Failure.ACCESS),
    (404, anthropic("not_found_error", "model: claude-a"), Failure.MODEL_GONE),
    (404, anthropic("not_found_error", "Not Found"), Failure.CALLER),
    (404, anthropic("not_found_error", "File not found: file_01"), Failure.CALLER),
    (413, anthropic("request_too_large", "Request exceeds the maximum size"), Failure.CALLER),
    (429, anthropic("rate_limit_error", "Number of request tokens"), Failure.RATE_LIMIT),
    (500, anthropic("api_error", "Internal server error"), Failure.TRANSIENT),
    (504, anthropic("timeout_error", "The request timed out"), Failure.TRANSIENT),
    (529, anthropic("overloaded_error", "Overloaded"), Failure.TRANSIENT),
]
OPENAI = [
    (400, openai("invalid_request_error", None, "Unknown parameter: 'x'."), Failure.CALLER),
    (400, openai("invalid_request_error", "unsupported_value"), Failure.CALLER),
    (400, openai("invalid_request_error", "context_length_exceeded"), Failure.OVERFLOW),
    (
        400,
        openai(
            "invalid_request_error",
            None,
            "This model's maximum context length is 8192 tokens. However, your messages "
            "resulted in 9001 tokens.",
        ),
        Failure.OVERFLOW,
    ),
    (
        400,
        openai(
            "invalid_request_error",
            None,
            "Your input exceeds the context window of this model. Please adjust your input.",
        ),
        Failure.OVERFLOW,
    ),
    (400, openai("invalid_request_error", "invalid_prompt"), Failure.REFUSED),
    (400, openai("image_generation_user_error", "content_policy_violation"), Failure.REFUSED),
    (400, openai("invalid_request_error", "content_filter"), Failure.REFUSED),
    (401, openai("invalid_request_error", "invalid_api_key"), Failure.CREDENTIAL),
    (401, openai("invalid_request_error", "account_deactivated"), Failure.CREDENTIAL),
    (
        403,
        openai("request_forbidden", "unsupported_country_region_territory"),
        Failure.REGION,
    ),
    (403, openai("invalid_request_error", None, "Project has no access."), Failure.ACCESS),
    (404, openai("invalid_request_error", "model_not_found"), Failure.MODEL_GONE),
    (404, openai("invalid_request_error", "DeploymentNotFound"), Failure.MODEL_GONE),
    (404, openai("invalid_request_error", None, "Invalid URL"), Failure.CALLER),
    (
        404,
        openai("invalid_request_error", None, "Previous response with id 'r' not found."),
        Failure.CALLER,
    ),
    (429, openai("requests", "rate_limit_exceeded"), Failure.RATE_LIMIT),
    (429, openai("tokens", "rate_limit_exceeded"), Failure.RATE_LIMIT),
    (429, openai("insufficient_quota", "insufficient_quota"), Failure.MONEY),
    (429, openai("insufficient_quota", None), Failure.MONEY),
    (429, openai("invalid_request_error", "billing_hard_limit_reached"), Failure.MONEY),
    (429, openai("billing_not_active", "billing_not_active"), Failure.MONEY),
    (429, openai("credit", "credit_balance_exhausted"), Failure.MONEY),
    (503, openai("service_unavailable_error", "slow_down"), Failure.TRANSIENT),
    (500, openai("server_error", None), Failure.TRANSIENT),
]
GEMINI = [
    (400, gemini(400, "INVALID_ARGUMENT", "Invalid JSON payload received."), Failure.CALLER),
    (
        400,
        gemini(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            "API_KEY_INVALID",
        ),
        Failure.CREDENTIAL,
    ),
    (
        400,
        gemini(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
        Failure.CREDENTIAL,
    ),
    (
        400,
        gemini(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        Failure.REGION,
    ),
    (
        400,
        gemini(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed "
            "(1048576).",
        ),
        Failure.OVERFLOW,
    ),
    (401, gemini(401, "UNAUTHENTICATED", "Request had invalid credentials."), Failure.CREDENTIAL),
    (403, gemini(403, "PERMISSION_DENIED", "Not for you."), Failure.ACCESS),
    (
        403,
        gemini(403, "PERMISSION_DENIED", "API key not valid.", "API_KEY_INVALID"),
        Failure.CREDENTIAL,
    ),
    (
        404,
        gemini(
            404,
            "NOT_FOUND",
            "models/gemini-a is not found for API version v1beta, or is not supported for "
            "generateContent.",
        ),
        Failure.MODEL_GONE,
    ),
    (404, gemini(404, "NOT_FOUND", "Requested entity was not found."), Failure.CALLER),
    (429, gemini(429, "RESOURCE_EXHAUSTED", "Quota exceeded."), Failure.RATE_LIMIT),
    (500, gemini(500, "INTERNAL", "An internal error has occurred."), Failure.TRANSIENT),
    (503, gemini(503, "UNAVAILABLE", "The model is overloaded."), Failure.TRANSIENT),
    (504, gemini(504, "DEADLINE_EXCEEDED", "Deadline expired."), Failure.TRANSIENT),
]
DOCUMENTS = ANTHROPIC + OPENAI + GEMINI


class TestStatus:
    @pytest.mark.parametrize("status", BY_STATUS)
    def test_decides_where_nothing_else_is_said(self, status: int) -> None:
        assert classify(status, b'{"error":{"message":"No."}}') is BY_STATUS[status]

    @pytest.mark.parametrize("status", BY_STATUS)
    @pytest.mark.parametrize("page", [b"", b"<html>403 Forbidden</html>", b'{"half":', b"[]"])
    def test_decides_for_a_page_unless_a_door_turned_us_away(
        self, status: int, page: bytes
    ) -> None:
        """An edge in front of the API says 403 without a document to the places it does not serve."""
        expected = Failure.REGION if status == 403 else BY_STATUS[status]

        assert classify(status, page) is expected

    def test_of_5xx_is_the_vendors_trouble_whatever_is_said(self) -> None:
        assert classify(500, words(openai("x", "insufficient_quota"))) is Failure.TRANSIENT


class TestDocuments:
    @pytest.mark.parametrize(("status", "document", "expected"), DOCUMENTS)
    def test_of_every_vendor_have_their_class(
        self, status: int, document: object, expected: Failure
    ) -> None:
        assert classify(status, words(document)) is expected

    @pytest.mark.parametrize(("status", "document", "expected"), GEMINI)
    def test_come_in_an_array_where_google_refuses_a_stream(
        self, status: int, document: object, expected: Failure
    ) -> None:
        assert classify(status, words([document])) is expected

    def test_may_hold_the_error_as_a_text(self) -> None:
        assert classify(400, b'{"error":"API key expired."}') is Failure.CREDENTIAL
        assert classify(400, b'{"error":"Bad request"}') is Failure.CALLER

    def test_may_have_fields_of_other_kinds(self) -> None:
        document = {"error": {"code": 7, "type": None, "status": [], "message": {}, "details": [1]}}

        assert classify(429, words(document)) is Failure.RATE_LIMIT
        assert classify(404, b'{"error":[]}') is Failure.CALLER

    @pytest.mark.parametrize(
        ("code", "kind", "expected"),
        [
            ("insufficient_quota", "rate_limit_error", Failure.MONEY),
            ("context_length_exceeded", "rate_limit_exceeded", Failure.OVERFLOW),
            ("rate_limit_exceeded", "insufficient_quota", Failure.RATE_LIMIT),
            ("invalid_api_key", "permission_error", Failure.CREDENTIAL),
        ],
    )
    def test_are_told_by_the_most_particular_word(
        self, code: str, kind: str, expected: Failure
    ) -> None:
        """Always the same way round: a code is more particular than a type."""
        document = {"error": {"type": kind, "code": code, "status": "PERMISSION_DENIED"}}

        assert classify(400, words(document)) is expected

    def test_are_told_by_their_code_before_their_text(self) -> None:
        document = openai("requests", "rate_limit_exceeded", "prompt is too long")

        assert classify(400, words(document)) is Failure.RATE_LIMIT


QUOTING = [
    "tools.0.name: 'insufficient_quota' is not allowed",
    "Unknown parameter: 'invalid_api_key'.",
    "Invalid value: 'model_not_found'. Supported values are: 'auto'.",
    "messages.0: the text 'authentication_error' is empty",
    "Invalid value: 'API key not valid'. Supported values are: 'auto'.",
    "tools.0.name: 'your credit balance is too low' does not match",
    "Invalid value: 'user location is not supported'.",
    "Invalid value: 'spend limit'.",
    "API key not valid: Extra inputs are not permitted",
    "Your credit balance is too low to access the Anthropic API: Extra inputs are not permitted",
]
"""What a customer wrote, repeated by a vendor: none of it may cost us a key."""


class TestQuotedText:
    @pytest.mark.parametrize("message", QUOTING)
    def test_is_not_what_the_vendor_says(self, message: str) -> None:
        for document in (
            anthropic("invalid_request_error", message),
            openai("invalid_request_error", None, message),
            gemini(400, "INVALID_ARGUMENT", message),
        ):
            assert classify(400, words(document)) is Failure.CALLER
            assert classify_event(words(document)) is Failure.CALLER

    def test_of_a_model_does_not_make_ours_gone(self) -> None:
        document = anthropic("not_found_error", "File not found: model: claude-a")

        assert classify(404, words(document)) is Failure.CALLER


class TestEvents:
    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            (anthropic("overloaded_error", "Overloaded"), Failure.TRANSIENT),
            (anthropic("api_error", "Internal server error"), Failure.TRANSIENT),
            (anthropic("rate_limit_error", "Slow"), Failure.RATE_LIMIT),
            (anthropic("invalid_request_error", "prompt is too long: 2 > 1"), Failure.OVERFLOW),
            (anthropic("invalid_request_error", "tools: no"), Failure.CALLER),
            (anthropic("authentication_error", "x"), Failure.CREDENTIAL),
            (openai("server_error", None), Failure.TRANSIENT),
            (openai("insufficient_quota", "insufficient_quota"), Failure.MONEY),
            (openai("invalid_request_error", "context_length_exceeded"), Failure.OVERFLOW),
            ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, Failure.RATE_LIMIT),
            ({"type": "error", "code": "server_error", "message": "x"}, Failure.TRANSIENT),
            ({"type": "error", "code": None, "message": "x"}, Failure.TRANSIENT),
            (gemini(503, "UNAVAILABLE", "The model is overloaded."), Failure.TRANSIENT),
            (gemini(429, "RESOURCE_EXHAUSTED", "Quota"), Failure.RATE_LIMIT),
            (gemini(400, "INVALID_ARGUMENT", "No"), Failure.CALLER),
            (gemini(404, "NOT_FOUND", "models/x is not found"), Failure.MODEL_GONE),
        ],
    )
    def test_of_every_vendor_have_their_class(self, event: object, expected: Failure) -> None:
        assert classify_event(words(event)) is expected

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("server_error", Failure.TRANSIENT),
            ("server_is_overloaded", Failure.TRANSIENT),
            ("slow_down", Failure.RATE_LIMIT),
            ("rate_limit_exceeded", Failure.RATE_LIMIT),
            ("insufficient_quota", Failure.MONEY),
            ("context_length_exceeded", Failure.OVERFLOW),
            ("invalid_prompt", Failure.REFUSED),
        ],
    )
    def test_inside_a_failed_response_are_found(self, code: str, expected: Failure) -> None:
        response = {"status": "failed", "error": {"code": code, "message": "No."}}

        assert classify_event(words({"type": "response.failed", "response": response})) is expected

    @pytest.mark.parametrize("event", [b"", b"overloaded", b"7", b'"error"', b'{"error":null}'])
    def test_that_say_nothing_are_the_vendors_trouble(self, event: bytes) -> None:
        assert classify_event(event) is Failure.TRANSIENT


LEAVES = st.none() | st.integers() | st.text() | st.sampled_from(["NOT_FOUND", "model_not_found"])
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "code", "type", "status", "details", "reason", "message", "response"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


class TestAnything:
    @given(status=st.integers(100, 999), body=st.binary(max_size=200))
    def test_has_a_class(self, status: int, body: bytes) -> None:
        assert classify(status, body) in Failure
        assert classify_event(body) in Failure

    @given(status=st.integers(100, 999), document=TREES)
    def test_shaped_like_a_document_has_a_class(self, status: int, document: object) -> None:
        assert classify(status, words(document)) in Failure
        assert classify_event(words(document)) in Failure

    def test_nested_deeper_than_we_read_has_a_class(self) -> None:
        assert classify(400, b"[" * 50_000) is Failure.CALLER
        assert classify_event(b'{"error":' * 7_000) is Failure.TRANSIENT

    def test_longer_than_we_read_is_judged_by_its_status(self) -> None:
        document = openai("invalid_request_error", "invalid_api_key", "x" * 70_000)

        assert classify(400, words(document)) is Failure.CALLER
