"""Any legal order of events becomes a stream that the vendor's clients accept."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
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
    StreamedBlock,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop, StopReason
from aibridge_router.canonical.state import pack
from aibridge_router.dialects.anthropic_messages.codec import CODEC
from aibridge_router.dialects.anthropic_messages.encoder import HELD_CHARACTERS_MAX
from aibridge_router.sse import FrameTooLong
from tests.unit.router.dialects.anthropic_messages.grammar import Read, frames, read_stream
from tests.unit.router.dialects.anthropic_messages.strategies import streams

CONTEXT = AnswerContext(
    request_id="req_0199", model="gpt-sample", provider="openai", created_s=1_700_000_000
)
STATE = State(provider="google", data="s")
CALL = ToolCall(id="call_1", name="look", arguments="")


def encoded(*events: Event, context: AnswerContext = CONTEXT) -> bytes:
    encoder = CODEC.encoder(context)
    return b"".join(encoder.feed(event) for event in events)


def said(*events: Event, reason: StopReason = "end") -> Read:
    """What a whole answer with these events says."""
    first = Started(id="chatcmpl-1", model="gpt")
    return read_stream(encoded(first, *events, Stopped(stop=Stop(reason=reason)), Ended()))


def block(index: int, start: StreamedBlock, *pieces: str) -> list[Event]:
    """A block from its start to its stop."""
    kind = ArgumentsDelta if isinstance(start, ToolCall) else TextDelta
    deltas: list[Event] = [kind(index=index, text=piece) for piece in pieces]
    return [BlockStarted(index=index, block=start), *deltas, BlockStopped(index=index)]


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def thinking(words: str, signature: str = "") -> dict[str, str]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool_use(arguments: str, identifier: str = "call_1", name: str = "look") -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": identifier,
        "name": name,
        "input": {},
        "partial_json": arguments,
    }


@settings(max_examples=250, deadline=None)
@given(streams())
def test_the_grammar_holds_for_any_order_of_events(events: list[Event]) -> None:
    read = read_stream(encoded(*events))

    failed = isinstance(events[-1], Failed)
    assert (failed, not failed) == (read.error is not None, read.ended)


@settings(max_examples=150, deadline=None)
@given(streams(may_fail=False))
def test_nothing_is_lost_or_made_up(events: list[Event]) -> None:
    read = read_stream(encoded(*events))

    starts = {each.index: each.block for each in events if isinstance(each, BlockStarted)}
    texts = dict.fromkeys(starts, "")
    for each in events:
        if isinstance(each, TextDelta | ArgumentsDelta):
            texts[each.index] += each.text
    expected: list[str] = []
    for index, start in starts.items():
        if isinstance(start, ToolCall):
            whole = msgspec.json.encode({"input": texts[index]}).decode()
            expected.append(whole if start.custom else texts[index])
        elif texts[index] and not (isinstance(start, Thinking) and start.redacted):
            expected.append(texts[index])
    assert sorted(expected) == sorted(_spoken(read))


def _spoken(read: Read) -> list[str]:
    """What blocks say, without those that only carry state."""
    return [
        each["partial_json"] if each["type"] == "tool_use" else each.get("text") or each["thinking"]
        for each in read.blocks
        if each["type"] in {"text", "tool_use"} or each.get("thinking")
    ]


class TestAWholeStream:
    def test_byte_by_byte(self) -> None:
        usage = Usage(input=7, cache_read=5, cache_write_5m=2, output=3, reasoning=1)
        events = [
            Started(id="chatcmpl-1", model="gpt"),
            *block(0, Text(text=""), "Hi"),
            Stopped(stop=Stop(reason="end")),
            UsageSeen(usage=usage, final=True),
            Ended(),
        ]
        empty = (
            b'{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
            b'"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},'
            b'"output_tokens":0}'
        )
        used = (
            b'{"input_tokens":7,"cache_creation_input_tokens":2,"cache_read_input_tokens":5,'
            b'"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":0},'
            b'"output_tokens":4,"output_tokens_details":{"thinking_tokens":1}}'
        )

        assert (
            b"event: message_start\n"
            b'data: {"type":"message_start","message":{"id":"msg_0199","type":"message",'
            b'"role":"assistant","model":"gpt-sample","provider":"openai","content":[],'
            b'"stop_reason":null,"stop_sequence":null,"usage":' + empty + b"}}\n\n"
            b"event: content_block_start\n"
            b'data: {"type":"content_block_start","index":0,'
            b'"content_block":{"type":"text","text":""}}\n\n'
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":0,'
            b'"delta":{"type":"text_delta","text":"Hi"}}\n\n'
            b"event: content_block_stop\n"
            b'data: {"type":"content_block_stop","index":0}\n\n'
            b"event: message_delta\n"
            b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
            b'"stop_sequence":null},"usage":' + used + b"}\n\n"
            b"event: message_stop\n"
            b'data: {"type":"message_stop"}\n\n'
        ) == encoded(*events)

    def test_an_answer_of_nothing(self) -> None:
        assert said().blocks == []

    def test_usage_that_never_came_is_zero(self) -> None:
        usage = said().usage

        assert usage is not None
        assert (usage["input_tokens"], usage["output_tokens"]) == (0, 0)

    def test_usage_that_came_early_is_in_the_end(self) -> None:
        usage = said(UsageSeen(usage=Usage(input=3, output=4))).usage

        assert usage is not None
        assert (usage["input_tokens"], usage["output_tokens"]) == (3, 4)

    def test_an_end_alone_is_a_whole_answer(self) -> None:
        assert read_stream(encoded(Ended())).ended

    def test_a_block_alone_gets_a_head(self) -> None:
        assert read_stream(encoded(*block(0, Text(text=""), "Hi"))).message is not None

    def test_an_id_of_this_dialect_is_kept(self) -> None:
        message = read_stream(encoded(Started(id="msg_01Ab", model="m"))).message

        assert message is not None
        assert message["id"] == "msg_01Ab"


class TestBlocks:
    def test_empty_ones_are_left_out(self) -> None:
        assert [text("B")] == said(
            *block(0, Text(text="")),
            *block(1, Thinking(), ""),
            *block(2, Refusal(text="")),
            *block(3, Thinking(redacted=True)),
            *block(4, Text(text=""), "", "B"),
        ).blocks

    def test_a_call_without_arguments_is_one(self) -> None:
        assert [tool_use("")] == said(*block(0, CALL)).blocks

    def test_a_block_that_starts_with_words_says_them(self) -> None:
        whole = ToolCall(id="call_1", name="look", arguments="{}")

        assert [text("AB"), tool_use("{}")] == said(
            *block(0, Text(text="A"), "B"), *block(1, whole)
        ).blocks

    def test_side_by_side_they_come_one_after_the_other(self) -> None:
        other = ToolCall(id="call_2", name="see", arguments="")

        assert [tool_use('{"a":1}'), tool_use('{"b":2}', "call_2", "see"), text("C")] == said(
            BlockStarted(index=0, block=CALL),
            BlockStarted(index=1, block=other),
            ArgumentsDelta(index=1, text='{"b"'),
            ArgumentsDelta(index=0, text='{"a"'),
            BlockStarted(index=2, block=Text(text="")),
            TextDelta(index=2, text="C"),
            ArgumentsDelta(index=1, text=":2}"),
            ArgumentsDelta(index=0, text=":1}"),
            BlockStopped(index=2),
            BlockStopped(index=0),
            BlockStopped(index=1),
        ).blocks

    def test_one_that_has_nothing_to_say_yet_lets_others_pass(self) -> None:
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(Started(id="x", model="m"))
        encoder.feed(BlockStarted(index=0, block=Text(text="")))

        assert [kind for kind, _ in frames(encoder.feed(BlockStarted(index=1, block=CALL)))] == [
            "content_block_start"
        ]

    def test_those_left_open_are_closed(self) -> None:
        assert [text("A"), tool_use("{}")] == said(
            BlockStarted(index=0, block=Text(text="A")),
            BlockStarted(index=1, block=CALL),
            ArgumentsDelta(index=1, text="{}"),
        ).blocks

    def test_pieces_of_no_block_are_ignored(self) -> None:
        assert (
            said(
                TextDelta(index=4, text="x"),
                StateSeen(index=4, state=STATE),
                BlockStopped(index=4),
            ).blocks
            == []
        )

    def test_the_state_of_a_text_has_no_place(self) -> None:
        assert [text("A")] == said(
            BlockStarted(index=0, block=Text(text="A")), StateSeen(index=0, state=STATE)
        ).blocks

    def test_what_waits_is_bounded(self) -> None:
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(BlockStarted(index=0, block=CALL))
        encoder.feed(BlockStarted(index=1, block=CALL))
        encoder.feed(ArgumentsDelta(index=1, text="x" * HELD_CHARACTERS_MAX))

        with pytest.raises(FrameTooLong):
            encoder.feed(ArgumentsDelta(index=1, text="x"))

    def test_what_no_longer_waits_does_not_count(self) -> None:
        encoder = CODEC.encoder(CONTEXT)
        for index in range(0, 6, 2):
            encoder.feed(BlockStarted(index=index, block=CALL))
            encoder.feed(BlockStarted(index=index + 1, block=CALL))
            encoder.feed(ArgumentsDelta(index=index + 1, text="x" * (HELD_CHARACTERS_MAX // 2)))
            encoder.feed(BlockStopped(index=index))
            assert encoder.feed(BlockStopped(index=index + 1))


class TestStates:
    SIGNATURE = pack(STATE)

    def test_that_of_thinking_is_its_signature(self) -> None:
        assert [thinking("hm", self.SIGNATURE)] == said(
            BlockStarted(index=0, block=Thinking()),
            StateSeen(index=0, state=STATE),
            TextDelta(index=0, text="hm"),
            BlockStopped(index=0),
        ).blocks

    def test_thinking_may_be_nothing_else(self) -> None:
        assert [thinking("", self.SIGNATURE)] == said(*block(0, Thinking(state=STATE))).blocks

    def test_hidden_thinking_is_its_state(self) -> None:
        hidden = Thinking(redacted=True, state=STATE)

        assert said(*block(0, hidden, "ignored")).blocks == [
            {"type": "redacted_thinking", "data": self.SIGNATURE}
        ]

    def test_that_of_a_call_stands_before_it(self) -> None:
        call = ToolCall(id="call_1", name="look", arguments="", state=STATE)

        assert [thinking("", f"{self.SIGNATURE}#call_1"), tool_use("{}")] == said(
            *block(0, call, "{}")
        ).blocks

    def test_or_behind_it_where_it_came_late(self) -> None:
        assert [
            tool_use("{}"),
            thinking("", f"{self.SIGNATURE}#call_1"),
            text("B"),
        ] == said(
            BlockStarted(index=0, block=CALL),
            ArgumentsDelta(index=0, text="{}"),
            StateSeen(index=0, state=STATE),
            BlockStopped(index=0),
            *block(1, Text(text=""), "B"),
        ).blocks

    def test_at_the_end_it_has_no_place(self) -> None:
        assert [tool_use("")] == said(
            BlockStarted(index=0, block=CALL), StateSeen(index=0, state=STATE)
        ).blocks

    def test_state_alone_waits_for_something_to_follow(self) -> None:
        assert [text("A"), thinking("", self.SIGNATURE), text("B")] == said(
            *block(0, Text(text=""), "A"),
            *block(1, Thinking(state=STATE)),
            *block(2, Text(text=""), "B"),
        ).blocks

    def test_behind_the_answer_it_is_left_out(self) -> None:
        assert [text("A")] == said(
            *block(0, Text(text=""), "A"), *block(1, Thinking(state=STATE))
        ).blocks

    def test_without_an_answer_it_stays(self) -> None:
        assert [thinking("hm"), thinking("", self.SIGNATURE)] == said(
            *block(0, Thinking(), "hm"), *block(1, Thinking(state=STATE))
        ).blocks

    def test_thinking_behind_the_answer_is_told_once_it_says_something(self) -> None:
        assert [text("A"), thinking("hm", self.SIGNATURE)] == said(
            *block(0, Text(text=""), "A"), *block(1, Thinking(state=STATE), "hm")
        ).blocks


class TestCalls:
    def test_names_are_the_clients_own(self) -> None:
        named = AnswerContext(
            request_id="r", model="m", provider="p", created_s=0, tool_names={"look": "a.look"}
        )
        stream = encoded(BlockStarted(index=0, block=CALL), BlockStopped(index=0), context=named)

        assert read_stream(stream).blocks[0]["name"] == "a.look"

    def test_ids_that_clients_could_not_send_back_are_minted_alike(self) -> None:
        call = ToolCall(id="a/b c", name="look", arguments="")
        first, second = (said(*block(0, call)).blocks[0]["id"] for _ in range(2))

        assert first == second
        assert first.startswith("toolu_")

    def test_free_text_is_an_object_in_the_end(self) -> None:
        patch = ToolCall(id="call_1", name="look", arguments="", custom=True)

        assert [tool_use('{"input":"*** \\"a\\""}')] == said(*block(0, patch, "*** ", '"a"')).blocks


STOPS: list[tuple[StopReason, list[Event], str]] = [
    ("end", [], "end_turn"),
    ("end", block(0, CALL), "tool_use"),
    ("tool_use", block(0, CALL), "tool_use"),
    ("tool_use", block(0, Text(text="A")), "end_turn"),
    ("max_tokens", block(0, CALL), "max_tokens"),
    ("max_tokens", [], "max_tokens"),
    ("refusal", [], "refusal"),
    ("end", block(0, Refusal(text="No.")), "refusal"),
    ("context_full", [], "model_context_window_exceeded"),
    ("pause", [], "pause_turn"),
    ("stop_sequence", [], "stop_sequence"),
]


@pytest.mark.parametrize(("reason", "events", "expected"), STOPS)
def test_the_reason_is_what_was_said(
    reason: StopReason, events: list[Event], expected: str
) -> None:
    delta = said(*events, reason=reason).delta

    assert delta is not None
    assert expected == delta["stop_reason"]
    assert ("stop_details" in delta) == (expected == "refusal")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", "overloaded_error"),
        ("rate_limit_error", "rate_limit_error"),
        ("unavailable", "overloaded_error"),
        ("rate_limited", "rate_limit_error"),
        ("upstream_timeout", "timeout_error"),
        ("upstream_failed", "api_error"),
        ("server_error", "api_error"),
        ("UNAVAILABLE", "overloaded_error"),
        ("", "api_error"),
    ],
)
def test_a_failure_is_the_last_word(kind: str, expected: str) -> None:
    read = read_stream(
        encoded(
            *block(0, Text(text="A")),
            Failed(kind=kind, message="Oh."),
            Ended(),
            Started(id="", model=""),
        )
    )

    assert ({"type": expected, "message": "Oh."}, False) == (read.error, read.ended)
