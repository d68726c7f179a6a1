"""What a request becomes for a Gemini: one row a rule."""

import hashlib
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from aibridge_common.dialect import Dialect
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
from aibridge_router.dialects.gemini_generate.codec import CODEC

PNG = Data(media_type="image/png", base64="AAAA")
PDF = Data(media_type="application/pdf", base64="JVBERi0=")
SCHEMA = Raw(b'{"type":"object","properties":{"a":{"const":1}}}')
FREE_TEXT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
MARK = CacheMark()
DIGEST = hashlib.sha1(b"n" * 200, usedforsecurity=False).hexdigest()[:8]
GEMINI_2 = Capabilities()
GEMINI_25 = Capabilities(reasoning="budget", efforts=("off", "low", "medium", "high"), audio=True)
GEMINI_3 = Capabilities(reasoning="level", efforts=("minimal", "low", "high"), stop_max=5)
NATIVE = State(provider="google", data="c2ln")
FOREIGN = State(provider="openai", data="gAAA")


def user(*blocks: Block) -> Turn:
    return Turn(role="user", blocks=list(blocks))


def model(*blocks: Block) -> Turn:
    return Turn(role="assistant", blocks=list(blocks))


def system(*blocks: Block) -> Turn:
    return Turn(role="system", blocks=list(blocks))


def call(identifier: str = "c1", **more: Any) -> ToolCall:
    return ToolCall(id=identifier, name=more.pop("name", "f"), arguments="{}", **more)


def result(
    identifier: str = "c1", *blocks: Text | Image | Document | Opaque, **more: Any
) -> ToolResult:
    return ToolResult(call_id=identifier, blocks=list(blocks), **more)


HELLO = user(Text(text="hi"))


