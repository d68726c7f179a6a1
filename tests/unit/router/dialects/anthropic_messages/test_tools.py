"""Tools, the choice among them, and the schemas they may have."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Text, ToolCall, ToolResult
from aibridge_router.canonical.request import Request, ServerTool, Tool, ToolChoice
from aibridge_router.dialects.anthropic_messages.schema import fits_strict_mode, object_schema
from tests.unit.router.dialects.anthropic_messages.asking import (
    asked,
    assistant,
    profile,
    user,
    written,
    written_with_losses,
)

OWN, FOREIGN = Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES
SEARCH = ServerTool(
    dialect=OWN, kind="web_search_20250305", raw=Raw(b'{"type":"web_search_20250305"}')
)
FOREIGN_SEARCH = ServerTool(dialect=FOREIGN, kind="web_search", raw=Raw(b'{"type":"web_search"}'))
TOOL_SEARCH = ServerTool(
    dialect=OWN,
    kind="tool_search_tool_regex_20251119",
    raw=Raw(b'{"type":"tool_search_tool_regex_20251119"}'),
)
NOTHING = {"type": "object", "properties": {}}


def raw(schema: Any) -> Raw:
    return Raw(msgspec.json.encode(schema))


STRICT = raw(NOTHING | {"additionalProperties": False})

TOOLS: list[tuple[Tool, dict[str, Any]]] = [
    (Tool(name="f"), {"name": "f", "input_schema": NOTHING}),
    (
        Tool(name="f", description="d", schema=raw({"type": "object", "$schema": "x"})),
        {"name": "f", "description": "d", "input_schema": {"type": "object", "$schema": "x"}},
    ),
    (Tool(name="f", schema=raw({})), {"name": "f", "input_schema": NOTHING}),
    (
        Tool(name="a.b", schema=STRICT, strict=True),
        {
            "name": "a_b_69f6642c",
            "input_schema": NOTHING | {"additionalProperties": False},
            "strict": True,
        },
    ),
    (Tool(name="f", strict=False), {"name": "f", "input_schema": NOTHING}),
    (
        Tool(name="p", description="Patches.", custom=True, grammar=Raw(b'{"syntax":"lark"}')),
        {
            "name": "p",
            "description": 'Patches.\n\nThe input must follow this grammar:\n{"syntax":"lark"}',
            "input_schema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
                "additionalProperties": False,
            },
        },
    ),
]

TWO = {"tools": [Tool(name="f"), Tool(name="g")]}
CHOICES: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    (TWO, None),
    (TWO | {"tool_choice": ToolChoice(mode="auto")}, {"type": "auto"}),
    (TWO | {"tool_choice": ToolChoice(mode="any")}, {"type": "any"}),
    (TWO | {"tool_choice": ToolChoice(mode="none")}, {"type": "none"}),
    (TWO | {"tool_choice": ToolChoice(mode="tool", name="g")}, {"type": "tool", "name": "g"}),
    (TWO | {"parallel_tools": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    (TWO | {"parallel_tools": True}, None),
    (
        TWO | {"parallel_tools": False, "tool_choice": ToolChoice(mode="any")},
        {"type": "any", "disable_parallel_tool_use": True},
    ),
    (
        TWO | {"parallel_tools": False, "tool_choice": ToolChoice(mode="none")},
        {"type": "none"},
    ),
    ({"tool_choice": ToolChoice(mode="any"), "parallel_tools": False}, None),
]


@pytest.mark.parametrize(("tool", "expected"), TOOLS)
def test_a_tool_is_declared(tool: Tool, expected: dict[str, Any]) -> None:
    assert [expected] == written(asked(tools=[tool]))["tools"]


@pytest.mark.parametrize(("members", "expected"), CHOICES)
def test_a_choice_is_written(members: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert expected == written(asked(**members)).get("tool_choice")


def test_names_are_shortened_alike_everywhere() -> None:
    long = "x" * 200
    call = ToolCall(id="1", name=long, arguments="{}")
    body = written(
        asked(
            user("A"),
            assistant(call),
            user(ToolResult(call_id="1", blocks=[])),
            tools=[Tool(name=long)],
            tool_choice=ToolChoice(mode="tool", name=long),
        )
    )

    name = body["tools"][0]["name"]
    assert len(name) == 128
    assert name == body["tool_choice"]["name"] == body["messages"][1]["content"][0]["name"]


def test_allowed_tools_are_all_there_are() -> None:
    body = written(asked(**TWO, tool_choice=ToolChoice(mode="any", allowed=["g"])))

    assert (
        [tool["name"] for tool in body["tools"]],
        body["tool_choice"],
    ) == (["g"], {"type": "any"})


class TestNoTools:
    def test_neither_tools_nor_a_choice_are_written(self) -> None:
        assert {"tools", "tool_choice"}.isdisjoint(written(asked()))

    def test_those_that_history_called_are_declared_and_not_callable(self) -> None:
        body = written(
            asked(
                user("A"),
                assistant(ToolCall(id="1", name="f", arguments="{}")),
                user(ToolResult(call_id="1", blocks=[Text(text="ok")])),
            )
        )

        assert (
            body["tools"],
            body["tool_choice"],
        ) == ([{"name": "f", "input_schema": {"type": "object"}}], {"type": "none"})


class TestStrict:
    @pytest.mark.parametrize(
        ("tool", "capabilities"),
        [
            (Tool(name="f", schema=raw(NOTHING), strict=True), {}),
            (Tool(name="f", strict=True), {}),
            (Tool(name="f", schema=STRICT, strict=True), {"structured": "tool"}),
        ],
    )
    def test_what_the_vendor_would_refuse_is_not_strict(
        self, tool: Tool, capabilities: dict[str, Any]
    ) -> None:
        body, losses = written_with_losses(asked(tools=[tool]), profile(**capabilities))

        assert ("strict" in body["tools"][0], losses) == (False, ("strict",))

    @pytest.mark.parametrize(
        ("schema", "fits"),
        [
            ({"type": "object", "additionalProperties": False}, True),
            ({"type": "object"}, False),
            ({"type": ["object", "null"]}, False),
            ({"properties": {}}, False),
            ({"type": "string", "minLength": 1}, False),
            ({"type": "array", "minItems": 1, "items": {"type": "string"}}, True),
            ({"type": "array", "minItems": 2}, False),
            ({"type": "array", "minItems": []}, False),
            ({"type": "array", "items": {"type": "object"}}, False),
            ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
            ({"anyOf": [{"type": "object"}]}, False),
            ({"$defs": {"a": {"type": "object"}}}, False),
            (
                {
                    "type": "object",
                    "properties": {"minimum": {"type": "integer"}},
                    "additionalProperties": False,
                },
                True,
            ),
            ({"anyOf": [True, {"type": "string"}]}, True),
            ([], False),
        ],
    )
    def test_schemas(self, schema: Any, *, fits: bool) -> None:
        assert fits == fits_strict_mode(raw(schema))


class TestSchemasOfTools:
    @pytest.mark.parametrize(
        ("schema", "expected"),
        [
            ({"type": "object", "oneOf": []}, NOTHING),
            (
                {"anyOf": [{"properties": {"a": 1}, "required": ["a", "c"]}, {"required": ["c"]}]},
                {"type": "object", "properties": {"a": 1}, "required": ["c"]},
            ),
            (
                {
                    "type": "object",
                    "required": ["x"],
                    "properties": {"x": 1},
                    "allOf": [{"properties": {"y": 2}, "required": ["y"]}, True],
                },
                {
                    "type": "object",
                    "properties": {"y": 2, "x": 1},
                    "required": ["x", "y"],
                },
            ),
            ({"type": "string", "title": "T"}, NOTHING | {"title": "T"}),
            ([], NOTHING),
        ],
    )
    def test_alternatives_at_the_top_are_flattened(self, schema: Any, expected: Any) -> None:
        assert expected == msgspec.json.decode(object_schema(raw(schema)))

    def test_a_plain_one_keeps_its_bytes(self) -> None:
        plain = Raw(b'{"type" : "object", "x": 1.10}')

        assert plain == object_schema(plain)


class TestServerTools:
    def test_the_vendors_own_are_written(self) -> None:
        assert written(asked(server_tools=[SEARCH]))["tools"] == [{"type": "web_search_20250305"}]

    def test_foreign_ones_are_left_out_beside_others(self) -> None:
        request = asked(tools=[Tool(name="f")], server_tools=[FOREIGN_SEARCH])
        body, losses = written_with_losses(request)

        assert ([tool["name"] for tool in body["tools"]], losses) == (["f"], ("server_tools",))


class TestDeferredTools:
    @staticmethod
    def request(*server_tools: ServerTool) -> Request:
        return asked(tools=[Tool(name="f", deferred=True)], server_tools=list(server_tools))

    def test_they_are_sent_at_once(self) -> None:
        body, losses = written_with_losses(self.request())

        assert ("defer_loading" in body["tools"][0], losses) == (False, ("deferred_tools",))

    def test_unless_the_vendor_can_search_them(self) -> None:
        body, losses = written_with_losses(self.request(TOOL_SEARCH))

        assert (body["tools"][0]["defer_loading"], losses) == (True, ())
