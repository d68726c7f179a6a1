"""Only the last event of a Responses stream says what it used."""

import msgspec
import pytest

from aibridge_common.usage import Usage
from aibridge_router.dialects.openai_responses.passing import ResponsesTap, answer_usage

USED = {"input_tokens": 3, "output_tokens": 4}


def event(kind: str, **more: object) -> bytes:
    data = msgspec.json.encode({"type": kind, "sequence_number": 0, **more})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


class TestAnswer:
    def test_usage_is_read(self) -> None:
        assert answer_usage(msgspec.json.encode({"usage": USED})) == Usage(input=3, output=4)

    def test_an_answer_may_say_none(self) -> None:
        assert answer_usage(b'{"usage":null}') is None

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            answer_usage(body)


class TestEnd:
    @pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
    def test_each_terminal_event_ends_it_with_its_usage(self, kind: str) -> None:
        tap = ResponsesTap()
        tap.feed(event(f"response.{kind}", response={"id": "r", "usage": USED}))

        assert tap.terminal
        assert tap.failed == (kind == "failed")
        assert (tap.usage, tap.usage_is_final) == (Usage(input=3, output=4), True)

    @pytest.mark.parametrize("response", [{}, {"usage": None}])
    def test_an_end_may_say_nothing(self, response: dict[str, object]) -> None:
        tap = ResponsesTap()
        tap.feed(event("response.completed", response=response))

        assert (tap.terminal, tap.usage, tap.usage_is_final) == (True, None, False)

    def test_the_requests_own_words_are_not_events(self) -> None:
        """A `response.created` echoes the metadata and tools of the request."""
        tap = ResponsesTap()
        for kind in ("response.completed", "response.failed", "error"):
            echo = {"metadata": {"type": kind}, "tools": [{"type": kind}], "usage": None}
            tap.feed(event("response.created", response=echo))

        assert (tap.terminal, tap.failed) == (False, False)

    def test_an_error_event_fails_it(self) -> None:
        tap = ResponsesTap()
        tap.feed(event("response.created", response={}))
        tap.feed(event("error", code="x", message="no"))

        assert (tap.terminal, tap.failed) == (False, True)
