"""How a client's request is read."""

import json
from typing import Any

import pytest
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    CacheMark,
    Data,
    Document,
    FileId,
    Image,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    ServerTool,
    Tool,
    ToolChoice,
    Turn,
)
from aibridge_router.canonical.state import pack
from aibridge_router.dialects.openai_responses.codec import CODEC

DIALECT = Dialect.OPENAI_RESPONSES
SCHEMA = {"type": "object", "properties": {}}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def read(**members: object) -> Request:
    return CODEC.request_from_wire(compact({"model": "m", **members}))


def items(*found: object) -> list[Turn]:
    return read(input=list(found)).turns


def user(*parts: object) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": list(parts)}


def call(**members: object) -> dict[str, object]:
    return {
        "type": "function_call",
        "call_id": "call_1",
        "name": "f",
        "arguments": "{}",
        **members,
    }


class TestParameters:
    @pytest.mark.parametrize(
        ("members", "field", "value"),
        [
            ({"max_output_tokens": 100}, "output_tokens_max", 100),
            ({"stream": True}, "stream", True),
            ({"stream": None}, "stream", False),
            ({"parallel_tool_calls": False}, "parallel_tools", False),
            ({"text": {"verbosity": "low"}}, "verbosity", "low"),
            ({"user": "u"}, "user", "u"),
            ({"user": "u", "safety_identifier": "s"}, "user", "s"),
            ({"prompt_cache_key": "k"}, "session", "k"),
            ({"include": ["message.output_text.logprobs"]}, "logprobs", 0),
            (
                {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
                "logprobs",
                3,
            ),
            ({"top_logprobs": 0}, "logprobs", None),
            ({"reasoning": {"effort": "none"}}, "reasoning", Reasoning(effort="off")),
            ({"reasoning": {"effort": "xhigh"}}, "reasoning", Reasoning(effort="xhigh")),
            ({"reasoning": {"effort": "unheard"}}, "reasoning", None),
            ({"reasoning": {"summary": "auto"}}, "reasoning", Reasoning(show=True)),
            (
                {"reasoning": {"generate_summary": "auto", "effort": "low"}},
                "reasoning",
                Reasoning(effort="low", show=True),
            ),
            ({"reasoning": {}}, "reasoning", None),
            ({"text": {"format": {"type": "text"}}}, "output_format", None),
            ({"text": {"format": {"type": "json_object"}}}, "output_format", OutputFormat()),
            (
                {
                    "text": {
                        "format": {
                            "type": "json_schema",
                            "name": "n",
                            "schema": SCHEMA,
                            "strict": True,
                        }
                    }
                },
                "output_format",
                OutputFormat(schema=Raw(compact(SCHEMA)), name="n", strict=True),
            ),
            ({"tool_choice": "required"}, "tool_choice", ToolChoice(mode="any")),
            ({"tool_choice": None}, "tool_choice", None),
            (
                {"tool_choice": {"type": "function", "name": "f"}},
                "tool_choice",
                ToolChoice(mode="tool", name="f"),
            ),
            (
                {
                    "tool_choice": {
                        "type": "allowed_tools",
                        "mode": "required",
                        "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
                    }
                },
                "tool_choice",
                ToolChoice(mode="any", allowed=["f"]),
            ),
        ],
    )
    def test_is_read(self, members: dict[str, Any], field: str, value: object) -> None:
        assert value == getattr(read(**members), field)

    def test_sampling_is_read(self) -> None:
        sampling = read(temperature=1, top_p=0.5).sampling

        assert (sampling.temperature, sampling.top_p) == (1.0, 0.5)

    @pytest.mark.parametrize(
        ("name", "value", "drop"),
        [
            ("metadata", {"a": "b"}, "metadata"),
            ("client_metadata", {"a": "b"}, "metadata"),
            ("service_tier", "flex", "service_tier"),
            ("stream_options", {"include_obfuscation": True}, "stream_options"),
            ("truncation", "auto", "context_management"),
            ("context_management", [{"type": "compaction"}], "context_management"),
            ("prompt_cache_retention", "24h", "cache_control"),
            ("prompt_cache_options", {"mode": "explicit"}, "cache_control"),
            ("max_tool_calls", 3, "extras"),
            ("moderation", {"model": "x"}, "extras"),
            ("not_invented_yet", 1, "extras"),
        ],
    )
    def test_what_the_hub_has_no_word_for_is_kept_apart(
        self, name: str, value: object, drop: str
    ) -> None:
        request = read(**{name: value})

        assert {DIALECT: {name: Raw(compact(value))}} == request.extras
        assert ([drop], []) == (request.drops, request.needs)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("service_tier", "auto"),
            ("truncation", "disabled"),
            ("metadata", {}),
            ("background", False),
            ("previous_response_id", None),
        ],
    )
    def test_a_default_loses_nothing(self, name: str, value: object) -> None:
        request = read(**{name: value})

        assert (request.drops, request.needs) == ([], [])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("previous_response_id", "resp_1"),
            ("conversation", {"id": "conv_1"}),
            ("background", True),
            ("prompt", {"id": "pmpt_1"}),
            ("tool_choice", {"type": "web_search"}),
        ],
    )
    def test_what_only_the_vendor_can_honour_is_needed(self, name: str, value: object) -> None:
        assert [name] == read(**{name: value}).needs

    def test_other_inclusions_are_kept(self) -> None:
        request = read(include=["file_search_call.results", "reasoning.encrypted_content"])

        assert {DIALECT: {"include": Raw(b'["file_search_call.results"]')}} == request.extras


