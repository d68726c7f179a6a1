"""The vendor's own SDK reads what we write."""

from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given, settings

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import State, Text, Thinking, ToolCall
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
from aibridge_router.canonical.response import Answer, Stop
from aibridge_router.dialects.anthropic_messages.codec import CODEC
from tests.unit.router.dialects.anthropic_messages.grammar import read_stream
from tests.unit.router.dialects.anthropic_messages.strategies import streams

CONTEXT = AnswerContext(request_id="req_0199", model="gpt-sample", provider="openai", created_s=0)
ASKS: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


def client(body: bytes, content_type: str) -> anthropic.Anthropic:
    """A client whose vendor answers with `body`."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": content_type}, content=body)
    )
    return anthropic.Anthropic(
        api_key="key", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def streamed(events: list[Event]) -> anthropic.types.Message:
    encoder = CODEC.encoder(CONTEXT)
    body = b"".join(encoder.feed(event) for event in events)
    with client(body, "text/event-stream").messages.stream(**ASKS) as stream:
        return stream.get_final_message()


def test_a_stream_of_everything() -> None:
    call = ToolCall(id="call_1", name="look", arguments="")
    message = streamed(
        [
            Started(id="resp_1", model="m"),
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="hm"),
            StateSeen(index=0, state=State(provider="openai", data="x")),
            BlockStopped(index=0),
            BlockStarted(index=1, block=Text(text="")),
            TextDelta(index=1, text="I will look."),
            BlockStopped(index=1),
            BlockStarted(index=2, block=call),
            ArgumentsDelta(index=2, text='{"at":'),
            ArgumentsDelta(index=2, text=' "sky"}'),
            BlockStopped(index=2),
            UsageSeen(usage=Usage(input=4, cache_read=3, output=9), final=True),
            Stopped(stop=Stop(reason="tool_use")),
            Ended(),
        ]
    )

    thinking, text, tool_use = message.content
    assert isinstance(thinking, anthropic.types.ThinkingBlock)
    assert isinstance(text, anthropic.types.TextBlock)
    assert isinstance(tool_use, anthropic.types.ToolUseBlock)
    assert (thinking.thinking, text.text, tool_use.input) == ("hm", "I will look.", {"at": "sky"})
    assert thinking.signature.startswith("aib1.openai.")
    assert (
        message.stop_reason,
        message.usage.input_tokens,
        message.usage.cache_read_input_tokens,
        message.usage.output_tokens,
    ) == ("tool_use", 4, 3, 9)
    assert (message.model, message.model_dump()["provider"]) == ("gpt-sample", "openai")


@settings(max_examples=25, deadline=None)
@given(streams(may_fail=False))
def test_any_stream(events: list[Event]) -> None:
    encoder = CODEC.encoder(CONTEXT)
    read = read_stream(b"".join(encoder.feed(event) for event in events))
    try:
        message = streamed(events)
    except ValueError:
        return  # arguments that are no JSON, as the model wrote them

    assert [block["type"] for block in read.blocks] == [block.type for block in message.content]


def test_a_failure_is_raised() -> None:
    events: list[Event] = [
        Started(id="x", model="m"),
        BlockStarted(index=0, block=Text(text="A")),
        Failed(kind="unavailable", message="Busy."),
    ]

    with pytest.raises(anthropic.APIStatusError, match="Busy"):
        streamed(events)


def test_a_whole_answer() -> None:
    answer = Answer(
        id="chatcmpl-1",
        model="m",
        blocks=[Text(text="Hi."), ToolCall(id="call_1", name="f", arguments='{"a":1}')],
        stop=Stop(reason="end"),
        usage=Usage(input=1, output=2),
    )
    body = CODEC.answer_to_wire(answer, CONTEXT)

    message = client(body, "application/json").messages.create(**ASKS)
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 2)
