"""An answer ends with what answers: clients take the last block for it."""

from typing import Any

import msgspec

from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Block, State, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Started,
    StateSeen,
    Stopped,
    TextDelta,
)
from aibridge_router.canonical.response import Answer, Stop
from aibridge_router.dialects.anthropic_messages.codec import CODEC

CONTEXT = AnswerContext(request_id="req_1", model="gemini-x", provider="google", created_s=0)
STATE = State(provider="google", data="c2lnbmVk")
CALL = ToolCall(id="call_1", name="look", arguments="")


def thought(index: int, text: str = "") -> list[Event]:
    """A thinking block; without text it is nothing but Google's signature."""
    said: list[Event] = [TextDelta(index=index, text=text)] if text else []
    start = BlockStarted(index=index, block=Thinking())
    return [start, *said, StateSeen(index=index, state=STATE), BlockStopped(index=index)]


def words(index: int, text: str = "Hello") -> list[Event]:
    return [
        BlockStarted(index=index, block=Text(text="")),
        TextDelta(index=index, text=text),
        BlockStopped(index=index),
    ]


def call(index: int) -> list[Event]:
    return [
        BlockStarted(index=index, block=CALL),
        ArgumentsDelta(index=index, text="{}"),
        BlockStopped(index=index),
    ]


def streamed(*events: Event) -> list[str]:
    """The types of the blocks, in their order."""
    encoder = CODEC.encoder(CONTEXT)
    whole = [Started(id="1", model="m"), *events, Stopped(stop=Stop(reason="end")), Ended()]
    stream = b"".join(encoder.feed(event) for event in whole)
    payloads = [
        msgspec.json.decode(line[6:]) for line in stream.split(b"\n") if line[:5] == b"data:"
    ]
    starts = [each for each in payloads if each["type"] == "content_block_start"]
    assert [each["index"] for each in starts] == list(range(len(starts)))
    stops = [each["index"] for each in payloads if each["type"] == "content_block_stop"]
    assert stops == list(range(len(starts)))
    assert payloads[-1]["type"] == "message_stop"
    return [each["content_block"]["type"] for each in starts]


def whole(*blocks: Block) -> list[str]:
    answer = Answer(id="1", model="m", blocks=list(blocks), stop=Stop(reason="end"), usage=None)
    body: dict[str, Any] = msgspec.json.decode(CODEC.answer_to_wire(answer, CONTEXT))
    return [block["type"] for block in body["content"]]


class TestInAStream:
    def test_no_signature_alone_follows_the_text(self) -> None:
        assert streamed(*words(0), *thought(1)) == ["text"]

    def test_not_even_several(self) -> None:
        assert streamed(*words(0), *thought(1), *thought(2)) == ["text"]

    def test_none_follows_a_call(self) -> None:
        assert streamed(*call(0), *thought(1)) == ["tool_use"]

    def test_before_a_call_it_stays(self) -> None:
        assert streamed(*words(0), *thought(1), *call(2)) == ["text", "thinking", "tool_use"]

    def test_before_more_text_it_stays(self) -> None:
        assert streamed(*words(0), *thought(1), *words(2)) == ["text", "thinking", "text"]

    def test_thoughts_in_words_stay_at_the_end_too(self) -> None:
        assert streamed(*words(0), *thought(1, "Hm")) == ["text", "thinking"]

    def test_an_answer_of_thoughts_only_keeps_their_signature(self) -> None:
        assert streamed(*thought(0)) == ["thinking"]


class TestInAWholeAnswer:
    def test_no_signature_alone_follows_the_text(self) -> None:
        assert whole(Text(text="Hello"), Thinking(state=STATE)) == ["text"]

    def test_before_a_call_it_stays(self) -> None:
        kinds = whole(Text(text="Hello"), Thinking(state=STATE), CALL)

        assert kinds == ["text", "thinking", "tool_use"]

    def test_thoughts_in_words_stay_at_the_end_too(self) -> None:
        assert whole(Text(text="Hello"), Thinking(text="Hm", state=STATE)) == ["text", "thinking"]

    def test_an_answer_of_thoughts_only_keeps_their_signature(self) -> None:
        assert whole(Thinking(state=STATE)) == ["thinking"]
