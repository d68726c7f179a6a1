"""The shapes that real clients send, and what the official SDK makes of our answers."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from msgspec import Raw

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
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Capabilities, Profile
from aibridge_router.canonical.request import OutputFormat, Reasoning, Request, ToolChoice
from aibridge_router.canonical.response import Answer, Stop
from aibridge_router.dialects.openai_responses.codec import CODEC

REQUESTS = Path(__file__).parents[4] / "samples" / "openai_responses" / "requests"
NAMES = sorted(path.stem for path in REQUESTS.glob("*.json"))
PROFILE = Profile(
    provider="openai",
    upstream_model="gpt-test",
    context_tokens=400_000,
    max_output_tokens=128_000,
    capabilities=Capabilities(reasoning="effort"),
)
CONTEXT = AnswerContext(request_id="req_018f", model="claude-x", provider="anthropic", created_s=1)


def read(name: str) -> Request:
    return CODEC.request_from_wire((REQUESTS / f"{name}.json").read_bytes())


class TestShapes:
    @pytest.mark.parametrize("name", NAMES)
    def test_what_is_written_means_the_same(self, name: str) -> None:
        request = read(name)
        losses = Losses()
        again = CODEC.request_from_wire(CODEC.request_to_wire(request, PROFILE, losses))

        assert [turn.role for turn in request.turns] == [turn.role for turn in again.turns]
        assert [len(tool.name) for tool in request.tools] <= [len(t.name) for t in again.tools]
        for field in (
            "system",
            "server_tools",
            "tool_choice",
            "parallel_tools",
            "output_tokens_max",
            "sampling",
            "reasoning",
            "output_format",
            "verbosity",
            "stream",
            "session",
            "extras",
            "needs",
        ):
            assert getattr(request, field) == getattr(again, field)
        assert set(losses.names) <= {"thinking"}

    def test_codex(self) -> None:
        request = read("codex_custom_provider")

        assert [text.text for text in request.system] == [
            "You are a coding agent.",
            "Sandbox: read-only.",
        ]
        assert [
            (turn.role, [type(block).__name__ for block in turn.blocks]) for turn in request.turns
        ] == [
            ("user", ["Text"]),
            ("user", ["Text", "Image"]),
            ("assistant", ["Thinking", "Text", "ToolCall"]),
            ("user", ["ToolResult"]),
            ("assistant", ["ToolCall"]),
            ("user", ["ToolResult"]),
            ("system", ["Text"]),
            ("user", ["Text"]),
        ]
        assert [(tool.name, tool.custom) for tool in request.tools] == [
            ("exec_command", False),
            ("view_image", False),
            ("multi_agent_v1.spawn", True),
            ("multi_agent_v1.wait", False),
        ]
        assert [tool.kind for tool in request.server_tools] == ["web_search"]
        assert (Reasoning(show=True), "019a-thread") == (request.reasoning, request.session)
        assert (request.drops, request.needs) == (["metadata"], [])
        assert isinstance(request.output_format, OutputFormat)
        assert (
            request.output_format.strict,
            request.output_format.name,
        ) == (True, "codex_output_schema")

    def test_opencode(self) -> None:
        request = read("opencode")

        assert ([Text(text="You are opencode.")], 32_000, "low") == (
            request.system,
            request.output_tokens_max,
            request.verbosity,
        )
        assert (request.drops, request.needs) == ([], [])

    def test_an_agent_that_gives_items_back(self) -> None:
        request = read("agents_sdk_echo")

        assert [
            Thinking(state=State(provider="anthropic", data="sig")),
            Text(text="Let me look."),
            ToolCall(id="call_1", name="get_weather", arguments='{"city":"Paris"}'),
        ] == request.turns[1].blocks
        assert ToolChoice(mode="tool", name="get_weather") == request.tool_choice
        assert isinstance(request.tools[0].schema, Raw)


EVENTS: list[Event] = [
    Started(id="msg_1", model="claude-x"),
    BlockStarted(index=0, block=Thinking()),
    TextDelta(index=0, text="hm"),
    StateSeen(index=0, state=State(provider="anthropic", data="sig")),
    BlockStopped(index=0),
    BlockStarted(index=1, block=Text(text="")),
    TextDelta(index=1, text="Hel"),
    TextDelta(index=1, text='lo "\n'),
    BlockStopped(index=1),
    BlockStarted(index=2, block=ToolCall(id="toolu_1", name="f", arguments="")),
    BlockStarted(index=3, block=ToolCall(id="toolu_2", name="patch", arguments="")),
    ArgumentsDelta(index=3, text='{"input":"x'),
    ArgumentsDelta(index=2, text='{"a":1}'),
    ArgumentsDelta(index=3, text='y"}'),
    BlockStopped(index=3),
    BlockStopped(index=2),
    UsageSeen(usage=Usage(input=10, cache_read=5, output=7, reasoning=2), final=True),
    Stopped(stop=Stop(reason="tool_use")),
    Ended(),
]


def client_for(body: bytes, content_type: str) -> openai.OpenAI:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": content_type})

    transport: Any = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://test/v1", http_client=transport)


def stream_of(events: list[Event]) -> bytes:
    encoder = CODEC.encoder(
        AnswerContext(
            request_id="req_018f",
            model="claude-x",
            provider="anthropic",
            created_s=1,
            custom_tools=frozenset({"patch"}),
        )
    )
    return b"".join(encoder.feed(event) for event in events)


class TestOfficialClient:
    def test_it_reads_a_stream(self) -> None:
        client = client_for(stream_of(EVENTS), "text/event-stream")
        with client.responses.stream(model="m", input="hi") as stream:
            kinds = [event.type for event in stream]
            response = stream.get_final_response()

        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        assert response.output_text == 'Hello "\n'
        assert [item.type for item in response.output] == [
            "reasoning",
            "message",
            "function_call",
            "custom_tool_call",
        ]
        found: list[Any] = response.output
        assert (found[2].arguments, found[3].input) == ('{"a":1}', "xy")
        assert response.usage is not None
        assert (
            response.usage.input_tokens,
            response.usage.input_tokens_details.cached_tokens,
            response.usage.output_tokens,
            response.usage.output_tokens_details.reasoning_tokens,
        ) == (15, 5, 9, 2)

    def test_every_event_fits_its_type(self) -> None:
        client = client_for(stream_of(EVENTS), "text/event-stream")
        events = list(client.responses.create(model="m", input="hi", stream=True))

        for event in events:
            assert type(event).model_validate(event.to_dict()).type == event.type

    def test_it_reads_a_whole_answer(self) -> None:
        answer = Answer(
            id="msg_1",
            model="claude-x",
            blocks=[Text(text="Hello"), ToolCall(id="call_1", name="f", arguments="{}")],
            stop=Stop(reason="tool_use"),
            usage=Usage(input=1, output=2),
        )
        client = client_for(CODEC.answer_to_wire(answer, CONTEXT), "application/json")
        response = client.responses.create(model="m", input="hi")

        assert (
            response.output_text,
            response.model,
            response.status,
        ) == ("Hello", "claude-x", "completed")
        assert json.loads(response.model_dump_json())["provider"] == "anthropic"
        assert type(response).model_validate(response.to_dict()).id == response.id

    def test_a_failure_reaches_it(self) -> None:
        failed = Failed(kind="upstream_failed", message="gone")
        client = client_for(stream_of([*EVENTS[:8], failed]), "text/event-stream")
        events = list(client.responses.create(model="m", input="hi", stream=True))

        assert events[-1].type == "response.failed"
        assert not any(event.type == "response.completed" for event in events)
