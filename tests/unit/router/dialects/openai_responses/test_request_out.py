"""How a request is written for a model that speaks this dialect: one row a rule."""

import hashlib
import json
from typing import Any, Literal

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    Block,
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
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import short_tool_name
from aibridge_router.canonical.profile import Capabilities, Profile
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
    Turn,
)
from aibridge_router.dialects.openai_responses.codec import CODEC

SCHEMA = Raw(b'{"type":"object","properties":{}}')
STRICT = Raw(b'{"type":"object","properties":{},"required":[],"additionalProperties":false}')
PNG = Data(media_type="image/png", base64="AA==")
TOOL = Tool(name="f", schema=SCHEMA)
LONG = "mcp__" + "x" * 80


def target(provider: str = "openai", **capabilities: Any) -> Profile:
    return Profile(
        provider=provider,
        upstream_model="gpt-test",
        context_tokens=400_000,
        max_output_tokens=1000,
        capabilities=replace(Capabilities(reasoning="effort"), **capabilities),
    )


def asked(*blocks: Block, **members: Any) -> Request:
    turns = [Turn(role="user", blocks=list(blocks) or [Text(text="hi")])]
    return replace(Request(model="m", turns=turns), **members)


def talk(*turns: tuple[Literal["user", "assistant", "system"], list[Block]]) -> Request:
    return Request(model="m", turns=[Turn(role=role, blocks=blocks) for role, blocks in turns])


def written(request: Request, profile: Profile | None = None) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    body = CODEC.request_to_wire(request, profile or target(), losses)
    return json.loads(body), list(losses.names)


def refused(request: Request, profile: Profile | None = None) -> str | None:
    with pytest.raises(CannotSay) as caught:
        CODEC.request_to_wire(request, profile or target(), Losses())
    return caught.value.param


class TestParameters:
    def test_nothing_is_stored_and_state_comes_back(self) -> None:
        body, losses = written(asked())

        assert body == {
            "model": "gpt-test",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}],
                }
            ],
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
        assert losses == []

    @pytest.mark.parametrize(
        ("members", "member", "value"),
        [
            ({"output_tokens_max": 500}, "max_output_tokens", 500),
            ({"output_tokens_max": 5000}, "max_output_tokens", 1000),
            ({"output_tokens_max": 1}, "max_output_tokens", 16),
            ({"sampling": Sampling(temperature=0.5)}, "temperature", 0.5),
            ({"sampling": Sampling(top_p=0.5)}, "top_p", 0.5),
            ({"stream": True}, "stream", True),
            ({"verbosity": "low"}, "text", {"verbosity": "low"}),
            ({"user": "ann"}, "safety_identifier", hashlib.sha256(b"ann").hexdigest()),
            ({"user": "a" * 64}, "safety_identifier", "a" * 64),
            ({"session": "s"}, "prompt_cache_key", "s"),
            ({"session": "s" * 65}, "prompt_cache_key", hashlib.sha256(b"s" * 65).hexdigest()),
            ({"system": [Text(text="a")]}, "instructions", "a"),
        ],
    )
    def test_is_said(self, members: dict[str, Any], member: str, value: object) -> None:
        body, losses = written(asked(**members))

        assert value == body[member]
        assert losses == []

    @pytest.mark.parametrize(
        ("members", "drops"),
        [
            ({"sampling": Sampling(seed=1)}, ["seed"]),
            ({"sampling": Sampling(top_k=1)}, ["top_k"]),
            ({"sampling": Sampling(presence_penalty=1.0)}, ["penalties"]),
            ({"sampling": Sampling(frequency_penalty=1.0)}, ["penalties"]),
            ({"stop": ["x"]}, ["stop"]),
            ({"drops": ["logit_bias", "citations"]}, ["logit_bias", "citations"]),
            ({"extras": {Dialect.OPENAI_CHAT: {"x": Raw(b"1")}}}, ["extras"]),
            ({"system": [Text(text="a", cache=CacheMark())]}, ["cache_control"]),
            ({"tools": [Tool(name="f", schema=SCHEMA, cache=CacheMark())]}, ["cache_control"]),
        ],
    )
    def test_is_dropped(self, members: dict[str, Any], drops: list[str]) -> None:
        assert drops == written(asked(**members))[1]

    def test_sampling_is_dropped_where_the_model_fixes_it(self) -> None:
        request = asked(sampling=Sampling(temperature=0.5, top_p=0.5))
        body, losses = written(request, target(sampling=False))

        assert body.keys().isdisjoint({"temperature", "top_p"})
        assert losses == ["sampling"]
        assert written(asked(), target(sampling=False))[1] == []

    @pytest.mark.parametrize(
        ("members", "param"),
        [
            ({"choices": 2}, "n"),
            ({"logprobs": 0}, "logprobs"),
            ({"needs": ["container"]}, "container"),
        ],
    )
    def test_is_refused(self, members: dict[str, Any], param: str) -> None:
        assert param == refused(asked(**members))

    def test_members_go_back_to_their_own_dialect_only(self) -> None:
        mine = {"service_tier": Raw(b'"flex"'), "include": Raw(b'["file_search_call.results"]')}
        request = asked(
            extras={Dialect.OPENAI_RESPONSES: mine, Dialect.OPENAI_CHAT: {"x": Raw(b"1")}},
            needs=["background"],
            drops=["service_tier"],
        )
        body, losses = written(request)

        assert body["service_tier"] == "flex"
        assert body["include"] == ["file_search_call.results", "reasoning.encrypted_content"]
        assert "x" not in body
        assert losses == []


