"""The stand-in Responses API, as the official SDK and Codex use it."""

import json
from typing import Any

import openai
import pytest

from aibridge_sandbox.script import directive

from .rig import Rig, ask, events

READ: dict[str, Any] = {
    "type": "function",
    "name": "read_file",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
    },
}


def test_stream_events_are_numbered_and_complete(openai_sdk: openai.OpenAI, rig: Rig) -> None:
    with openai_sdk.responses.stream(
        model="gpt-5.5",
        input="hello",
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        store=False,
    ) as stream:
        seen = list(stream)
        final = stream.get_final_response()

    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[0].type == "response.created"
    assert seen[-1].type == "response.completed"
    assert "hello" in final.output_text
    assert final.output[0].type == "reasoning"
    assert final.output[0].encrypted_content
    assert final.usage is not None
    assert final.usage.output_tokens_details.reasoning_tokens > 0
    truth = rig.truth()["usage"]
    assert truth["output"] + truth["reasoning"] == final.usage.output_tokens


def test_tool_call_and_its_output(openai_sdk: openai.OpenAI) -> None:
    """The reasoning item goes back sealed; the answer mentions the output."""
    first = openai_sdk.responses.create(
        model="gpt-6.1-sol",
        input=f"read it {directive(tool='read_file')}",
        tools=[READ],  # pyright: ignore[reportArgumentType]
        include=["reasoning.encrypted_content"],
        store=False,
    )
    call = next(item for item in first.output if item.type == "function_call")
    history: list[Any] = [
        {"role": "user", "content": "read it"},
        *[item.model_dump(exclude_none=True) for item in first.output],
        {"type": "function_call_output", "call_id": call.call_id, "output": "42 lines"},
    ]
    second = openai_sdk.responses.create(
        model="gpt-6.1-sol",
        input=history,
        tools=[READ],  # pyright: ignore[reportArgumentType]
        store=False,
    )

    assert json.loads(call.arguments) == {"path": "sandbox"}
    assert "42 lines" in second.output_text


def test_previous_response_continues(openai_sdk: openai.OpenAI) -> None:
    first = openai_sdk.responses.create(model="gpt-4o", input="hello")
    second = openai_sdk.responses.create(
        model="gpt-4o", input="again", previous_response_id=first.id
    )

    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    with pytest.raises(openai.BadRequestError, match="not found"):
        openai_sdk.responses.create(model="gpt-4o", input="x", previous_response_id="resp_0")


def test_incomplete_and_structured(rig: Rig) -> None:
    capped = rig.ask("responses", directive(tokens=90), stream=False, max_output_tokens=16).json()
    form = {"type": "json_schema", "name": "t", "schema": {"type": "array", "minItems": 1}}
    body = {**ask("responses", "fill", stream=False), "text": {"format": form}}
    shaped = rig.post("responses", body).json()

    assert capped["status"] == "incomplete"
    assert capped["incomplete_details"] == {"reason": "max_output_tokens"}
    assert json.loads(shaped["output"][0]["content"][0]["text"]) == ["fill"]


def test_custom_and_namespaced_tools(rig: Rig) -> None:
    """Custom tools take text; a tool of a namespace says which."""
    tools = [
        {"type": "custom", "name": "exec"},
        {"type": "namespace", "name": "agents", "description": "x", "tools": [READ]},
        {"type": "web_search"},
    ]
    custom = events(
        rig.ask("responses", directive(tool={"name": "exec", "raw": "ls"}), tools=tools)
    )
    spaced = rig.ask("responses", directive(tool="read_file"), stream=False, tools=tools).json()

    kinds = [event["type"] for event in custom]
    assert "response.custom_tool_call_input.delta" in kinds
    assert custom[-1]["response"]["output"][0]["input"] == "ls"
    assert spaced["output"][0]["namespace"] == "agents"


def test_codex_body_is_accepted(rig: Rig) -> None:
    body = {
        "model": "gpt-6.1-sol",
        "input": [
            {"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]},
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "s"}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}],
                "internal_chat_message_metadata_passthrough": {"x": 1},
            },
        ],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto", "context": "all_turns"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"a": "b"},
        "text": {"verbosity": "low"},
    }
    response = rig.post("responses", body)

    assert events(response)[-1]["type"] == "response.completed"


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}

STRICT: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "Unknown parameter: 'messages'."),
    ({"max_output_tokens": 5}, "integer below minimum value"),
    ({"input": [CALL]}, "No tool output found for function call c."),
    (
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
        "No tool call found",
    ),
    (
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "Z"}]},
        "could not be verified",
    ),
    (
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        "Supported values are: 'output_text' and 'refusal'",
    ),
    ({"tool_choice": "required"}, "must be specified with 'tools'"),
    ({"reasoning": {"effort": "low"}}, "'reasoning.effort' is not supported with this model"),
    ({"model": "gpt-6.1-sol", "reasoning": {"effort": "none"}}, "Supported values are"),
]


@pytest.mark.parametrize(("change", "message"), STRICT)
def test_strict_mode_refuses(rig: Rig, change: dict[str, Any], message: str) -> None:
    response = rig.post("responses", {**ask("responses", "hi", stream=False), **change})

    assert response.status_code == 400, response.text
    assert message in response.json()["error"]["message"]
