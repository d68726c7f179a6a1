"""Every chunk of a Gemini stream may say the usage so far; the newest counts."""

import msgspec
import pytest

from aibridge_common.usage import Usage
from aibridge_router.dialects.gemini_generate.passing import GeminiTap, answer_usage


def chunk(finish: str | None = None, prompt: int | None = None, **more: object) -> bytes:
    candidate: dict[str, object] = {"content": {"parts": [{"text": "x"}]}}
    if finish is not None:
        candidate["finishReason"] = finish
    document: dict[str, object] = {"candidates": [candidate], **more}
    if prompt is not None:
        document["usageMetadata"] = {"promptTokenCount": prompt}
    return b"data: " + msgspec.json.encode(document) + b"\r\n\r\n"


class TestAnswer:
    def test_an_array_of_chunks_says_it_last(self) -> None:
        body = b' [{"usageMetadata":{"promptTokenCount":1}},{"usageMetadata":{"promptTokenCount":2}},{}]'

        assert answer_usage(body) == Usage(input=2)

    @pytest.mark.parametrize("body", [b"{}", b"[]", b"[{}]", b'{"usageMetadata":null}'])
    def test_an_answer_may_say_none(self, body: bytes) -> None:
        assert answer_usage(body) is None

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[1]"])
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            answer_usage(body)


class TestUsage:
    def test_the_newest_counts(self) -> None:
        tap = GeminiTap()
        tap.feed(chunk(prompt=1))
        tap.feed(chunk(prompt=2) + chunk(prompt=3))

        assert (tap.usage, tap.usage_is_final) == (Usage(input=3), False)

    def test_a_later_chunk_without_usage_keeps_it(self) -> None:
        """However the chunks fall into reads."""
        tap = GeminiTap()
        tap.feed(chunk(prompt=2) + chunk(finish="STOP"))

        assert (tap.usage, tap.usage_is_final) == (Usage(input=2), True)

    def test_usage_behind_the_last_candidate_counts(self) -> None:
        tap = GeminiTap()
        tap.feed(chunk(finish="STOP"))
        tap.feed(b'data: {"usageMetadata":{"promptTokenCount":5}}\r\n\r\n')

        assert (tap.usage, tap.usage_is_final) == (Usage(input=5), True)


class TestEnd:
    @pytest.mark.parametrize("reason", ["STOP", "MAX_TOKENS", "SAFETY", "SOMETHING_NEW"])
    def test_a_finish_reason_ends_it(self, reason: str) -> None:
        tap = GeminiTap()
        tap.feed(chunk(finish=reason))

        assert tap.terminal

    def test_a_blocked_prompt_ends_it(self) -> None:
        tap = GeminiTap()
        tap.feed(b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\r\n\r\n')

        assert tap.terminal

    def test_a_functions_arguments_do_not(self) -> None:
        call = {"functionCall": {"args": {"finishReason": "STOP", "blockReason": "SAFETY"}}}
        tap = GeminiTap()
        document = {"candidates": [{"content": {"parts": [call]}}]}
        tap.feed(b"data: " + msgspec.json.encode(document) + b"\r\n\r\n")

        assert not tap.terminal

    def test_an_error_in_the_same_read_counts(self) -> None:
        tap = GeminiTap()
        tap.feed(chunk(prompt=2) + b'data: {"error": {"code": 503}}\r\n\r\n')

        assert (tap.failed, tap.terminal, tap.usage) == (True, False, Usage(input=2))