class TestReasoning:
    @pytest.mark.parametrize(
        ("reasoning", "expected"),
        [
            (Reasoning(effort="off"), {"effort": "none"}),
            (Reasoning(effort="minimal"), {"effort": "minimal"}),
            (Reasoning(effort="max", show=True), {"effort": "max", "summary": "auto"}),
            (Reasoning(show=True), {"summary": "auto"}),
            (Reasoning(effort="low", show=False), {"effort": "low"}),
            (Reasoning(budget_tokens=0), {"effort": "none"}),
            (Reasoning(budget_tokens=1024), {"effort": "minimal"}),
            (Reasoning(budget_tokens=2048), {"effort": "low"}),
            (Reasoning(budget_tokens=8192), {"effort": "medium"}),
            (Reasoning(budget_tokens=24576), {"effort": "high"}),
            (Reasoning(budget_tokens=127_999), {"effort": "xhigh"}),
            (Reasoning(budget_tokens=-1), None),
            (Reasoning(adaptive=True), None),
        ],
    )
    def test_levels(self, reasoning: Reasoning, expected: object) -> None:
        efforts = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
        body, losses = written(asked(reasoning=reasoning), target(efforts=efforts))

        assert expected == body.get("reasoning")
        assert losses == []

    @pytest.mark.parametrize(
        ("wanted", "allowed", "said", "losses"),
        [
            ("max", ("low", "medium", "high"), "high", []),
            ("minimal", ("low", "medium"), "low", []),
            ("off", ("none", "low"), "none", []),
            ("off", ("low", "high"), "low", ["reasoning"]),
            ("high", (), None, ["reasoning"]),
        ],
    )
    def test_the_nearest_level_the_model_has(
        self, wanted: str, allowed: tuple[str, ...], said: str | None, losses: list[str]
    ) -> None:
        reasoning = msgspec.convert({"effort": wanted}, Reasoning)
        body, lost = written(asked(reasoning=reasoning), target(efforts=allowed))

        assert said == body.get("reasoning", {}).get("effort")
        assert losses == lost

    @pytest.mark.parametrize(
        ("reasoning", "losses"),
        [
            (Reasoning(effort="high"), ["reasoning"]),
            (Reasoning(effort="off"), []),
            (Reasoning(budget_tokens=0), []),
        ],
    )
    def test_a_model_that_does_not_reason(self, reasoning: Reasoning, losses: list[str]) -> None:
        body, lost = written(asked(reasoning=reasoning), target(reasoning="none"))

        assert body.keys().isdisjoint({"reasoning", "include"})
        assert losses == lost


