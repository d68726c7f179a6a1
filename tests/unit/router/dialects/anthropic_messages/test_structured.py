"""Structured output: the vendor's own, a forced tool, or words."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from aibridge_router.canonical.request import OutputFormat, Reasoning, Tool, ToolChoice
from aibridge_router.dialects.anthropic_messages.structured import ANSWER_TOOL
from tests.unit.router.dialects.anthropic_messages.asking import (
    asked,
    profile,
    written,
    written_with_losses,
)

STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}}
LIST = {"type": "array", "items": {"type": "string", "maxLength": 3}}
FORCED = {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}


def wants(schema: Any, **more: Any) -> dict[str, Any]:
    return {"output_format": OutputFormat(schema=Raw(msgspec.json.encode(schema)), **more)}


def test_the_vendors_own_is_used_where_the_schema_fits() -> None:
    body = written(asked(**wants(STRICT, name="answer", strict=True)))

    assert body["output_config"] == {"format": {"type": "json_schema", "schema": STRICT}}


def test_format_and_effort_share_their_member() -> None:
    request = asked(**wants(STRICT), reasoning=Reasoning(effort="low"))

    assert {"effort", "format"} == set(
        written(request, profile(reasoning="adaptive"))["output_config"]
    )


@pytest.mark.parametrize(
    ("schema", "capabilities"), [(STRICT, {"structured": "tool"}), (LOOSE, {})]
)
def test_one_forced_tool_stands_in(schema: Any, capabilities: dict[str, Any]) -> None:
    body = written(asked(**wants(schema, description="The answer.")), profile(**capabilities))

    tool = {"name": ANSWER_TOOL, "description": "The answer.", "input_schema": schema}
    assert ([tool], FORCED) == (body["tools"], body["tool_choice"])


CHOICES: list[tuple[ToolChoice | None, dict[str, Any]]] = [
    (None, {"type": "any"}),
    (ToolChoice(mode="auto"), {"type": "any"}),
    (ToolChoice(mode="any"), {"type": "any"}),
    (ToolChoice(mode="tool", name="f"), {"type": "tool", "name": "f"}),
    (ToolChoice(mode="none"), FORCED),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_beside_other_tools_some_tool_is_used(
    choice: ToolChoice | None, expected: dict[str, Any]
) -> None:
    request = asked(**wants(LOOSE), tools=[Tool(name="f")], tool_choice=choice)
    body = written(request)

    names = [tool["name"] for tool in body["tools"]]
    assert (["f", ANSWER_TOOL], expected) == (names, body["tool_choice"])


def test_a_forced_tool_rules_thinking_out() -> None:
    request = asked(**wants(LOOSE), reasoning=Reasoning(effort="high"))
    body, losses = written_with_losses(request, profile(reasoning="budget"))

    assert ("thinking" in body, losses) == (False, ("reasoning",))


@pytest.mark.parametrize(
    ("schema", "capabilities"),
    [
        (STRICT, {"structured": "json_only"}),
        (LIST, {}),
        (True, {}),
        (LOOSE, {"tools": False}),
    ],
)
def test_words_are_the_last_resort(schema: Any, capabilities: dict[str, Any]) -> None:
    body = written(asked(**wants(schema)), profile(**capabilities))

    assert {"tools", "output_config"}.isdisjoint(body)
    assert msgspec.json.encode(schema).decode() in body["system"][0]["text"]


def test_any_object_is_asked_for_in_words() -> None:
    body = written(asked(output_format=OutputFormat()))

    assert "JSON object" in body["system"][0]["text"]