class TestInput:
    def test_a_text_is_a_turn(self) -> None:
        assert [Turn(role="user", blocks=[Text(text="hi")])] == read(input="hi").turns

    def test_a_message_needs_no_type(self) -> None:
        turns = items({"role": "assistant", "content": "hi"})

        assert [Turn(role="assistant", blocks=[Text(text="hi")])] == turns

    @pytest.mark.parametrize("role", ["user", "assistant", "developer"])
    def test_an_empty_message_says_nothing(self, role: str) -> None:
        hello = {"role": "user", "content": "hi"}

        assert len(items(hello, {"role": role, "content": []})) == 1

    def test_leading_instructions_are_the_system(self) -> None:
        request = read(
            instructions="a",
            input=[
                {"role": "developer", "content": "b"},
                {"role": "system", "content": [{"type": "input_text", "text": "c"}]},
                {"role": "user", "content": "d"},
                {"role": "developer", "content": "e"},
            ],
        )

        assert [Text(text="a"), Text(text="b"), Text(text="c")] == request.system
        assert [turn.role for turn in request.turns] == ["user", "system"]

    @pytest.mark.parametrize(
        ("part", "block"),
        [
            ({"type": "input_text", "text": "x"}, Text(text="x")),
            ({"type": "text", "text": "x"}, Text(text="x")),
            (
                {
                    "type": "input_text",
                    "text": "x",
                    "prompt_cache_breakpoint": {"mode": "explicit"},
                },
                Text(text="x", cache=CacheMark()),
            ),
            (
                {
                    "type": "input_text",
                    "text": "x",
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                },
                Text(text="x", cache=CacheMark(lifetime="1h")),
            ),
            ({"type": "refusal", "refusal": "no"}, Refusal(text="no")),
            (
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                Image(source=Data(media_type="image/png", base64="AA=="), detail="low"),
            ),
            (
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "auto"},
                Image(source=Url(url="https://a/b.png")),
            ),
            (
                {"type": "input_image", "file_id": "file-1"},
                Image(source=FileId(dialect=DIALECT, id="file-1")),
            ),
            (
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,AA==",
                },
                Document(source=Data(media_type="application/pdf", base64="AA=="), title="a.pdf"),
            ),
            (
                {"type": "input_file", "file_data": "AA=="},
                Document(source=Data(media_type="application/pdf", base64="AA==")),
            ),
            (
                {"type": "input_file", "file_url": "https://a"},
                Document(source=Url(url="https://a")),
            ),
            (
                {"type": "input_file", "file_id": "file-1"},
                Document(source=FileId(dialect=DIALECT, id="file-1")),
            ),
            (
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                Audio(source=Data(media_type="audio/mpeg", base64="AA==")),
            ),
        ],
    )
    def test_a_part_is_a_block(self, part: dict[str, object], block: object) -> None:
        assert [block] == items(user(part))[0].blocks

    @pytest.mark.parametrize(
        ("item", "block"),
        [
            (call(), ToolCall(id="call_1", name="f", arguments="{}")),
            (call(arguments=""), ToolCall(id="call_1", name="f", arguments="{}")),
            (call(namespace="ns"), ToolCall(id="call_1", name="ns.f", arguments="{}")),
            (
                {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "x"},
                ToolCall(id="c", name="p", arguments="x", custom=True),
            ),
            (
                {"type": "function_call_output", "call_id": "c", "output": "x"},
                ToolResult(call_id="c", blocks=[Text(text="x")]),
            ),
            (
                {"type": "function_call_output", "call_id": "c", "output": ""},
                ToolResult(call_id="c", blocks=[]),
            ),
            (
                {
                    "type": "custom_tool_call_output",
                    "call_id": "c",
                    "output": [
                        {"type": "input_text", "text": "x"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                    ],
                },
                ToolResult(
                    call_id="c",
                    custom=True,
                    blocks=[
                        Text(text="x"),
                        Image(source=Data(media_type="image/png", base64="AA==")),
                    ],
                ),
            ),
            (
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
                Thinking(state=State(provider="openai", data="gAAA")),
            ),
            (
                {
                    "type": "reasoning",
                    "content": None,
                    "summary": [
                        {"type": "summary_text", "text": "a"},
                        {"type": "summary_text", "text": "b"},
                    ],
                    "encrypted_content": pack(State(provider="anthropic", data="sig")),
                },
                Thinking(text="a\n\nb", state=State(provider="anthropic", data="sig")),
            ),
            (
                {"type": "reasoning", "encrypted_content": "aib1.a.c2ln.redacted"},
                Thinking(state=State(provider="a", data="sig"), redacted=True),
            ),
            ({"type": "reasoning", "summary": []}, Thinking()),
        ],
    )
    def test_an_item_is_a_block(self, item: dict[str, object], block: object) -> None:
        assert [block] == items(item)[0].blocks

    def test_a_run_of_one_role_is_a_turn_until_the_next_message(self) -> None:
        turns = items(
            user({"type": "input_text", "text": "environment"}),
            user({"type": "input_text", "text": "question"}),
            {"type": "reasoning", "encrypted_content": "g"},
            {"role": "assistant", "content": "on it"},
            call(call_id="call_1"),
            call(call_id="call_2"),
            {"type": "function_call_output", "call_id": "call_1", "output": "x"},
            {"type": "function_call_output", "call_id": "call_2", "output": "y"},
            user({"type": "input_text", "text": "more"}),
        )

        assert [(turn.role, [type(block).__name__ for block in turn.blocks]) for turn in turns] == [
            ("user", ["Text"]),
            ("user", ["Text"]),
            ("assistant", ["Thinking", "Text", "ToolCall", "ToolCall"]),
            ("user", ["ToolResult", "ToolResult", "Text"]),
        ]

    def test_the_state_of_a_call_follows_it(self) -> None:
        slot = pack(State(provider="google", data="sig")) + ".call"
        turns = items(call(), {"type": "reasoning", "summary": [], "encrypted_content": slot})

        state = State(provider="google", data="sig")
        assert [ToolCall(id="call_1", name="f", arguments="{}", state=state)] == turns[0].blocks

    def test_the_state_of_a_call_that_is_gone_is_left_out(self) -> None:
        slot = pack(State(provider="google", data="sig")) + ".call"

        assert items({"type": "reasoning", "encrypted_content": slot}) == []

    @pytest.mark.parametrize("kind", ["web_search_call", "mcp_list_tools", "item_of_tomorrow"])
    def test_an_unknown_item_stays_as_it_came(self, kind: str) -> None:
        item = {"type": kind, "tools": "any", "id": "x"}

        (block,) = items(item)[0].blocks
        assert Opaque(dialect=DIALECT, kind=kind, raw=Raw(compact(item))) == block

    @pytest.mark.parametrize("kind", ["item_reference", "compaction", "compaction_trigger"])
    def test_an_item_that_stands_for_stored_ones_is_needed(self, kind: str) -> None:
        assert [kind] == read(input=[{"type": kind, "id": "x"}]).needs

    def test_an_item_by_its_id_alone_is_a_reference(self) -> None:
        assert read(input=[{"id": "msg_1"}]).needs == ["item_reference"]

    def test_the_last_update_of_the_configuration_is_in_force(self) -> None:
        request = read(
            reasoning={"effort": "low", "summary": "auto"},
            text={"verbosity": "low"},
            input=[
                {"type": "configuration_update", "reasoning": {"effort": "medium"}},
                {"type": "configuration_update", "reasoning": {"effort": "high"}},
                {"type": "configuration_update", "text": {"format": {"type": "json_object"}}},
                {"role": "user", "content": "hi"},
            ],
        )

        assert Reasoning(effort="high", show=True) == request.reasoning
        assert (OutputFormat(), "low") == (request.output_format, request.verbosity)

    def test_citations_are_dropped(self) -> None:
        part = {"type": "output_text", "text": "x", "annotations": [{"type": "url_citation"}]}

        assert read(input=[{"role": "assistant", "content": [part]}]).drops == ["citations"]


class TestTools:
    @pytest.mark.parametrize(
        ("tool", "expected"),
        [
            (
                {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA},
                Tool(name="f", description="d", schema=Raw(compact(SCHEMA))),
            ),
            (
                {"type": "function", "name": "f", "parameters": None, "strict": True},
                Tool(name="f", strict=True),
            ),
            (
                {"type": "function", "name": "f", "defer_loading": True},
                Tool(name="f", deferred=True),
            ),
            (
                {"type": "custom", "name": "p", "format": {"type": "text"}},
                Tool(name="p", custom=True),
            ),
            (
                {
                    "type": "custom",
                    "name": "p",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
                },
                Tool(
                    name="p",
                    custom=True,
                    grammar=Raw(b'{"syntax":"lark","definition":"start: X"}'),
                ),
            ),
            (
                {
                    "type": "namespace",
                    "name": "ns",
                    "tools": [{"type": "function", "name": "f"}],
                },
                Tool(name="ns.f"),
            ),
        ],
    )
    def test_a_tool_is_read(self, tool: dict[str, object], expected: Tool) -> None:
        assert [expected] == read(tools=[tool]).tools

    def test_a_tool_of_the_vendor_is_kept(self) -> None:
        tool = {"type": "web_search", "filters": {}}

        assert [ServerTool(dialect=DIALECT, kind="web_search", raw=Raw(compact(tool)))] == read(
            tools=[tool]
        ).server_tools

    def test_tools_may_come_inside_the_conversation(self) -> None:
        """Codex sends its known models no tools but an item that adds them."""
        added = {
            "type": "additional_tools",
            "role": "developer",
            "tools": [
                {
                    "type": "namespace",
                    "name": "functions",
                    "tools": [{"type": "custom", "name": "exec"}],
                }
            ],
        }

        assert [Tool(name="functions.exec", custom=True)] == read(tools=[], input=[added]).tools


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "param"),
        [
            (b"", None),
            (b"[]", None),
            (b'{"model":"m","input":"\xff"}', None),
            (b'{"model":"m","metadata":{"a":"\xff"}}', None),
            (b"{}", "model"),
            (b'{"model":1}', "model"),
            (b'{"model":"m","input":5}', "input"),
            (b'{"model":"m","input":[5]}', "input.0"),
            (b'{"model":"m","input":[{"role":"user"}]}', "input.0.content"),
            (b'{"model":"m","input":[{"role":"king","content":""}]}', "input.0.role"),
            (b'{"model":"m","input":[{"type":"message","role":"user"}]}', "input.0.content"),
            (
                b'{"model":"m","input":[{"role":"user","content":[{"type":"input_video"}]}]}',
                "input.0.content.0.type",
            ),
            (
                b'{"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]}',
                "input.0.content.0.image_url",
            ),
            (
                (
                    b'{"model":"m","input":[{"role":"user","content":[{"type":"input_image",'
                    b'"image_url":"data:image/png,AA"}]}]}'
                ),
                "input.0.content.0.image_url",
            ),
            (
                b'{"model":"m","input":[{"role":"user","content":[{"type":"input_file"}]}]}',
                "input.0.content.0.file_data",
            ),
            (
                (
                    b'{"model":"m","input":[{"role":"user","content":[{"type":"input_audio",'
                    b'"input_audio":{"data":"","format":"ogg"}}]}]}'
                ),
                "input.0.content.0.input_audio.format",
            ),
            (
                (
                    b'{"model":"m","input":[{"role":"developer","content":[{"type":"input_image",'
                    b'"file_id":"f"}]}]}'
                ),
                "input.0.content",
            ),
            (
                b'{"model":"m","input":[{"type":"function_call","name":"f"}]}',
                "input.0.call_id",
            ),
            (
                (
                    b'{"model":"m","input":[{"type":"function_call_output","call_id":"c",'
                    b'"output":[{"type":"refusal","refusal":"no"}]}]}'
                ),
                "input.0.output",
            ),
            (
                (
                    b'{"model":"m","input":[{"type":"function_call_output","call_id":"c",'
                    b'"output":[{"type":"input_file"}]}]}'
                ),
                "input.0.output.0.file_data",
            ),
            (
                b'{"model":"m","input":[{"type":"additional_tools","tools":[{}]}]}',
                "input.0.tools.0.type",
            ),
            (b'{"model":"m","tools":{}}', "tools"),
            (b'{"model":"m","tools":[{"name":"f"}]}', "tools.0.type"),
            (b'{"model":"m","tools":[7]}', "tools.0"),
            (b'{"model":"m","tools":[{"type":"function"}]}', "tools.0.name"),
            (
                b'{"model":"m","tools":[{"type":"function","name":"f","parameters":[]}]}',
                "tools.0.parameters",
            ),
            (b'{"model":"m","tool_choice":"sometimes"}', "tool_choice"),
            (b'{"model":"m","tool_choice":[]}', "tool_choice"),
            (b'{"model":"m","max_output_tokens":"9"}', "max_output_tokens"),
            (b'{"model":"m","text":{"format":{"type":"xml"}}}', "text.format.type"),
            (b'{"model":"m","text":{"format":{"type":"json_schema"}}}', "text.format.schema"),
            (b'{"model":"m","reasoning":{"effort":3}}', "reasoning.effort"),
        ],
    )
    def test_the_wrong_field_is_named(self, body: bytes, param: str | None) -> None:
        with pytest.raises(InvalidRequest) as caught:
            CODEC.request_from_wire(body)

        assert param == caught.value.param
