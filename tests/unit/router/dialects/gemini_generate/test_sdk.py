"""What we write is what Google's own SDK reads."""

from collections.abc import Callable

import httpx
import pytest
from google import genai
from google.genai import errors, types

from aibridge_common.usage import Usage
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
from aibridge_router.dialects.gemini_generate.codec import CODEC
from tests.unit.router.dialects.gemini_generate.strategies import CONTEXT

STATE = State(provider="anthropic", data="EpM=")
THOUGHTS: list[Event] = [
    Started(id="msg_1", model="claude"),
    BlockStarted(index=0, block=Thinking()),
    TextDelta(index=0, text="hm"),
    StateSeen(index=0, state=STATE),
    BlockStopped(index=0),
    BlockStarted(index=1, block=Text(text="")),
    TextDelta(index=1, text="Hello "),
    TextDelta(index=1, text="there"),
]
REST: list[Event] = [
    BlockStopped(index=1),
    BlockStarted(index=2, block=ToolCall(id="toolu_1", name="f", arguments="")),
    ArgumentsDelta(index=2, text='{"a":1}'),
    BlockStopped(index=2),
    UsageSeen(usage=Usage(input=3, cache_read=4, output=5, reasoning=6), final=True),
    Stopped(stop=Stop(reason="tool_use")),
    Ended(),
]

Client = Callable[[bytes, str], genai.Client]


@pytest.fixture
def client() -> Client:
    def build(body: bytes, content_type: str) -> genai.Client:
        def answer(_request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"content-type": content_type}, content=body)

        options = types.HttpOptions(
            base_url="http://gateway",
            httpx_client=httpx.Client(transport=httpx.MockTransport(answer)),
        )
        return genai.Client(api_key="ab-x", http_options=options)

    return build


def encoded(events: list[Event]) -> bytes:
    encoder = CODEC.encoder(CONTEXT)
    return b"".join(map(encoder.feed, events))


def test_a_stream(client: Client) -> None:
    sdk = client(encoded([*THOUGHTS, *REST]), "text/event-stream")
    chunks = list(sdk.models.generate_content_stream(model="x", contents="hi"))
    parts = [part for chunk in chunks for part in chunk.parts or []]
    usage = chunks[-1].usage_metadata
    assert usage is not None

    assert "".join(part.text or "" for part in parts if not part.thought) == "Hello there"
    assert "".join(part.text or "" for part in parts if part.thought) == "hm"
    assert [call.args for chunk in chunks for call in chunk.function_calls or []] == [{"a": 1}]
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
    assert (usage.prompt_token_count, usage.total_token_count) == (7, 18)
    assert chunks[0].model_version == "claude-x"


def test_state_survives_the_sdk(client: Client) -> None:
    """It holds signatures as bytes and writes them in the URL's alphabet."""
    state = State(provider="anthropic", data="\u00ff\u00fe??>>~~")
    answer = Answer(
        id="x",
        model="m",
        blocks=[Thinking(text="hm", state=state), Text(text="a")],
        stop=Stop(reason="end"),
    )
    sdk = client(CODEC.answer_to_wire(answer, CONTEXT), "application/json")
    candidates = sdk.models.generate_content(model="x", contents="hi").candidates
    assert candidates is not None
    assert candidates[0].content is not None
    said = candidates[0].content.model_dump_json(exclude_none=True, by_alias=True)
    body = '{"contents":[{"parts":[{"text":"hi"}]},' + said + "]}"

    assert CODEC.request_from_wire(body.encode()).turns[1].blocks == answer.blocks


def test_a_failure_raises(client: Client) -> None:
    failed = encoded([*THOUGHTS, Failed(kind="unavailable", message="gone")])
    sdk = client(failed, "text/event-stream")
    with pytest.raises(errors.ServerError) as caught:
        list(sdk.models.generate_content_stream(model="x", contents="hi"))

    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


def test_a_whole_answer(client: Client) -> None:
    answer = Answer(
        id="x",
        model="m",
        blocks=[Text(text="a"), ToolCall(id="i", name="f", arguments='{"b":2}')],
        stop=Stop(reason="max_tokens"),
        usage=Usage(input=1, output=2),
    )
    sdk = client(CODEC.answer_to_wire(answer, CONTEXT), "application/json")
    found = sdk.models.generate_content(model="x", contents="hi")
    assert found.candidates is not None

    assert found.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    assert [(call.id, call.name, call.args) for call in found.function_calls or []] == [
        ("i", "f", {"b": 2})
    ]