def written(
    request: Request, capabilities: Capabilities = GEMINI_2
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body, and the names of what was left out."""
    profile = Profile(
        provider="google",
        upstream_model="gemini-x",
        context_tokens=1_000_000,
        max_output_tokens=8192,
        capabilities=capabilities,
    )
    losses = Losses()
    body = msgspec.json.decode(CODEC.request_to_wire(request, profile, losses))
    return body, losses.names


def asking(**more: Any) -> Request:
    return Request(model="gemini-x", turns=more.pop("turns", [HELLO]), **more)


def contents(turns: list[Turn], capabilities: Capabilities = GEMINI_2) -> list[Any]:
    return written(asking(turns=turns), capabilities)[0]["contents"]


def content(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def called(identifier: str = "c1", name: str = "f", **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}, "id": identifier}, **more}


def answered(identifier: str, name: str = "f", **response: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": response, "id": identifier}}


SAYS_HI = content("user", {"text": "hi"})

CONFIG = [
    ("a cap is clamped", {"output_tokens_max": 99_999}, {"maxOutputTokens": 8192}, ()),
    ("no cap is no cap", {}, None, ()),
    ("stop sequences", {"stop": ["a", "", "b"]}, {"stopSequences": ["a", "b"]}, ()),
    (
        "all sampling has words",
        {
            "sampling": Sampling(
                temperature=0.5,
                top_p=0.9,
                top_k=40,
                seed=3,
                presence_penalty=0.1,
                frequency_penalty=0.2,
            )
        },
        {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40,
            "seed": 3,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
        },
        (),
    ),
    ("verbosity is dropped", {"verbosity": "low"}, None, ("verbosity",)),
    ("an end user is not named", {"user": "u1"}, None, ("metadata",)),
    ("a session is not sent", {"session": "s1"}, None, ()),
    ("drops of other dialects are named", {"drops": ["logit_bias"]}, None, ("logit_bias",)),
    (
        "extras of other dialects are dropped",
        {"extras": {Dialect.OPENAI_CHAT: {"x": Raw(b"1")}}},
        None,
        ("extras",),
    ),
    ("no other extras, no loss", {"extras": {Dialect.OPENAI_CHAT: {}}}, None, ()),
    (
        "JSON without a schema",
        {"output_format": OutputFormat()},
        {"responseMimeType": "application/json"},
        (),
    ),
    (
        "a schema stays JSON Schema",
        {"output_format": OutputFormat(schema=SCHEMA, name="n", strict=True)},
        {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object", "properties": {"a": {"const": 1}}},
        },
        (),
    ),
]


@pytest.mark.parametrize(("_rule", "given", "config", "drops"), CONFIG, ids=[r[0] for r in CONFIG])
def test_settings(_rule: str, given: dict[str, Any], config: Any, drops: tuple[str, ...]) -> None:
    body, names = written(asking(**given))

    assert (config, drops) == (body.get("generationConfig"), names)


def test_a_model_that_fixes_its_sampling_keeps_the_seed() -> None:
    request = asking(sampling=Sampling(temperature=1, seed=3))
    body, names = written(request, Capabilities(sampling=False))

    assert (body["generationConfig"], names) == ({"seed": 3}, ("sampling",))


REASONING = [
    # capabilities, asked, thinkingConfig, drops
    (GEMINI_2, Reasoning(effort="high"), None, ("reasoning",)),
    (GEMINI_2, Reasoning(effort="off"), None, ()),
    (GEMINI_25, Reasoning(effort="off"), {"thinkingBudget": 0}, ()),
    (Capabilities(reasoning="budget"), Reasoning(effort="off"), {"thinkingBudget": 128}, ()),
    (GEMINI_25, Reasoning(effort="minimal"), {"thinkingBudget": 512}, ()),
    (GEMINI_25, Reasoning(effort="low"), {"thinkingBudget": 1024}, ()),
    (GEMINI_25, Reasoning(effort="medium"), {"thinkingBudget": 8192}, ()),
    (GEMINI_25, Reasoning(effort="high"), {"thinkingBudget": 24576}, ()),
    (GEMINI_25, Reasoning(effort="xhigh"), {"thinkingBudget": -1}, ()),
    (GEMINI_25, Reasoning(effort="max"), {"thinkingBudget": -1}, ()),
    (GEMINI_25, Reasoning(budget_tokens=5000), {"thinkingBudget": 5000}, ()),
    (GEMINI_25, Reasoning(budget_tokens=127_999), {"thinkingBudget": -1}, ()),
    (GEMINI_25, Reasoning(adaptive=True), {"thinkingBudget": -1}, ()),
    (GEMINI_25, Reasoning(show=True), {"includeThoughts": True}, ()),
    (GEMINI_3, Reasoning(effort="off"), {"thinkingLevel": "MINIMAL"}, ()),
    (GEMINI_3, Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL"}, ()),
    (GEMINI_3, Reasoning(effort="low"), {"thinkingLevel": "LOW"}, ()),
    (GEMINI_3, Reasoning(effort="medium"), {"thinkingLevel": "HIGH"}, ()),
    (GEMINI_3, Reasoning(effort="high"), {"thinkingLevel": "HIGH"}, ()),
    (GEMINI_3, Reasoning(effort="max"), {"thinkingLevel": "HIGH"}, ()),
    (GEMINI_3, Reasoning(budget_tokens=1024), {"thinkingLevel": "MINIMAL"}, ()),
    (GEMINI_3, Reasoning(budget_tokens=2048), {"thinkingLevel": "LOW"}, ()),
    (GEMINI_3, Reasoning(budget_tokens=99_999), {"thinkingLevel": "HIGH"}, ()),
    (
        Capabilities(reasoning="level", efforts=("low",)),
        Reasoning(effort="high"),
        {"thinkingLevel": "LOW"},
        (),
    ),
    (GEMINI_3, Reasoning(adaptive=True), None, ()),
    (
        GEMINI_3,
        Reasoning(effort="low", budget_tokens=9000, show=False),
        {"thinkingLevel": "LOW", "includeThoughts": False},
        (),
    ),
]


@pytest.mark.parametrize(("capabilities", "asked", "config", "drops"), REASONING)
def test_reasoning(
    capabilities: Capabilities, asked: Reasoning, config: Any, drops: tuple[str, ...]
) -> None:
    body, names = written(asking(reasoning=asked), capabilities)

    assert (config, drops) == (body.get("generationConfig", {}).get("thinkingConfig"), names)


CONVERSATIONS: list[tuple[str, list[Turn], list[Any], tuple[str, ...]]] = [
    (
        "users in a row are one content",
        [HELLO, user(Text(text="again"))],
        [content("user", {"text": "hi"}, {"text": "again"})],
        (),
    ),
    (
        "what the model said in a row is one content",
        [HELLO, model(Text(text="a")), model(Refusal(text="no"))],
        [SAYS_HI, content("model", {"text": "a"}, {"text": "no"})],
        (),
    ),
    (
        "the model never begins",
        [model(Text(text="a")), HELLO],
        [content("user", {"text": "."}), content("model", {"text": "a"}), SAYS_HI],
        (),
    ),
    ("nothing said is a stand-in", [user(Text(text=""))], [content("user", {"text": "."})], ()),
    (
        "empty texts and turns are left out",
        [user(Text(text=""), Text(text="hi")), model(Text(text="")), user(Text(text="x"))],
        [content("user", {"text": "hi"}, {"text": "x"})],
        (),
    ),
    (
        "a turn of nothing does not part what the model said",
        [HELLO, model(Text(text="a")), user(Text(text="")), model(call()), user(result())],
        [
            SAYS_HI,
            content("model", {"text": "a"}, called()),
            content("user", answered("c1", output="")),
        ],
        (),
    ),
    (
        "a system turn inside the conversation is the user's",
        [HELLO, model(Text(text="a")), system(Text(text="mind")), user(Text(text="b"))],
        [
            SAYS_HI,
            content("model", {"text": "a"}),
            content("user", {"text": "mind"}, {"text": "b"}),
        ],
        (),
    ),
    (
        "results are one content in the order of the calls, and what else was said follows",
        [
            HELLO,
            model(call("a"), call("b", name="g")),
            user(Text(text="so"), result("b", Text(text="2")), result("a", Text(text="1"))),
        ],
        [
            SAYS_HI,
            content("model", called("a"), called("b", "g")),
            content("user", answered("a", output="1"), answered("b", "g", output="2")),
            content("user", {"text": "so"}),
        ],
        (),
    ),
    (
        "an unanswered call is answered",
        [HELLO, model(call("a"), call("b")), user(result("b", Text(text="2")))],
        [
            SAYS_HI,
            content("model", called("a"), called("b")),
            content("user", answered("a", output="[no output]"), answered("b", output="2")),
        ],
        (),
    ),
    (
        "calls at the very end are answered",
        [HELLO, model(call("a"))],
        [
            SAYS_HI,
            content("model", called("a")),
            content("user", answered("a", output="[no output]")),
        ],
        (),
    ),
    (
        "a result without its call is left out",
        [user(result("z", Text(text="2")), Text(text="hi"))],
        [SAYS_HI],
        ("orphans",),
    ),
    (
        "an error is named so",
        [HELLO, model(call()), user(result("c1", Text(text="bad"), is_error=True))],
        [SAYS_HI, content("model", called()), content("user", answered("c1", error="bad"))],
        (),
    ),
    (
        "texts of a result are lines",
        [HELLO, model(call()), user(result("c1", Text(text="a"), Document(text="b", title="T")))],
        [SAYS_HI, content("model", called()), content("user", answered("c1", output="a\nT\n\nb"))],
        (),
    ),
    (
        "a loaded tool is named",
        [
            HELLO,
            model(call()),
            user(
                result(
                    "c1",
                    Opaque(
                        dialect=Dialect.ANTHROPIC_MESSAGES,
                        kind="tool_reference",
                        raw=Raw(b'{"type":"tool_reference","tool_name":"X"}'),
                    ),
                )
            ),
        ],
        [
            SAYS_HI,
            content("model", called()),
            content("user", answered("c1", output="Tool loaded: X")),
        ],
        (),
    ),
    (
        "what no result can hold is left out",
        [
            HELLO,
            model(call()),
            user(
                result(
                    "c1",
                    Opaque(
                        dialect=Dialect.ANTHROPIC_MESSAGES, kind="tool_reference", raw=Raw(b"{}")
                    ),
                    Opaque(
                        dialect=Dialect.ANTHROPIC_MESSAGES, kind="search_result", raw=Raw(b"{}")
                    ),
                )
            ),
        ],
        [SAYS_HI, content("model", called()), content("user", answered("c1", output=""))],
        ("extras",),
    ),
    (
        "what only another dialect knows is left out",
        [
            user(
                Text(text="hi"),
                Opaque(dialect=Dialect.ANTHROPIC_MESSAGES, kind="search_result", raw=Raw(b"{}")),
            )
        ],
        [SAYS_HI],
        ("extras",),
    ),
    (
        "cache marks are left out",
        [
            user(Text(text="hi", cache=MARK)),
            model(call(cache=MARK)),
            user(result("c1", cache=MARK)),
        ],
        [SAYS_HI, content("model", called()), content("user", answered("c1", output=""))],
        ("cache_control",),
    ),
    (
        "foreign and unsigned thoughts are left out",
        [HELLO, model(Thinking(text="t", state=FOREIGN), Thinking(text="u"), Text(text="a"))],
        [SAYS_HI, content("model", {"text": "a"})],
        ("thinking",),
    ),
    (
        "native thoughts go back",
        [HELLO, model(Thinking(text="t", state=NATIVE), Text(text="a"), Thinking(state=NATIVE))],
        [
            SAYS_HI,
            content(
                "model",
                {"text": "t", "thought": True, "thoughtSignature": "c2ln"},
                {"text": "a"},
                {"text": "", "thoughtSignature": "c2ln"},
            ),
        ],
        (),
    ),
    (
        "a bare signature is the following call's",
        [HELLO, model(Thinking(state=NATIVE), call()), user(result())],
        [
            SAYS_HI,
            content("model", called(thoughtSignature="c2ln")),
            content("user", answered("c1", output="")),
        ],
        (),
    ),
    (
        "pictures, papers and plain text",
        [
            user(
                Image(source=PNG, detail="high"),
                Document(source=PDF),
                Document(text="body", title="T"),
                Document(),
                Image(source=FileId(dialect=Dialect.GEMINI_GENERATE, id="files/1")),
            )
        ],
        [
            content(
                "user",
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
                {"text": "T\n\nbody"},
                {"fileData": {"fileUri": "files/1"}},
            )
        ],
        ("image_detail",),
    ),
    (
        "pictures of results follow for older models",
        [HELLO, model(call()), user(result("c1", Text(text="see"), Image(source=PNG)))],
        [
            SAYS_HI,
            content("model", called()),
            content("user", answered("c1", output="see")),
            content("user", {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        ],
        (),
    ),
    (
        "free text is one argument",
        [
            HELLO,
            model(ToolCall(id="c1", name="patch", arguments="*** Begin", custom=True)),
            user(result("c1", Text(text="ok"), custom=True)),
        ],
        [
            SAYS_HI,
            content(
                "model",
                {"functionCall": {"name": "patch", "args": {"input": "*** Begin"}, "id": "c1"}},
            ),
            content("user", answered("c1", "patch", output="ok")),
        ],
        (),
    ),
    (
        "no arguments are an empty object",
        [HELLO, model(ToolCall(id="c1", name="9lives", arguments=" ")), user(result())],
        [
            SAYS_HI,
            content("model", called(name="_9lives")),
            content("user", answered("c1", "_9lives", output="")),
        ],
        (),
    ),
    (
        "results and calls on the wrong side are left out",
        [user(Text(text="hi"), call()), model(result(), Text(text="a"))],
        [SAYS_HI, content("model", {"text": "a"})],
        ("extras", "orphans"),
    ),
]


@pytest.mark.parametrize(
    ("_rule", "turns", "expected", "drops"), CONVERSATIONS, ids=[row[0] for row in CONVERSATIONS]
)
def test_conversations(
    _rule: str, turns: list[Turn], expected: list[Any], drops: tuple[str, ...]
) -> None:
    body, names = written(asking(turns=turns))

    assert (expected, drops) == (body["contents"], names)


class TestGemini3:
    def test_the_first_call_of_a_step_is_signed_or_excused(self) -> None:
        turns = [
            HELLO,
            model(call("a", state=FOREIGN), call("b")),
            user(result("a"), result("b")),
            model(call("c", state=NATIVE)),
            user(result("c")),
        ]
        found = [c["parts"][0] for c in contents(turns, GEMINI_3) if c["role"] == "model"]
        second = contents(turns, GEMINI_3)[1]["parts"][1]

        assert [part["thoughtSignature"] for part in found] == [
            "skip_thought_signature_validator",
            "c2ln",
        ]
        assert "thoughtSignature" not in second

    def test_pictures_stand_inside_their_result(self) -> None:
        turns = [HELLO, model(call()), user(result("c1", Image(source=PNG)))]
        response = contents(turns, GEMINI_3)[2]["parts"][0]["functionResponse"]

        assert response["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]

    def test_a_form_may_stand_beside_tools(self) -> None:
        request = asking(tools=[Tool(name="f")], output_format=OutputFormat(schema=SCHEMA))
        body, names = written(request, GEMINI_3)

        assert "responseJsonSchema" in body["generationConfig"]
        assert names == ()


class TestSystem:
    def test_blocks_are_parts_without_the_billing_line(self) -> None:
        request = asking(
            system=[
                Text(text="x-anthropic-billing-header: cc_version=1;"),
                Text(text="You are", cache=MARK),
                Text(text=""),
            ]
        )
        body, names = written(request)

        assert body["systemInstruction"] == {"parts": [{"text": "You are"}]}
        assert names == ("cache_control",)

    def test_a_leading_system_turn_joins_it(self) -> None:
        body, _ = written(asking(turns=[system(Text(text="s")), HELLO]))

        assert body["systemInstruction"] == {"parts": [{"text": "s"}]}
        assert body["contents"] == [SAYS_HI]


class TestForm:
    @pytest.mark.parametrize("structured", ["tool", "json_only"])
    def test_a_schema_that_cannot_be_forced_is_asked_for(self, structured: Any) -> None:
        request = asking(output_format=OutputFormat(schema=SCHEMA))
        body, names = written(request, Capabilities(structured=structured))

        assert body["generationConfig"] == {"responseMimeType": "application/json"}
        assert bytes(SCHEMA).decode() in body["systemInstruction"]["parts"][0]["text"]
        assert names == ("output_format",)

    @pytest.mark.parametrize("schema", [None, SCHEMA])
    def test_beside_tools_it_is_asked_for(self, schema: Raw | None) -> None:
        """Models before Gemini 3 refuse the mime type there."""
        request = asking(tools=[Tool(name="f")], output_format=OutputFormat(schema=schema))
        body, names = written(request)

        assert "generationConfig" not in body
        assert body["systemInstruction"]["parts"][0]["text"].startswith("Answer with one JSON")
        assert names == ("output_format",)


TOOLS = [
    (
        "a function",
        {"tools": [Tool(name="f", description="d", schema=SCHEMA, strict=False)]},
        [
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "description": "d",
                        "parametersJsonSchema": {
                            "type": "object",
                            "properties": {"a": {"const": 1}},
                        },
                    }
                ]
            }
        ],
        (),
    ),
    ("no tools is nothing at all", {"tools": [], "tool_choice": ToolChoice(mode="any")}, None, ()),
    (
        "strictness, markers and the lack of parallel calls",
        {"tools": [Tool(name="f", strict=True, cache=MARK)], "parallel_tools": False},
        [{"functionDeclarations": [{"name": "f"}]}],
        ("cache_control", "strict", "parallel_tool_calls"),
    ),
    (
        "deferred tools are sent, a placeholder is not",
        {
            "tools": [
                Tool(name="f", schema=Raw(b"{}"), deferred=True),
                Tool(name="p", deferred=True),
            ]
        },
        [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {}}]}],
        ("deferred_tools",),
    ),
    (
        "a long name is shortened",
        {"tools": [Tool(name="n" * 200)]},
        [{"functionDeclarations": [{"name": "n" * 119 + f"_{DIGEST}"}]}],
        (),
    ),
    (
        "free text with a grammar",
        {
            "tools": [
                Tool(name="p", description="Patch.", custom=True, grammar=Raw(b'{"syntax":"lark"}'))
            ]
        },
        [
            {
                "functionDeclarations": [
                    {
                        "name": "p",
                        "description": 'Patch.\n\n`input` must follow this grammar: {"syntax":"lark"}',
                        "parametersJsonSchema": FREE_TEXT,
                    }
                ]
            }
        ],
        (),
    ),
    (
        "free text that says nothing",
        {"tools": [Tool(name="p", custom=True, grammar=Raw(b""))]},
        [
            {
                "functionDeclarations": [
                    {
                        "name": "p",
                        "description": "Takes free text in `input`.",
                        "parametersJsonSchema": FREE_TEXT,
                    }
                ]
            }
        ],
        (),
    ),
    (
        "another vendor's server tool beside others",
        {
            "tools": [Tool(name="f")],
            "server_tools": [
                ServerTool(dialect=Dialect.ANTHROPIC_MESSAGES, kind="web_search", raw=Raw(b"{}"))
            ],
        },
        [{"functionDeclarations": [{"name": "f"}]}],
        ("server_tools",),
    ),
    (
        "its own server tool alone",
        {
            "server_tools": [
                ServerTool(
                    dialect=Dialect.GEMINI_GENERATE, kind="x", raw=Raw(b'{"googleSearch":{}}')
                )
            ]
        },
        [{"googleSearch": {}}],
        (),
    ),
]


@pytest.mark.parametrize(("_rule", "given", "expected", "drops"), TOOLS, ids=[r[0] for r in TOOLS])
def test_tools(_rule: str, given: dict[str, Any], expected: Any, drops: tuple[str, ...]) -> None:
    body, names = written(asking(**given))

    assert (expected, drops) == (body.get("tools"), names)
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="any"), {"mode": "ANY"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="none", allowed=["f"]), {"mode": "NONE"}),
        (ToolChoice(mode="tool", name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="any", allowed=["f"]), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            ToolChoice(mode="auto", allowed=["f"]),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, config: dict[str, Any]) -> None:
    body, _ = written(asking(tools=[Tool(name="f")], tool_choice=choice))

    assert body["toolConfig"] == {"functionCallingConfig": config}


CANNOT: list[tuple[str, dict[str, Any], Capabilities]] = [
    ("n", {"choices": 2}, GEMINI_2),
    ("logprobs", {"logprobs": 0}, GEMINI_2),
    ("stop", {"stop": list("abcde")}, GEMINI_2),
    ("image_url", {"turns": [user(Image(source=Url(url="https://x")))]}, GEMINI_2),
    ("file", {"turns": [user(Document(source=Url(url="https://x")))]}, GEMINI_2),
    (
        "file",
        {"turns": [user(Image(source=FileId(dialect=Dialect.OPENAI_CHAT, id="file-1")))]},
        GEMINI_2,
    ),
    ("vision", {"turns": [user(Image(source=PNG))]}, Capabilities(vision=False)),
    ("documents", {"turns": [user(Document(source=PDF))]}, Capabilities(documents=False)),
    ("audio", {"turns": [user(Audio(source=PNG))]}, GEMINI_2),
    ("tools", {"tools": [Tool(name="f")]}, Capabilities(tools=False)),
    (
        "server_tools",
        {"server_tools": [ServerTool(dialect=Dialect.OPENAI_RESPONSES, kind="x", raw=Raw(b"{}"))]},
        GEMINI_2,
    ),
    ("container", {"needs": ["container"]}, GEMINI_2),
    ("messages", {"turns": [HELLO, model(Text(text="a"))]}, Capabilities(prefill=False)),
    (
        "arguments",
        {"turns": [HELLO, model(ToolCall(id="a", name="f", arguments="{oops"))]},
        GEMINI_2,
    ),
    ("arguments", {"turns": [HELLO, model(ToolCall(id="a", name="f", arguments="[1]"))]}, GEMINI_2),
]


@pytest.mark.parametrize(("param", "given", "capabilities"), CANNOT)
def test_what_cannot_be_said_is_named(
    param: str, given: dict[str, Any], capabilities: Capabilities
) -> None:
    with pytest.raises(CannotSay) as caught:
        written(asking(**given), capabilities)

    assert param == caught.value.param


def test_sound_goes_to_a_model_that_hears() -> None:
    turns = [user(Audio(source=Data(media_type="audio/wav", base64="UklG")))]
    (said,) = contents(turns, GEMINI_25)[0]["parts"]

    assert said == {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}}


def test_its_own_members_go_back() -> None:
    own = {
        "safetySettings": Raw(b"[]"),
        "generationConfig.mediaResolution": Raw(b'"LOW"'),
        "cachedContent": Raw(b'"cachedContents/1"'),
    }
    request = asking(
        extras={Dialect.GEMINI_GENERATE: own},
        needs=["cachedContent"],
        drops=["safety_settings"],
        output_tokens_max=5,
    )
    body, names = written(request)

    assert body["generationConfig"] == {"maxOutputTokens": 5, "mediaResolution": "LOW"}
    assert (body["safetySettings"], body["cachedContent"]) == ([], "cachedContents/1")
    assert names == ()
