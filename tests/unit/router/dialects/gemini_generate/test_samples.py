"""Requests in the shapes that real clients send: gemini-cli, Google's Python SDK, and curl by the documentation."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Data,
    Document,
    Image,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.request import Reasoning, Request, Sampling, ToolChoice, Turn
from aibridge_router.dialects.gemini_generate.codec import CODEC
from tests.unit.router.dialects.gemini_generate.strategies import GEMINI_3
from tests.unit.router.dialects.samples import SAMPLES

FOLDER: Path = SAMPLES / "gemini_generate"


def body(name: str) -> bytes:
    return (FOLDER / f"{name}.request.json").read_bytes()


def sample(name: str) -> Request:
    return CODEC.request_from_wire(body(name))


def schema(raw: msgspec.Raw | None) -> Any:
    assert raw is not None
    return msgspec.json.decode(raw)


def test_the_cli_conversation() -> None:
    """Calls without ids are paired with responses that bring their own, thoughts in pieces are one."""
    turns = sample("cli").turns
    first = ToolCall(
        id="call_0",
        name="read_file",
        arguments='{"path":"a.py","limit":1.10}',
        state=State(provider="google", data="c2lnbmF0dXJl"),
    )
    second = ToolCall(id="call_1", name="read_file", arguments='{"path":"b.py"}')

    assert turns[3:] == [
        Turn(role="assistant", blocks=[Thinking(text="**Plan**\nTwo reads."), first, second]),
        Turn(
            role="user",
            blocks=[
                ToolResult(call_id="call_0", blocks=[Text(text="print(1)")]),
                ToolResult(call_id="call_1", blocks=[Text(text="no such file")], is_error=True),
            ],
        ),
        Turn(role="user", blocks=[Text(text="Go on")]),
    ]


def test_the_cli_settings() -> None:
    request = sample("cli")

    assert request.system == [Text(text="You are an interactive agent.")]
    assert request.reasoning == Reasoning(effort="high", show=True)
    assert request.sampling == Sampling(temperature=1, top_p=0.95, top_k=64)
    assert schema(request.tools[0].schema)["properties"]["limit"]["exclusiveMinimum"] == 0
    assert (request.needs, request.drops, request.extras) == ([], [], {})


def test_the_sdk_conversation() -> None:
    """Its base64 is of the URL's alphabet; the pieces of a streamed answer are one text and its signature."""
    request = sample("python_sdk")
    picture = Image(source=Data(media_type="image/png", base64="+/+/"))
    state = State(provider="google", data="ZGF0YQ==")

    assert request.turns == [
        Turn(role="user", blocks=[Text(text="What is in it?"), picture]),
        Turn(role="assistant", blocks=[Text(text="A cat"), Thinking(state=state)]),
        Turn(role="user", blocks=[Text(text="Call it")]),
    ]


def test_the_sdk_settings() -> None:
    request = sample("python_sdk")

    assert request.tool_choice == ToolChoice(mode="tool", name="name_cat")
    assert (request.output_tokens_max, request.stop, request.choices) == (256, ["END"], 1)
    assert request.sampling == Sampling(
        top_k=40, seed=7, presence_penalty=0.1, frequency_penalty=0.2
    )
    assert request.reasoning == Reasoning(budget_tokens=1024)
    assert request.drops == ["safety_settings"]
    assert list(request.extras[Dialect.GEMINI_GENERATE]) == ["safetySettings"]


def test_the_sdk_schemas_become_json_schema() -> None:
    request = sample("python_sdk")
    assert request.output_format is not None

    assert schema(request.tools[0].schema) == {
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"]},
            "lives": {"type": "integer", "maximum": 9, "examples": [7]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        },
        "required": ["name"],
    }
    assert schema(request.output_format.schema)["properties"]["a"] == {
        "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]
    }


def test_the_documentation_writes_snake_case() -> None:
    """The client's own names (`file_type`) stay."""
    request = sample("curl")

    assert request.turns == [
        Turn(
            role="user",
            blocks=[
                Text(text="Read it"),
                Document(source=Data(media_type="application/pdf", base64="JVBERi0=")),
            ],
        )
    ]
    assert request.system == [Text(text="Be brief.")]
    assert (request.output_tokens_max, request.stop) == (100, ["x"])
    assert request.reasoning == Reasoning(effort="off")
    assert request.tool_choice == ToolChoice(mode="auto")
    assert [tool.kind for tool in request.server_tools] == ["googleSearch"]
    assert schema(request.tools[0].schema)["properties"] == {"file_type": {"type": "string"}}


@pytest.mark.parametrize("name", ["cli", "python_sdk", "curl"])
def test_a_sample_means_the_same_after_a_second_reading(name: str) -> None:
    """What is written for Google is read as what was written."""
    request = sample(name)
    again = CODEC.request_from_wire(CODEC.request_to_wire(request, GEMINI_3, Losses()))
    thoughtless = [
        [block for block in turn.blocks if block != Thinking(text="**Plan**\nTwo reads.")]
        for turn in request.turns
    ]

    assert thoughtless == [turn.blocks for turn in again.turns]
    assert (request.system, request.tools, request.tool_choice, request.sampling) == (
        again.system,
        again.tools,
        again.tool_choice,
        again.sampling,
    )
    assert (request.extras, request.drops) == (again.extras, again.drops)
