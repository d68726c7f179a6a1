"""The two things that change in a chat answer: `provider` comes in, a usage chunk nobody asked for goes out."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge_common.usage import Usage
from aibridge_router.dialects.openai_chat.passing import ChatTap, answer_usage
from aibridge_router.sse import payloads

SAMPLES = Path(__file__).parents[4] / "samples" / "openai_chat"
CHAT = {path.stem: path.read_bytes() for path in SAMPLES.glob("*.sse")}


def passed(name: str, *, provider: str | None = None, hide: bool = False) -> bytes:
    return ChatTap(provider=provider, hide_usage=hide).feed(CHAT[name])


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(min(place, len(stream)) for place in at), len(stream)]
    return [stream[start:end] for start, end in pairwise(places) if end > start]


def chunks(frames: bytes) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in payloads(frames) if payload != b"[DONE]"]


class TestAnswer:
    def test_usage_is_read(self) -> None:
        body = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'

        assert answer_usage(body) == Usage(input=3, output=4)

    @pytest.mark.parametrize("body", [b"{}", b'{"usage":null}'])
    def test_an_answer_may_say_none(self, body: bytes) -> None:
        assert answer_usage(body) is None

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"usage":"many"}'])
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            answer_usage(body)


class TestUsageChunk:
    @pytest.mark.parametrize("name", ["text", "tool_calls", "traps"])
    def test_a_client_that_asked_sees_it(self, name: str) -> None:
        assert passed(name) == CHAT[name]
        assert chunks(passed(name))[-1]["choices"] == []

    @pytest.mark.parametrize("name", ["text", "tool_calls", "traps"])
    def test_a_client_that_did_not_ask_never_does(self, name: str) -> None:
        *shown, usage = chunks(CHAT[name])

        assert usage["choices"] == []
        assert chunks(passed(name, hide=True)) == shown
        assert passed(name, hide=True).endswith(b"data: [DONE]\n\n")

    @pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
    @settings(max_examples=25)
    @given(at=st.lists(st.integers(min_value=0, max_value=3000), max_size=8))
    def test_hiding_removes_one_frame_and_no_other_byte(
        self, line_end: bytes, at: list[int]
    ) -> None:
        stream = CHAT["text"].replace(b"\n", line_end)
        blank_line = line_end * 2
        frames = stream.split(blank_line)
        without = blank_line.join(f for f in frames if b'"choices":[]' not in f)
        tap = ChatTap(provider=None, hide_usage=True)

        assert b"".join(map(tap.feed, cut(stream, at))) == without

    def test_usage_beside_a_choice_is_not_hidden(self) -> None:
        """Some vendors state it in the last choice: hiding it would hide the finish reason."""
        tap = ChatTap(provider=None, hide_usage=True)

        assert tap.feed(CHAT["spaced"]) == CHAT["spaced"]
        assert tap.usage == Usage(input=9, output=3)

    def test_usage_of_a_nested_object_is_not_the_streams(self) -> None:
        frame = b'data: {"choices":[{"delta":{}}],"x_vendor":{"usage":{"prompt_tokens":1}}}\n\n'
        tap = ChatTap(provider=None, hide_usage=True)

        assert tap.feed(frame) == frame
        assert tap.usage is None


class TestProvider:
    @pytest.mark.parametrize("name", ["text", "tool_calls", "traps", "spaced", "error"])
    def test_only_the_first_chunk_names_it(self, name: str) -> None:
        first, *rest = chunks(passed(name, provider="openai"))

        assert first.pop("provider") == "openai"
        assert [first, *rest] == chunks(CHAT[name])

    def test_a_comment_before_the_first_chunk_stays(self) -> None:
        tap = ChatTap(provider="openai", hide_usage=False)

        assert tap.feed(b": wait\n\n") == b": wait\n\n"
        assert tap.feed(b'data: {"id":1}\n\n') == b'data: {"provider":"openai","id":1}\n\n'
        assert tap.feed(b'data: {"id":1}\n\n') == b'data: {"id":1}\n\n'

    def test_a_stream_that_is_over_at_once_has_none(self) -> None:
        tap = ChatTap(provider="openai", hide_usage=False)

        assert tap.feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
        assert (tap.started, tap.terminal) == (True, True)

    def test_an_error_is_passed_on_as_it_is(self) -> None:
        error = b'data: {"error":{"message":"no"}}\n\n'
        tap = ChatTap(provider="openai", hide_usage=False)

        assert tap.feed(error) == error
        assert tap.failed


class TestEnd:
    @pytest.mark.parametrize("frame", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n"])
    def test_done_ends_the_stream(self, frame: bytes) -> None:
        tap = ChatTap(provider=None, hide_usage=False)
        tap.feed(frame)

        assert tap.terminal

    @pytest.mark.parametrize(
        "text", ["data: [DONE]", "\ndata: [DONE]\n\n", "[DONE]", '{"error":{}}', 'data: {"error":']
    )
    def test_a_text_about_the_end_does_not(self, text: str) -> None:
        tap = ChatTap(provider=None, hide_usage=False)
        chunk = {"choices": [{"index": 0, "delta": {"content": text}}]}
        tap.feed(b"data: " + msgspec.json.encode(chunk) + b"\n\n")

        assert (tap.terminal, tap.failed) == (False, False)

    def test_an_error_counts_even_when_done_follows(self) -> None:
        tap = ChatTap(provider=None, hide_usage=False)
        tap.feed(b'data: {"id":1}\n\ndata: {"error":{"message":"no"}}\n\ndata: [DONE]\n\n')

        assert (tap.terminal, tap.failed) == (True, True)