class TestFormat:
    @pytest.mark.parametrize(
        ("wanted", "expected", "losses"),
        [
            (
                OutputFormat(schema=STRICT, name="n", strict=True),
                {"name": "n", "strict": True},
                [],
            ),
            (OutputFormat(schema=STRICT), {"name": "response", "strict": True}, []),
            (OutputFormat(schema=SCHEMA), {"name": "response"}, []),
            (OutputFormat(schema=SCHEMA, strict=True), {"strict": False}, ["strict"]),
            (OutputFormat(schema=STRICT, strict=False), {"strict": False}, []),
            (OutputFormat(schema=SCHEMA, description="d"), {"description": "d"}, []),
        ],
    )
    def test_a_schema_is_native(
        self, wanted: OutputFormat, expected: dict[str, object], losses: list[str]
    ) -> None:
        body, lost = written(asked(output_format=wanted))

        form = body["text"]["format"]
        assert wanted.schema is not None
        assert ("json_schema", json.loads(bytes(wanted.schema))) == (form["type"], form["schema"])
        assert expected == {key: form[key] for key in expected}
        assert ("strict" in expected) == ("strict" in form)
        assert losses == lost

    def test_a_schema_is_asked_for_in_words_where_it_is_not(self) -> None:
        request = asked(output_format=OutputFormat(schema=SCHEMA), system=[Text(text="a")])
        body, losses = written(request, target(structured="json_only"))

        assert losses == ["output_format"]
        assert body["text"] == {"format": {"type": "json_object"}}
        assert body["instructions"] == "a"
        assert body["input"][0]["role"] == "developer"
        assert bytes(SCHEMA) in body["input"][0]["content"][0]["text"].encode()

    @pytest.mark.parametrize(("text", "items"), [("Reply in JSON", 1), ("Reply", 2)])
    def test_a_message_must_speak_of_json(self, text: str, items: int) -> None:
        """The vendor refuses the format otherwise."""
        body, _ = written(asked(Text(text=text), output_format=OutputFormat()))

        assert items == len(body["input"])
        assert "json" in json.dumps(body["input"]).lower()


