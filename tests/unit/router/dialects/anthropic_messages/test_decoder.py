"""Messages streams become the same events however the bytes arrive."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from aibridge_common.usage import Usage
from aibridge_router.canonical.content import Refusal, State, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Started,
    StateSeen,
    Stopped,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.dialects.anthropic_messages.codec import CODEC
from aibridge_router.dialects.anthropic_messages.structured import ANSWER_TOOL
from aibridge_router.sse import FRAME_BYTES_MAX, FrameTooLong
from tests.unit.router.dialects.samples import SAMPLES, cut, places, with_line_ends

FOLDER = SAMPLES / "anthropic_messages"
STREAMS = {path.stem: path.read_bytes() for path in sorted(FOLDER.rglob("*.sse"))}
NO_OUTPUT = Usage(input=25, output=1)
ANSWERED = Usage(input=25, output=15)


def decoded(stream: bytes) -> list[Event]:
    return CODEC.decoder("anthropic").feed(stream)


def event(kind: str, **members: Any) -> bytes:
    data = msgspec.json.encode({"type": kind, **members})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def start(number: int, **block: Any) -> bytes:
    return event("content_block_start", index=number, content_block=block)


def delta(number: int, **said: Any) -> bytes:
    return event("content_block_delta", index=number, delta=said)


def stop(number: int) -> bytes:
    return event("content_block_stop", index=number)


HEAD = event("message_start", message={"type": "message", "id": "msg_1", "model": "m"})
ENDED = event("message_stop")


def finished(reason: str | None, **more: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason} | more)


def body(stream: bytes) -> list[Event]:
    """The events behind `Started`."""
    return decoded(HEAD + stream)[1:]


class TestSamples:
    def test_thinking_and_a_call(self) -> None:
        assert [
            Started(id="msg_8", model="claude-sample"),
            UsageSeen(
                usage=Usage(
                    input=25, cache_read=100, cache_write_5m=20, cache_write_1h=30, output=1
                )
            ),
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="Hm, 思考"),
            StateSeen(index=0, state=State(provider="anthropic", data="EqQBCg==")),
            BlockStopped(index=0),
            BlockStarted(
                index=1,
                block=Thinking(redacted=True, state=State(provider="anthropic", data="EmwKAhgB")),
            ),
            BlockStopped(index=1),
            BlockStarted(index=2, block=ToolCall(id="toolu_1", name="now", arguments="")),
            BlockStopped(index=2),
            UsageSeen(
                usage=Usage(
                    input=25, cache_read=100, cache_write_5m=20, cache_write_1h=30, output=15
                ),
                final=True,
            ),
            Stopped(stop=Stop(reason="tool_use")),
            Ended(),
        ] == decoded(STREAMS["redacted"])

    def test_what_the_vendor_ran_itself_is_passed_over(self) -> None:
        assert [
            Started(id="msg_8", model="claude-sample"),
            UsageSeen(usage=NO_OUTPUT),
            BlockStarted(index=0, block=Text(text="")),
            TextDelta(index=0, text="I will search. 🦦"),
            BlockStopped(index=0),
            BlockStarted(index=1, block=Text(text="")),
            TextDelta(index=1, text="They swim."),
            BlockStopped(index=1),
            UsageSeen(usage=ANSWERED, final=True),
            Stopped(stop=Stop(reason="end")),
            Ended(),
        ] == decoded(STREAMS["server_tool"])

    def test_a_refusal_is_said(self) -> None:
        assert [
            BlockStarted(index=0, block=Refusal(text="")),
            TextDelta(index=0, text="I cannot help with that."),
            BlockStopped(index=0),
            Stopped(stop=Stop(reason="refusal")),
            Ended(),
        ] == decoded(STREAMS["refusal"])[3:]

    def test_a_vendor_that_is_less_exact_is_understood(self) -> None:
        assert [
            Started(id="msg_8", model="claude-sample"),
            UsageSeen(usage=NO_OUTPUT),
            BlockStarted(index=0, block=Text(text="")),
            TextDelta(index=0, text="Once "),
            TextDelta(index=0, text="upon"),
            BlockStarted(index=1, block=ToolCall(id="toolu_2", name="add", arguments="")),
            ArgumentsDelta(index=1, text='{"a":1}'),
            BlockStopped(index=1),
            BlockStopped(index=0),
            Stopped(stop=Stop(reason="tool_use")),
            Ended(),
        ] == decoded(STREAMS["compatible"])

    @pytest.mark.parametrize("name", ["error", "error_at_once"])
    def test_an_error_event_ends_it(self, name: str) -> None:
        events = decoded(STREAMS[name])

        assert isinstance(events[-1], Failed)
        assert Ended() not in events

    @pytest.mark.parametrize("name", sorted(set(STREAMS) - {"error", "error_at_once"}))
    def test_every_other_one_ends(self, name: str) -> None:
        assert decoded(STREAMS[name])[-1] == Ended()


class TestEverySplit:
    @pytest.mark.parametrize("name", STREAMS)
    @pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
    def test_in_two(self, name: str, line_end: bytes) -> None:
        stream = with_line_ends(STREAMS[name], line_end)
        expected = decoded(stream)
        for at in range(len(stream)):
            decoder = CODEC.decoder("anthropic")
            assert expected == decoder.feed(stream[:at]) + decoder.feed(stream[at:])

    @pytest.mark.parametrize("name", STREAMS)
    def test_byte_by_byte(self, name: str) -> None:
        decoder = CODEC.decoder("anthropic")
        events = [event for byte in STREAMS[name] for event in decoder.feed(bytes([byte]))]

        assert decoded(STREAMS[name]) == events

    @settings(max_examples=30, deadline=None)
    @given(places())
    def test_anywhere(self, at: list[int]) -> None:
        for stream in STREAMS.values():
            decoder = CODEC.decoder("anthropic")
            events = [event for piece in cut(stream, at) for event in decoder.feed(piece)]
            assert decoded(stream) == events


class TestGaps:
    def test_a_cut_stream_does_not_end(self) -> None:
        stream = STREAMS["text"]
        cut_off = stream[: stream.index(b"event: message_stop")]

        assert Ended() not in decoded(cut_off)

    def test_nothing_follows_the_end(self) -> None:
        assert decoded(HEAD + ENDED + HEAD) == decoded(HEAD + ENDED)

    def test_an_end_without_a_reason_is_one(self) -> None:
        assert [Stopped(stop=Stop(reason="end")), Ended()] == body(ENDED)

    def test_with_a_call_it_is_a_call(self) -> None:
        call = start(0, type="tool_use", id="t", name="f", input={}) + stop(0)

        assert Stopped(stop=Stop(reason="tool_use")) == body(call + ENDED)[-2]

    def test_a_missing_head_is_made_up(self) -> None:
        events = decoded(start(0, type="text", text="") + stop(0) + ENDED)

        assert Started(id="", model="") == events[0]

    def test_so_is_that_of_an_empty_answer(self) -> None:
        assert [Started(id="", model=""), Stopped(stop=Stop(reason="end")), Ended()] == decoded(
            ENDED
        )

    def test_a_second_head_is_ignored(self) -> None:
        assert body(HEAD) == []

    def test_a_head_that_says_nothing_is_one(self) -> None:
        assert [Started(id="", model="")] == decoded(event("message_start"))

    def test_blocks_that_are_left_open_are_closed(self) -> None:
        assert [BlockStopped(index=0), Stopped(stop=Stop(reason="end"))] == body(
            start(0, type="text", text="") + finished("end_turn")
        )[1:]

    def test_a_block_behind_the_end_is_ignored(self) -> None:
        assert [Stopped(stop=Stop(reason="end"))] == body(
            finished("end_turn") + start(0, type="text", text="") + finished("max_tokens")
        )

    @pytest.mark.parametrize(
        "stray", [delta(7, type="text_delta", text="x"), stop(7), event("content_block_delta")]
    )
    def test_pieces_of_no_block_are_ignored(self, stray: bytes) -> None:
        assert body(stray) == []

    @pytest.mark.parametrize(
        "said",
        [
            {"type": "text_delta", "text": ""},
            {"type": "thinking_delta", "thinking": "x"},
            {"type": "signature_delta", "signature": "x"},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "citations_delta", "citation": {}},
        ],
    )
    def test_empty_and_foreign_pieces_of_a_text_are_ignored(self, said: dict[str, str]) -> None:
        opened = start(0, type="text", text="")

        assert body(opened + delta(0, **said))[1:] == []

    def test_empty_pieces_of_thinking_are_ignored(self) -> None:
        opened = start(0, type="thinking", thinking="")
        said = delta(0, type="thinking_delta", thinking="")
        signed = delta(0, type="signature_delta", signature="")

        assert body(opened + said + signed)[1:] == []

    def test_a_block_that_begins_whole_is_told_in_pieces(self) -> None:
        assert [
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="hm"),
            StateSeen(index=0, state=State(provider="anthropic", data="sig")),
        ] == body(start(0, type="thinking", thinking="hm", signature="sig"))

    def test_arguments_of_the_start_yield_to_those_of_the_pieces(self) -> None:
        opened = start(0, type="tool_use", id="t", name="f", input={"a": 1})
        said = delta(0, type="input_json_delta", partial_json='{"b":2}')

        assert [ArgumentsDelta(index=0, text='{"b":2}'), BlockStopped(index=0)] == body(
            opened + said + stop(0)
        )[1:]


class TestAnswerTool:
    OPENED = start(0, type="tool_use", id="t", name=ANSWER_TOOL, input={})
    SAID = delta(0, type="input_json_delta", partial_json='{"a":1}')

    def test_its_arguments_are_the_answer(self) -> None:
        assert [
            BlockStarted(index=0, block=Text(text="")),
            TextDelta(index=0, text='{"a":1}'),
            BlockStopped(index=0),
            Stopped(stop=Stop(reason="end")),
        ] == body(self.OPENED + self.SAID + stop(0) + finished("tool_use"))

    def test_whole_ones_too(self) -> None:
        opened = start(0, type="tool_use", id="t", name=ANSWER_TOOL, input={"a": 1})

        assert TextDelta(index=0, text='{"a":1}') == body(opened + stop(0))[1]


class TestUsage:
    def test_a_later_one_replaces_what_it_names(self) -> None:
        first = event(
            "message_start",
            message={"type": "message", "usage": {"input_tokens": 9, "output_tokens": 1}},
        )
        last = event("message_delta", delta={}, usage={"output_tokens": 5})

        assert [
            UsageSeen(usage=Usage(input=9, output=1)),
            UsageSeen(usage=Usage(input=9, output=5), final=True),
        ] == decoded(first + last)[1:]

    def test_none_is_none(self) -> None:
        events = decoded(HEAD + finished("end_turn") + ENDED)

        assert not any(isinstance(event, UsageSeen) for event in events)


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ({"type": "overloaded_error", "message": "Busy"}, ("unavailable", "Busy")),
            ({"type": "rate_limit_error", "message": "Slow"}, ("rate_limited", "Slow")),
            ({"type": "api_error", "message": "Oh"}, ("upstream_failed", "Oh")),
            ({"type": "novel_error", "message": "Oh"}, ("upstream_failed", "Oh")),
            ({}, ("upstream_failed", "the vendor ended the stream with an error")),
        ],
    )
    def test_an_error_is_told_in_the_hubs_words(
        self, error: dict[str, str], expected: tuple[str, str]
    ) -> None:
        kind, message = expected

        assert [Failed(kind=kind, message=message)] == body(event("error", error=error) + ENDED)

    def test_an_error_without_anything_is_one(self) -> None:
        assert isinstance(decoded(event("error"))[0], Failed)

    def test_an_error_without_its_type_is_one(self) -> None:
        assert isinstance(decoded(b'data: {"error":{"message":"x"}}\n\n')[0], Failed)

    @pytest.mark.parametrize(
        "payload",
        [
            b"{",
            b"<html>",
            b'{"type":"content_block_delta","index":"x"}',
            b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":5}}',
            b'{"type":"content_block_start","index":0,"content_block":{}}',
        ],
    )
    def test_what_is_no_event_is_refused(self, payload: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            body(b"data: " + payload + b"\n\n")

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b" [DONE]",
            b'{"type":"novel","delta":[]}',
            b'{"type":"content_block_start","index":0,"content_block":{"type":"novel","text":5}}',
        ],
    )
    def test_what_we_do_not_know_is_passed_over(self, payload: bytes) -> None:
        assert body(b"data: " + payload + b"\n\n") == []

    def test_an_endless_frame_is_refused(self) -> None:
        decoder = CODEC.decoder("anthropic")
        with pytest.raises(FrameTooLong):
            decoder.feed(b"data: " + b"x" * FRAME_BYTES_MAX)
