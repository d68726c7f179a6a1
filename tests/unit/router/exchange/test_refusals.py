"""A vendor's words about the request pass; its words about our key or its own health do not."""

import pytest

from aibridge_common.errors import Unavailable, UpstreamFailed, UpstreamTimeout
from aibridge_router.exchange.refusals import own_words, refusal_to_pass_on

KEY = "sk-vendor-secret-0123456789"
ERROR = b'{"error": {"message": "tools.0: extra  inputs"}}'


class TestPassedOn:
    @pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
    def test_words_about_the_request_are_verbatim(self, status: int) -> None:
        assert refusal_to_pass_on(status, ERROR, KEY) == ERROR

    @pytest.mark.parametrize("status", [401, 402, 403, 408, 409, 429, 500, 502, 503, 504, 529])
    def test_words_about_the_key_or_the_vendor_are_not(self, status: int) -> None:
        assert refusal_to_pass_on(status, ERROR, KEY) is None

    @pytest.mark.parametrize(
        "body",
        [
            b'{"error":{"code":"insufficient_quota"}}',
            b'{"error":{"type":"credit_balance_exhausted"}}',
            b'{"error":{"message":"Your credit balance is too low to access the API"}}',
        ],
    )
    @pytest.mark.parametrize("status", [400, 429])
    def test_the_operators_money_is_not_the_customers(self, status: int, body: bytes) -> None:
        assert refusal_to_pass_on(status, body, KEY) is None

    @pytest.mark.parametrize(
        "body", [b"", b"<html>busy</html>", b'"text"', b"[]", b"{", b"[" * 100_000]
    )
    def test_what_is_no_error_document_is_not(self, body: bytes) -> None:
        assert refusal_to_pass_on(400, body, KEY) is None

    def test_a_quoted_key_is_masked_each_time(self) -> None:
        body = f'{{"error":"{KEY} is not {KEY}"}}'.encode()

        assert refusal_to_pass_on(400, body, KEY) == b'{"error":"[redacted] is not [redacted]"}'


class TestOwnWords:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, UpstreamFailed),
            (301, UpstreamFailed),
            (400, UpstreamFailed),
            (401, UpstreamFailed),
            (402, UpstreamFailed),
            (403, UpstreamFailed),
            (429, Unavailable),
            (500, UpstreamFailed),
            (503, Unavailable),
            (504, UpstreamTimeout),
            (529, Unavailable),
        ],
    )
    def test_a_status_becomes_ours(self, status: int, kind: type[Exception]) -> None:
        error = own_words("OpenAI", status, 7)

        assert type(error) is kind
        assert "OpenAI" in error.message

    @pytest.mark.parametrize("status", [401, 402, 403])
    def test_the_keys_trouble_is_never_a_401(self, status: int) -> None:
        assert own_words("OpenAI", status, None).status == 502

    @pytest.mark.parametrize("status", [429, 503, 529])
    def test_the_wait_is_passed_on(self, status: int) -> None:
        assert own_words("OpenAI", status, 7).retry_after_s == 7