class TestTools:
    @pytest.mark.parametrize(
        ("tool", "expected", "losses"),
        [
            (
                Tool(name="f", description="d", schema=STRICT, strict=True),
                {
                    "type": "function",
                    "name": "f",
                    "description": "d",
                    "parameters": json.loads(bytes(STRICT)),
                    "strict": True,
                },
                [],
            ),
            # Left out, the vendor would make the schema strict by itself.
            (TOOL, {"strict": False}, []),
            (Tool(name="f", schema=SCHEMA, strict=True), {"strict": False}, ["strict"]),
            (
                Tool(
                    name="f",
                    strict=True,
                    schema=Raw(
                        b'{"type":"object","properties":{"a":{"anyOf":[{"type":["object","null"]}]}},'
                        b'"required":["a"],"additionalProperties":false}'
                    ),
                ),
                {"strict": False},
                ["strict"],
            ),
            (Tool(name="f"), {"parameters": {"type": "object", "properties": {}}}, []),
            (
                Tool(name="f", schema=Raw(b'{"type":"object"}')),
                {"parameters": {"type": "object", "properties": {}}},
                [],
            ),
            (
                Tool(
                    name="f",
                    schema=Raw(
                        b'{"oneOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}}},7],'
                        b'"enum":[1],"$defs":{}}'
                    ),
                ),
                {"parameters": {"$defs": {}, "type": "object", "properties": {}}},
                [],
            ),
            (
                Tool(
                    name="f",
                    schema=Raw(
                        b'{"type":"object","anyOf":[{"properties":{"a":{}},"required":["a"]}],'
                        b'"properties":{"b":{}}}'
                    ),
                ),
                {"parameters": {"type": "object", "properties": {"a": {}, "b": {}}}},
                [],
            ),
            (
                Tool(name="p", custom=True, description="d"),
                {"type": "custom", "name": "p", "description": "d"},
                [],
            ),
            (
                Tool(
                    name="p", custom=True, grammar=Raw(b'{"syntax":"lark","definition":"start: X"}')
                ),
                {"format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
                [],
            ),
            (
                Tool(
                    name="p",
                    custom=True,
                    grammar=Raw(
                        b'{"type":"grammar","grammar":{"syntax":"regex","definition":"a+"}}'
                    ),
                ),
                {"format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
                [],
            ),
            (Tool(name=LONG, schema=SCHEMA), {"name": short_tool_name(LONG, 64)}, []),
            (Tool(name="a.b", schema=SCHEMA), {"name": short_tool_name("a.b", 64)}, []),
            (Tool(name="f", schema=SCHEMA, deferred=True), {"name": "f"}, ["deferred_tools"]),
        ],
    )
    def test_a_tool_is_declared(
        self, tool: Tool, expected: dict[str, object], losses: list[str]
    ) -> None:
        body, lost = written(asked(tools=[tool]))

        (said,) = body["tools"]
        assert expected == {key: said[key] for key in expected}
        assert "defer_loading" not in said
        assert losses == lost

    @pytest.mark.parametrize(
        ("schema", "kept"),
        [
            (STRICT, True),
            (Raw(b'{"type":"object","properties":{},"additionalProperties":true}'), False),
            (
                Raw(
                    b'{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},'
                    b'"required":["a"],"additionalProperties":false}'
                ),
                False,
            ),
            (
                Raw(
                    b'{"type":"object","properties":{"a":true,"b":{"type":"string"}},'
                    b'"required":["a","b"],"additionalProperties":false}'
                ),
                True,
            ),
            (
                Raw(
                    b'{"type":"object","properties":{"a":{}},"required":7,'
                    b'"additionalProperties":false}'
                ),
                False,
            ),
            (
                Raw(
                    b'{"type":"object","properties":{"a":7},"required":["a"],'
                    b'"additionalProperties":false}'
                ),
                False,
            ),
        ],
    )
    def test_strict_stays_where_the_schema_is(self, schema: Raw, kept: bool) -> None:
        body, losses = written(asked(tools=[Tool(name="f", schema=schema, strict=True)]))

        assert body["tools"][0]["strict"] is kept
        assert losses == ([] if kept else ["strict"])

    @pytest.mark.parametrize("schema", [b"[]", b'{"anyOf":[{"\xff":1}]}', b'{"\xff":1}', b"{"])
    def test_a_schema_that_is_none_is_refused(self, schema: bytes) -> None:
        with pytest.raises(InvalidRequest) as caught:
            written(asked(tools=[Tool(name="f", schema=Raw(schema), strict=True)]))
        assert caught.value.param == "tools"

    def test_what_is_no_alternative_is_left_out(self) -> None:
        schema = Raw(b'{"anyOf":7,"properties":[]}')
        body, _ = written(asked(tools=[Tool(name="f", schema=schema)]))

        assert body["tools"][0]["parameters"] == {"type": "object", "properties": {}}

    def test_what_stands_for_tools_that_are_not_loaded_is_left_out(self) -> None:
        body, losses = written(asked(tools=[TOOL, Tool(name="Placeholder", deferred=True)]))

        assert [tool["name"] for tool in body["tools"]] == ["f"]
        assert losses == ["deferred_tools"]

    def test_tools_stay_deferred_where_they_can_be_searched(self) -> None:
        search = ServerTool(
            dialect=Dialect.OPENAI_RESPONSES, kind="tool_search", raw=Raw(b'{"type":"tool_search"}')
        )
        deferred = Tool(name="f", schema=SCHEMA, deferred=True)
        body, losses = written(asked(tools=[deferred], server_tools=[search]))

        assert body["tools"][0]["defer_loading"] is True
        assert body["tools"][1] == {"type": "tool_search"}
        assert losses == []

    def test_no_tools_are_no_choice(self) -> None:
        """The vendor refuses an empty list, and a choice or parallel calls without tools."""
        request = asked(tools=[], tool_choice=ToolChoice(mode="auto"), parallel_tools=True)

        assert (
            written(request)[0].keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})
        )

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            (ToolChoice(mode="auto"), "auto"),
            (ToolChoice(mode="any"), "required"),
            (ToolChoice(mode="none"), "none"),
            (ToolChoice(mode="tool", name="f"), {"type": "function", "name": "f"}),
            (ToolChoice(mode="tool", name="p"), {"type": "custom", "name": "p"}),
            (
                ToolChoice(mode="tool", name=LONG),
                {"type": "function", "name": short_tool_name(LONG, 64)},
            ),
            (
                ToolChoice(mode="any", allowed=["f", "p"]),
                {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}],
                },
            ),
            (
                ToolChoice(mode="auto", allowed=["f"]),
                {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "f"}],
                },
            ),
        ],
    )
    def test_a_choice_is_said(self, choice: ToolChoice, expected: object) -> None:
        tools = [TOOL, Tool(name="p", custom=True)]

        assert expected == written(asked(tools=tools, tool_choice=choice))[0]["tool_choice"]

    def test_parallel_calls_may_be_forbidden(self) -> None:
        body, losses = written(asked(tools=[TOOL], parallel_tools=False))

        assert body["parallel_tool_calls"] is False
        assert losses == []

    def test_another_vendors_server_tools(self) -> None:
        foreign = ServerTool(dialect=Dialect.ANTHROPIC_MESSAGES, kind="web_search", raw=Raw(b"{}"))

        assert refused(asked(server_tools=[foreign])) == "tools"
        body, losses = written(asked(tools=[TOOL], server_tools=[foreign]))
        assert (len(body["tools"]), losses) == (1, ["server_tools"])

    def test_a_model_without_tools(self) -> None:
        assert refused(asked(tools=[TOOL]), target(tools=False)) == "tools"


