"""Streams, both ways."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
)
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
from aibridge_router.dialects.openai_responses import in_order, stream_blocks, stream_items
from aibridge_router.dialects.openai_responses.codec import CODEC
from aibridge_router.sse import FrameTooLong
from tests.unit.router.dialects.openai_responses import grammar

SAMPLES = Path(__file__).parents[4] / "samples" / "openai_responses"
STREAMS = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.sse"))
CONTEXT = AnswerContext(request_id="req_018f", model="claude-x", provider="anthropic", created_s=1)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def read(stream: bytes) -> list[Event]:
    return CODEC.decoder("openai").feed(stream)


def frame(kind: str | None, **members: object) -> bytes:
    payload = members if kind is None else {"type": kind, **members}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def written(*events: Event, context: AnswerContext = CONTEXT) -> list[dict[str, Any]]:
    encoder = CODEC.encoder(context)
    stream = b"".join(encoder.feed(event) for event in events)
    grammar.check(stream)
    return grammar.frames(stream)


def whole(*events: Event) -> list[Event]:
    """A stream around the events of its blocks."""
    return [Started(id="", model=""), *events, Stopped(stop=Stop(reason="end")), Ended()]


class TestEverySample:
    @pytest.mark.parametrize("name", STREAMS)
    def test_every_split_gives_the_same_events(self, name: str) -> None:
        stream = sample(name)
        expected = read(stream)
        for at in range(0, len(stream), 7):
            decoder = CODEC.decoder("openai")

            assert expected == decoder.feed(stream[:at]) + decoder.feed(stream[at:])

    @pytest.mark.parametrize("name", STREAMS)
    def test_byte_by_byte_with_either_line_end(self, name: str) -> None:
        stream = sample(name)
        expected = read(stream)
        for lines in (stream, stream.replace(b"\n", b"\r\n")):
            decoder = CODEC.decoder("openai")

            assert expected == [event for byte in lines for event in decoder.feed(bytes([byte]))]

    @pytest.mark.parametrize("name", STREAMS)
    def test_it_can_be_written_again(self, name: str) -> None:
        encoder = CODEC.encoder(CONTEXT)
        stream = b"".join(encoder.feed(event) for event in read(sample(name)))

        grammar.check(stream)

    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def test_a_cut_stream_has_no_end(self, data: st.DataObject) -> None:
        stream = sample(data.draw(st.sampled_from(["streams/agent.sse", "text.sse"])))
        last = stream.rindex(b"event: response.completed")
        events = read(stream[: data.draw(st.integers(0, last))])

        assert not any(isinstance(event, Ended | Stopped) for event in events)


class TestReading:
    def test_an_agents_turn(self) -> None:
        """Reasoning in two paragraphs, a text, parallel calls that interleave, a free-text call, a search."""
        assert [
            Started(id="resp_0f1e", model="gpt-sample-2026-10-01"),
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="**Looki"),
            TextDelta(index=0, text="ng**\n\nFirst the weather"),
            TextDelta(index=0, text="\n\nThen 時間"),
            TextDelta(index=0, text=" — the clock 🕰"),
            StateSeen(index=0, state=State(provider="openai", data="gAAAAABwhole-_")),
            BlockStopped(index=0),
            BlockStarted(index=1, block=Text(text="")),
            TextDelta(index=1, text="Let me "),
            TextDelta(index=1, text="look — "),
            TextDelta(index=1, text="看看 🌤"),
            BlockStopped(index=1),
            BlockStarted(index=2, block=ToolCall(id="call_A", name="get_weather", arguments="")),
            BlockStarted(index=3, block=ToolCall(id="call_B", name="get_time", arguments="")),
            ArgumentsDelta(index=2, text='{"ci'),
            ArgumentsDelta(index=2, text='ty":"Zürich"}'),
            ArgumentsDelta(index=3, text="{}"),
            BlockStopped(index=2),
            BlockStopped(index=3),
            BlockStarted(
                index=4,
                block=ToolCall(id="call_C", name="apply_patch", arguments="", custom=True),
            ),
            ArgumentsDelta(index=4, text="*** Begin "),
            ArgumentsDelta(index=4, text="Patch"),
            BlockStopped(index=4),
            UsageSeen(
                usage=Usage(input=30, cache_read=60, cache_write_5m=10, output=30, reasoning=20),
                final=True,
            ),
            Stopped(stop=Stop(reason="tool_use")),
            Ended(),
        ] == read(sample("streams/agent.sse"))

    def test_the_same_answer_whole_has_the_same_blocks(self) -> None:
        answer = CODEC.answer_from_wire(sample("streams/agent.json"), "openai")
        events = read(sample("streams/agent.sse"))

        blocks = [block for block in answer.blocks if not isinstance(block, Opaque)]
        assert [type(block) for block in blocks] == [
            type(event.block) for event in events if isinstance(event, BlockStarted)
        ]
        assert (answer.stop, answer.usage) == (
            Stop(reason="tool_use"),
            Usage(input=30, cache_read=60, cache_write_5m=10, output=30, reasoning=20),
        )

    def test_a_server_that_leaves_events_out(self) -> None:
        assert [
            Started(id="resp_02", model="open-sample"),
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="thinking"),
            BlockStopped(index=0),
            BlockStarted(index=1, block=Text(text="")),
            TextDelta(index=1, text="Hello"),
            BlockStopped(index=1),
            BlockStarted(index=2, block=ToolCall(id="call_1", name="f", arguments="")),
            ArgumentsDelta(index=2, text='{"a":1}'),
            BlockStopped(index=2),
            Stopped(stop=Stop(reason="tool_use")),
            Ended(),
        ] == read(sample("streams/sparse.sse"))

    def test_a_refusal(self) -> None:
        assert [
            BlockStarted(index=0, block=Refusal(text="")),
            TextDelta(index=0, text="I can't "),
            TextDelta(index=0, text="help."),
            BlockStopped(index=0),
            Stopped(stop=Stop(reason="refusal")),
            Ended(),
        ] == read(sample("streams/refusal.sse"))[1:]

    @pytest.mark.parametrize(
        ("item", "events"),
        [
            (
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "refusal", "refusal": "no"}],
                },
                [
                    BlockStarted(index=0, block=Refusal(text="")),
                    TextDelta(index=0, text="no"),
                    BlockStopped(index=0),
                ],
            ),
            (
                {"type": "message", "role": "assistant", "content": [{"type": "text", "text": ""}]},
                [],
            ),
            (
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "hm"}],
                    "encrypted_content": "g",
                },
                [
                    BlockStarted(index=0, block=Thinking()),
                    TextDelta(index=0, text="hm"),
                    StateSeen(index=0, state=State(provider="openai", data="g")),
                    BlockStopped(index=0),
                ],
            ),
            (None, []),
            (7, []),
            ({"type": "image_generation_call", "id": "x"}, []),
        ],
    )
    def test_a_whole_item_is_its_block(self, item: object, events: list[Event]) -> None:
        stream = frame("response.created", response={})
        stream += frame("response.output_item.done", output_index=0, item=item)

        assert [Started(id="", model=""), *events] == read(stream)

    def test_text_that_only_the_last_events_bring(self) -> None:
        place = {"output_index": 0, "content_index": 0}
        stream = frame("response.content_part.added", **place, part={"type": "output_text"})
        stream += frame("response.content_part.added", **place, part={"type": "output_text"})
        stream += frame("response.content_part.done", **place)
        stream += frame("response.output_text.done", **place, text="hi")
        stream += frame("response.output_text.delta", **place, delta="")
        stream += frame("response.content_part.done", **place)
        stream += frame("response.content_part.done", **place)
        stream += frame("response.output_text.delta", **place, delta="late")

        assert [
            BlockStarted(index=0, block=Text(text="")),
            TextDelta(index=0, text="hi"),
            BlockStopped(index=0),
        ] == read(stream)[1:]

    def test_what_is_not_an_event_is_skipped(self) -> None:
        stream = b": ping\n\nevent: ping\n\n" + frame("response.of.tomorrow", delta={"a": 1})
        stream += b"data: [DONE]\n\ndata:\n\n" + frame(None, a=1)
        stream += frame("response.function_call_arguments.delta", output_index=9, delta="x")
        stream += frame("response.content_part.added", part={"type": "of tomorrow"})
        item = {"type": "function_call", "call_id": "c", "name": "f"}
        for _ in range(2):
            stream += frame("response.output_item.added", output_index=1, item=item)
        stream += frame("response.output_item.added", output_index=2, item=None)

        assert [
            Started(id="", model=""),
            BlockStarted(index=0, block=ToolCall(id="c", name="f", arguments="")),
        ] == read(stream)

    @pytest.mark.parametrize(
        "payload",
        [
            b"{",
            b"[]",
            b'{"type":"response.output_text.delta","delta":7}',
            b'{"type":"response.output_text.delta","delta":"\xff"}',
            b'{"type":"response.output_item.done","item":{"type":"function_call"}}',
        ],
    )
    def test_what_is_no_stream_is_refused(self, payload: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            read(b"data: " + payload + b"\n\n")

    @pytest.mark.parametrize(
        ("stream", "failed"),
        [
            (
                frame("error", code="rate_limit_exceeded", message="slow"),
                Failed(kind="rate_limited", message="slow"),
            ),
            (
                frame("error", error={"code": "context_length_exceeded", "message": "long"}),
                Failed(kind="context_length_exceeded", message="long"),
            ),
            (
                frame(None, error={"code": None, "message": "odd"}),
                Failed(kind="upstream_failed", message="odd"),
            ),
            (
                frame(
                    "response.failed",
                    response={"error": {"code": "server_error", "message": "boom"}},
                ),
                Failed(kind="upstream_failed", message="boom"),
            ),
            (
                frame("response.cancelled", response={}),
                Failed(kind="upstream_failed", message="the vendor ended the stream with an error"),
            ),
        ],
    )
    def test_an_error_ends_it(self, stream: bytes, failed: Failed) -> None:
        assert [failed] == read(stream + frame("response.completed", response={}))

    def test_a_failed_response_may_say_what_it_used(self) -> None:
        usage = {"input_tokens": 3, "output_tokens": 1}
        events = read(frame("response.failed", response={"usage": usage}))

        assert UsageSeen(usage=Usage(input=3, output=1), final=True) == events[0]
        assert isinstance(events[1], Failed)

    @pytest.mark.parametrize(
        ("kind", "response", "reason"),
        [
            ("response.completed", {}, "end"),
            ("response.incomplete", {}, "max_tokens"),
            (
                "response.incomplete",
                {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
                "refusal",
            ),
        ],
    )
    def test_why_it_ended(self, kind: str, response: dict[str, object], reason: str) -> None:
        stopped, ended = read(frame(kind, response=response))[1:]

        assert isinstance(stopped, Stopped)
        assert reason == stopped.stop.reason
        assert Ended() == ended

    def test_blocks_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream_blocks, "BLOCKS_MAX", 1)
        stream = b"".join(
            frame("response.output_text.delta", output_index=index, delta="x") for index in (0, 1)
        )

        with pytest.raises(FrameTooLong):
            read(stream)


class TestWriting:
    def test_the_parts_of_a_message_are_one_item(self) -> None:
        frames = written(
            *whole(
                BlockStarted(index=0, block=Text(text="a")),
                BlockStopped(index=0),
                BlockStarted(index=1, block=Text(text="")),
                BlockStopped(index=1),
                BlockStarted(index=2, block=Refusal(text="")),
                TextDelta(index=2, text="b"),
                BlockStopped(index=2),
            )
        )

        (item,) = frames[-1]["response"]["output"]
        assert [part.get("text", part.get("refusal")) for part in item["content"]] == ["a", "b"]

    def test_nothing_said_is_nothing_written(self) -> None:
        frames = written(
            *whole(
                BlockStarted(index=0, block=Text(text="")),
                TextDelta(index=0, text=""),
                BlockStopped(index=0),
                BlockStarted(index=1, block=Thinking()),
                BlockStopped(index=1),
            )
        )

        assert [frame["type"] for frame in frames] == [
            "response.created",
            "response.in_progress",
            "response.completed",
        ]

    def test_later_blocks_wait_for_the_earlier(self) -> None:
        """Codex loses the text of a message while another item is open."""
        events = whole(
            BlockStarted(index=0, block=Text(text="")),
            BlockStarted(index=1, block=ToolCall(id="call_1", name="f", arguments="")),
            BlockStarted(index=2, block=ToolCall(id="call_2", name="g", arguments="")),
            ArgumentsDelta(index=2, text="{}"),
            TextDelta(index=0, text="x"),
            BlockStopped(index=2),
            ArgumentsDelta(index=1, text='{"a":'),
            BlockStopped(index=0),
            TextDelta(index=0, text="late"),
            ArgumentsDelta(index=1, text="1}"),
            BlockStopped(index=1),
        )
        frames = written(*events)

        assert [item["type"] for item in frames[-1]["response"]["output"]] == [
            "message",
            "function_call",
            "function_call",
        ]
        assert [item["arguments"] for item in frames[-1]["response"]["output"][1:]] == [
            '{"a":1}',
            "{}",
        ]

    def test_a_block_that_was_never_stopped_is_closed(self) -> None:
        frames = written(
            *whole(BlockStarted(index=0, block=Text(text="")), TextDelta(index=0, text="x"))
        )

        assert frames[-1]["response"]["output"][0]["content"][0]["text"] == "x"

    def test_an_end_without_a_beginning(self) -> None:
        assert written(Ended())[-1]["response"]["id"] == "resp_018f"

    def test_it_begins_once(self) -> None:
        started = Started(id="resp_a", model="m")

        assert len(written(started, started, Ended())) == 3

    def test_a_stray_delta_is_nobodys(self) -> None:
        stray: list[Event] = [TextDelta(index=0, text="x"), BlockStopped(index=0)]
        state = State(provider="a", data="b")

        assert len(written(*whole(*stray, StateSeen(index=1, state=state)))) == 3

    def test_usage_may_come_last(self) -> None:
        usage = UsageSeen(usage=Usage(input=1, output=2), final=True)
        stopped = Stopped(stop=Stop(reason="max_tokens"))
        frames = written(Started(id="", model=""), stopped, usage, Ended())

        assert frames[-1]["type"] == "response.incomplete"
        assert frames[-1]["response"]["usage"]["total_tokens"] == 3

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("upstream_failed", "server_error"),
            ("unavailable", "server_error"),
            ("overloaded_error", "server_error"),
            ("rate_limited", "rate_limit_exceeded"),
            ("context_length_exceeded", "context_length_exceeded"),
            ("insufficient_quota", "insufficient_quota"),
            ("invalid_request_error", "invalid_prompt"),
        ],
    )
    def test_a_failure_tells_the_client_whether_to_retry(self, kind: str, code: str) -> None:
        frames = written(Failed(kind=kind, message="m"))

        assert {"code": code, "message": "m"} == frames[-1]["response"]["error"]

    def test_a_shortened_name_is_the_clients_again(self) -> None:
        context = msgspec.structs.replace(CONTEXT, tool_names={"short": "ns.own"})
        call = ToolCall(id="call_1", name="short", arguments="{}")
        frames = written(
            *whole(BlockStarted(index=0, block=call), BlockStopped(index=0)), context=context
        )

        item = frames[-1]["response"]["output"][0]
        assert (item["namespace"], item["name"], item["arguments"]) == ("ns", "own", "{}")

    def test_what_is_held_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(in_order, "HELD_CHARACTERS_MAX", 100)
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(BlockStarted(index=1, block=Text(text="")))

        with pytest.raises(FrameTooLong):
            encoder.feed(TextDelta(index=1, text="x" * 100))

    def test_what_is_kept_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream_items, "ANSWER_CHARACTERS_MAX", 100)
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(BlockStarted(index=0, block=Text(text="")))

        with pytest.raises(FrameTooLong):
            encoder.feed(TextDelta(index=0, text="x" * 101))