class TestParts:
    @pytest.mark.parametrize(
        ("block", "expected", "losses"),
        [
            (
                Text(text="x", cache=CacheMark()),
                {"type": "input_text", "text": "x"},
                ["cache_control"],
            ),
            (Refusal(text="no"), {"type": "input_text", "text": "no"}, []),
            (
                Image(source=PNG),
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,AA==",
                    "detail": "auto",
                },
                [],
            ),
            (
                Image(source=Url(url="https://a"), detail="low"),
                {"type": "input_image", "image_url": "https://a", "detail": "low"},
                [],
            ),
            (
                Image(source=FileId(dialect=Dialect.OPENAI_RESPONSES, id="file-1")),
                {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                [],
            ),
            (
                Document(source=Data(media_type="application/pdf", base64="AA==")),
                {
                    "type": "input_file",
                    "file_data": "data:application/pdf;base64,AA==",
                    "filename": "document.pdf",
                },
                [],
            ),
            (
                Document(source=Data(media_type="text/csv", base64="AA==")),
                {
                    "type": "input_file",
                    "file_data": "data:text/csv;base64,AA==",
                    "filename": "document",
                },
                [],
            ),
            (
                Document(source=Url(url="https://a"), title="a.pdf"),
                {"type": "input_file", "file_url": "https://a", "filename": "a.pdf"},
                [],
            ),
            (
                Document(source=FileId(dialect=Dialect.OPENAI_RESPONSES, id="file-1")),
                {"type": "input_file", "file_id": "file-1"},
                [],
            ),
            (
                Document(text="words", title="Title"),
                {"type": "input_text", "text": "Title\n\nwords"},
                [],
            ),
            (
                Audio(source=Data(media_type="audio/mpeg", base64="AA==")),
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                [],
            ),
        ],
    )
    def test_a_block_is_a_part(
        self, block: Block, expected: dict[str, object], losses: list[str]
    ) -> None:
        body, lost = written(asked(block), target(audio=True))

        assert [expected] == body["input"][0]["content"]
        assert losses == lost

    @pytest.mark.parametrize(
        ("block", "capabilities"),
        [
            (Image(source=PNG), {"vision": False}),
            (Document(source=PNG), {"documents": False}),
            (Audio(source=Data(media_type="audio/wav", base64="")), {}),
            (Audio(source=Data(media_type="audio/ogg", base64="")), {"audio": True}),
            (Image(source=FileId(dialect=Dialect.GEMINI_GENERATE, id="f")), {}),
            (Document(source=FileId(dialect=Dialect.ANTHROPIC_MESSAGES, id="f")), {}),
        ],
    )
    def test_what_the_model_cannot_take_is_refused(
        self, block: Block, capabilities: dict[str, Any]
    ) -> None:
        assert refused(asked(block), target(**capabilities)) == "messages.0"

    def test_the_models_own_turns_hold_text_only(self) -> None:
        request = talk(("user", [Text(text="x")]), ("assistant", [Image(source=PNG)]))

        assert refused(request) == "messages.1"


def call(identifier: str = "call_1", **members: Any) -> ToolCall:
    return replace(ToolCall(id=identifier, name="f", arguments="{}"), **members)


def result(identifier: str = "call_1", *blocks: Any, **members: Any) -> ToolResult:
    return ToolResult(call_id=identifier, blocks=list(blocks) or [Text(text="x")], **members)


class TestConversation:
    def test_several_instructions_are_a_message(self) -> None:
        body, _ = written(asked(system=[Text(text="a"), Text(text="b")]))

        assert "instructions" not in body
        assert body["input"][0] == {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        }

    def test_what_is_for_anothers_accounts_is_left_out(self) -> None:
        billing = Text(text="x-anthropic-billing-header: cc_version=1; cc_entrypoint=cli;")
        request = Request(
            model="m",
            system=[billing, Text(text="a")],
            turns=[
                Turn(role="user", blocks=[Text(text="hi")]),
                Turn(role="system", blocks=[billing]),
            ],
        )
        body, losses = written(request)

        assert body["instructions"] == "a"
        assert len(body["input"]) == 1
        assert losses == []

    def test_instructions_stay_in_their_place(self) -> None:
        request = talk(
            ("user", [Text(text="a")]),
            ("system", [Text(text="b", cache=CacheMark())]),
            ("assistant", [Text(text="c", cache=CacheMark()), Refusal(text="d")]),
        )
        body, losses = written(request)

        assert [item["role"] for item in body["input"]] == ["user", "developer", "assistant"]
        assert body["input"][2]["content"] == [
            {"type": "output_text", "text": "c", "annotations": []},
            {"type": "refusal", "refusal": "d"},
        ]
        assert losses == ["cache_control"]

    def test_results_keep_their_pictures(self) -> None:
        request = talk(
            ("user", [Text(text="a")]),
            ("assistant", [call(cache=CacheMark())]),
            ("user", [result("call_1", Text(text="x"), Image(source=PNG)), Text(text="b")]),
        )
        body, losses = written(request)

        assert [item["type"] for item in body["input"]] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert [part["type"] for part in body["input"][2]["output"]] == [
            "input_text",
            "input_image",
        ]
        assert losses == ["cache_control"]

    @pytest.mark.parametrize(
        ("answer", "output"),
        [
            (result("call_1", is_error=True), "Error: x"),
            (result("call_1", cache=CacheMark()), "x"),
            (ToolResult(call_id="call_1", blocks=[]), ""),
            (
                result(
                    "call_1",
                    Opaque(
                        dialect=Dialect.ANTHROPIC_MESSAGES,
                        kind="tool_reference",
                        raw=Raw(b"{}"),
                    ),
                ),
                "",
            ),
            (
                result("call_1", Text(text="a"), Text(text="b"), is_error=True),
                [{"type": "input_text", "text": t} for t in ("Error: ", "a", "b")],
            ),
        ],
    )
    def test_a_result_is_an_output(self, answer: ToolResult, output: object) -> None:
        body, _ = written(
            talk(("user", [Text(text="a")]), ("assistant", [call()]), ("user", [answer]))
        )

        assert output == body["input"][-1]["output"]

    def test_free_text_calls_and_results_stay_pairs(self) -> None:
        """A result follows its call, whatever the client's dialect knew of it."""
        request = talk(
            ("user", [Text(text="a")]),
            ("assistant", [call(arguments="patch", custom=True)]),
            ("user", [result()]),
        )
        body, _ = written(request)

        assert body["input"][1:] == [
            {"type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": "patch"},
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "x"},
        ]

    def test_ids_that_do_not_fit_change_together(self) -> None:
        long = "id." * 40
        request = talk(
            ("user", [Text(text="a")]),
            ("assistant", [call(long, arguments="", name="a.b")]),
            ("user", [result(long)]),
        )
        body, _ = written(request)

        made, answered = body["input"][1:]
        assert made["call_id"] == answered["call_id"]
        assert len(made["call_id"]) <= 64
        assert ("{}", short_tool_name("a.b", 64)) == (made["arguments"], made["name"])

    def test_a_result_without_its_call_is_left_out(self) -> None:
        body, losses = written(talk(("user", [result("gone"), Text(text="a")])))

        assert [item["type"] for item in body["input"]] == ["message"]
        assert losses == ["orphans"]

    def test_a_call_without_a_result_is_answered(self) -> None:
        request = talk(
            ("user", [Text(text="a")]),
            ("assistant", [call("call_1"), call("call_2")]),
            ("user", [result("call_2"), Text(text="b")]),
        )
        body, losses = written(request)

        assert [(item["type"], item["call_id"]) for item in body["input"][1:-1]] == [
            ("function_call", "call_1"),
            ("function_call", "call_2"),
            ("function_call_output", "call_1"),
            ("function_call_output", "call_2"),
        ]
        assert body["input"][3]["output"] == "[no output]"
        assert losses == []

    def test_an_id_may_be_used_again(self) -> None:
        """Some dialects have no ids, and their readers count from nought in each answer."""
        request = talk(
            ("user", [Text(text="a")]),
            ("assistant", [call()]),
            ("user", [result()]),
            ("assistant", [call()]),
            ("user", [result()]),
        )
        body, losses = written(request)

        assert [item["type"] for item in body["input"][1:]] == [
            "function_call",
            "function_call_output",
        ] * 2
        assert losses == []

    @pytest.mark.parametrize(
        ("block", "profile", "items", "losses"),
        [
            (
                Thinking(text="hm", state=State(provider="openai", data="gAAA")),
                target(),
                [
                    {
                        "type": "reasoning",
                        "summary": [{"type": "summary_text", "text": "hm"}],
                        "encrypted_content": "gAAA",
                    }
                ],
                [],
            ),
            (
                Thinking(state=State(provider="openai", data="gAAA")),
                target(),
                [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}],
                [],
            ),
            (
                Thinking(state=State(provider="openai", data="gAAA")),
                target(provider="azure"),
                [],
                ["thinking"],
            ),
            (
                Thinking(state=State(provider="openai", data="gAAA")),
                target(reasoning="none"),
                [],
                ["thinking"],
            ),
            (
                Thinking(text="hm", state=State(provider="anthropic", data="sig")),
                target(),
                [],
                ["thinking"],
            ),
            (Thinking(text="hm"), target(), [], ["thinking"]),
            (
                Opaque(
                    dialect=Dialect.OPENAI_RESPONSES,
                    kind="web_search_call",
                    raw=Raw(b'{"type":"web_search_call"}'),
                ),
                target(),
                [{"type": "web_search_call"}],
                [],
            ),
            (
                Opaque(dialect=Dialect.ANTHROPIC_MESSAGES, kind="server_tool_use", raw=Raw(b"{}")),
                target(),
                [],
                ["extras"],
            ),
        ],
    )
    def test_what_only_its_vendor_understands(
        self, block: Block, profile: Profile, items: list[object], losses: list[str]
    ) -> None:
        request = talk(("user", [Text(text="a")]), ("assistant", [block, Text(text="b")]))
        body, lost = written(request, profile)

        assert items == body["input"][1:-1]
        assert losses == lost
