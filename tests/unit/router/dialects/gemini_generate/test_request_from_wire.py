"""What a Gemini client's body says, and where it is wrong."""

import json
from typing import Any

import pytest

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    Block,
    Data,
    Document,
    Image,
    Opaque,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.request import OutputFormat, Reasoning, Request, ToolChoice, Turn
from aibridge_router.canonical.state import pack
from aibridge_router.dialects.gemini_generate.codec import CODEC
from aibridge_router.dialects.gemini_generate.signature import packed_signature

ASKED = {"role": "user", "parts": [{"text": "hi"}]}


def read(**members: Any) -> Request:
    return CODEC.request_from_wire(json.dumps({"contents": [ASKED], **members}).encode())


def said(*parts: dict[str, Any]) -> list[Block]:
    """The blocks of one turn of the model."""
    return read(contents=[ASKED, {"role": "model", "parts": list(parts)}]).turns[1].blocks


def asked(*parts: dict[str, Any]) -> list[Block]:
    return read(contents=[{"role": "user", "parts": list(parts)}]).turns[0].blocks


def called(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **more}}


def answered(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, **more}}


PARTS: list[tuple[dict[str, Any], list[Block]]] = [
    ({"text": ""}, [Text(text="hi")]),
    ({"text": "a", "thought": True}, [Text(text="hi"), Text(text="a")]),
    (
        {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        [Text(text="hi"), Audio(source=Data(media_type="audio/wav", base64="UklG"))],
    ),
    (
        {"inlineData": {"mimeType": "text/plain", "data": "w7w", "displayName": "u.txt"}},
        [Text(text="hi"), Document(text="ü", title="u.txt")],
    ),
    (
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}},
        [Text(text="hi"), Image(source=Url(url="https://x/y.png"))],
    ),
    (
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/y.pdf"}},
        [Text(text="hi"), Document(source=Url(url="https://x/y.pdf"))],
    ),
]


@pytest.mark.parametrize(("part", "blocks"), PARTS)
def test_parts_of_the_user(part: dict[str, Any], blocks: list[Block]) -> None:
    assert blocks == asked({"text": "hi"}, part)


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/x.png"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"}},
        {"fileData": {"mimeType": "video/*", "fileUri": "https://www.youtube.com/watch?v=1"}},
    ],
)
def test_what_lives_at_google_or_moves_is_googles_alone(part: dict[str, Any]) -> None:
    request = read(contents={"parts": [{"text": "hi"}, part]})
    (kind,) = part

    assert request.needs == [f"contents.0.parts.1.{kind}"]
    assert request.extras == {Dialect.GEMINI_GENERATE: {}}
    (block,) = request.turns[0].blocks[1:]
    assert isinstance(block, Opaque)
    assert (block.kind, json.loads(bytes(block.raw))) == (kind, part)


class TestModel:
    def test_code_that_ran_there_is_opaque(self) -> None:
        (block,) = said({"executableCode": {"code": "x"}, "thoughtSignature": "c2ln"})

        assert isinstance(block, Opaque)
        assert block.kind == "executableCode"

    def test_pieces_of_a_streamed_answer_are_joined(self) -> None:
        """Each chunk may have become a content of its own."""
        pieces = [{"role": "model", "parts": [{"text": text}]} for text in ("a", "b", "")]

        assert read(contents=[ASKED, *pieces]).turns[1:] == [
            Turn(role="assistant", blocks=[Text(text="ab")])
        ]

    @pytest.mark.parametrize(
        "closing",
        [
            {"text": "", "thoughtSignature": "c2ln"},
            {"text": "", "thought": True, "thoughtSignature": "c2ln"},
            {"thoughtSignature": "c2ln"},
        ],
    )
    def test_a_bare_signature_closes_the_thoughts_before_it(self, closing: dict[str, Any]) -> None:
        state = State(provider="google", data="c2ln")

        assert said({"text": "a", "thought": True}, {"text": "b", "thought": True}, closing) == [
            Thinking(text="ab", state=state)
        ]
        assert said({"text": "a"}, closing) == [Text(text="a"), Thinking(state=state)]

    def test_a_signed_text_is_followed_by_its_state(self) -> None:
        assert said({"text": "a", "thought": True}, {"text": "b", "thoughtSignature": "c2ln"}) == [
            Thinking(text="a"),
            Text(text="b"),
            Thinking(state=State(provider="google", data="c2ln")),
        ]

    @pytest.mark.parametrize(
        "signature",
        [
            "skip_thought_signature_validator",
            "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
            "",
        ],
    )
    def test_what_stands_in_for_a_signature_is_none(self, signature: str) -> None:
        (call,) = said({**called(), "thoughtSignature": signature})

        assert call == ToolCall(id="call_0", name="f", arguments="{}")
        assert said({"text": "a", "thoughtSignature": signature}) == [Text(text="a")]

    @pytest.mark.parametrize("alphabet", ["+/", "-_"])
    def test_packed_state_comes_back(self, alphabet: str) -> None:
        """Google's client may give base64 back in the URL's alphabet and without padding."""
        state = State(provider="anthropic", data="Ep8C\u00ff??>>")
        signature = packed_signature(state).translate(str.maketrans("+/", alphabet))
        (thought,) = said({"text": "a", "thought": True, "thoughtSignature": signature.rstrip("=")})

        assert thought == Thinking(text="a", state=state)

    @pytest.mark.parametrize("signature", ["YWliMQ", "YWliM!!!", "YWliMf__"])
    def test_what_only_looks_packed_is_native(self, signature: str) -> None:
        (call,) = said({**called(), "thoughtSignature": signature})

        assert isinstance(call, ToolCall)
        assert call.state == State(provider="google", data=signature)

    def test_packing_is_the_hubs(self) -> None:
        assert pack(State(provider="p", data="d")).startswith("aib1.")


class TestResults:
    @pytest.mark.parametrize(
        ("response", "text", "is_error"),
        [
            ({"output": "x"}, "x", False),
            ({"result": "x"}, "x", False),
            ({"error": "x"}, "x", True),
            ({"error": {"code": 1}}, '{"code": 1}', True),
            ({"temperature": 20}, '{"temperature": 20}', False),
            ({"output": [1]}, "[1]", False),
            ({"a": 1, "output": "x"}, '{"a": 1, "output": "x"}', False),
        ],
    )
    def test_text_of_a_response(self, response: Any, text: str, *, is_error: bool) -> None:
        (block,) = asked(answered(id="x", response=response))

        assert block == ToolResult(call_id="x", blocks=[Text(text=text)], is_error=is_error)

    @pytest.mark.parametrize("response", [None, {}, {"output": ""}])
    def test_nothing_is_no_block(self, response: Any) -> None:
        (block,) = asked(answered(id="x", response=response))

        assert block == ToolResult(call_id="x", blocks=[])

    def test_pictures_inside(self) -> None:
        parts = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
        (block,) = asked(answered(id="x", response={"output": "see"}, parts=parts))

        assert isinstance(block, ToolResult)
        assert block.blocks[1] == Image(source=Data(media_type="image/png", base64="AAAA"))


class TestPairs:
    def ids(self, calls: list[dict[str, Any]], responses: list[dict[str, Any]]) -> Any:
        turns = read(
            contents=[
                ASKED,
                {"role": "model", "parts": calls},
                {"role": "function", "parts": responses},
            ]
        ).turns
        made = [block.id for block in turns[1].blocks if isinstance(block, ToolCall)]
        found = [block.call_id for block in turns[2].blocks if isinstance(block, ToolResult)]
        return made, found

    def test_by_id(self) -> None:
        calls = [called(id="a"), called(id="b")]

        assert self.ids(calls, [answered(id="b"), answered(id="a")]) == (["a", "b"], ["b", "a"])

    def test_by_name_and_order(self) -> None:
        calls = [called("f"), called("g"), called("f")]

        assert self.ids(calls, [answered("g"), answered("f"), answered("f")]) == (
            ["call_0", "call_1", "call_2"],
            ["call_1", "call_0", "call_2"],
        )

    def test_a_known_id_goes_before_a_name(self) -> None:
        assert self.ids([called(), called(id="a")], [answered(id="a"), answered(id="z")]) == (
            ["call_0", "a"],
            ["a", "call_0"],
        )

    def test_nobody_called(self) -> None:
        assert self.ids([called("f", id="a")], [answered("g"), answered("f", id="z")]) == (
            ["a"],
            ["call_none_g", "z"],
        )


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({}, None),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", allowed=["f"])),
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto")),
        (
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
            ToolChoice(mode="auto", allowed=["f"]),
        ),
        ({"mode": "ANY"}, ToolChoice(mode="any")),
        ({"mode": "ANY", "allowedFunctionNames": []}, ToolChoice(mode="any")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="tool", name="f")),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
            ToolChoice(mode="any", allowed=["f", "g"]),
        ),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
    ],
)
def test_tool_choices(config: dict[str, Any], choice: ToolChoice | None) -> None:
    assert choice == read(toolConfig={"functionCallingConfig": config}).tool_choice


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(effort="off")),
        ({"thinkingBudget": -1}, Reasoning(adaptive=True)),
        ({"thinkingBudget": 500, "includeThoughts": True}, Reasoning(budget_tokens=500, show=True)),
        ({"thinkingLevel": "low"}, Reasoning(effort="low")),
        ({"thinkingLevel": "XHIGH"}, Reasoning(effort="xhigh")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning()),
        ({"includeThoughts": False}, Reasoning(show=False)),
    ],
)
def test_reasoning(config: dict[str, Any], reasoning: Reasoning) -> None:
    assert reasoning == read(generationConfig={"thinkingConfig": config}).reasoning


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, OutputFormat()),
    ],
)
def test_forms(config: dict[str, Any], wanted: OutputFormat | None) -> None:
    request = read(generationConfig=config)

    assert (wanted, []) == (request.output_format, request.needs)


@pytest.mark.parametrize(
    ("config", "logprobs"),
    [({}, None), ({"responseLogprobs": True}, 0), ({"responseLogprobs": True, "logprobs": 3}, 3)],
)
def test_log_probabilities(config: dict[str, Any], logprobs: int | None) -> None:
    assert logprobs == read(generationConfig=config).logprobs


@pytest.mark.parametrize(
    ("members", "needs", "drops"),
    [
        ({"cachedContent": "cachedContents/1"}, ["cachedContent"], []),
        (
            {"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}},
            ["generationConfig.responseModalities"],
            [],
        ),
        (
            {"generationConfig": {"responseModalities": "AUDIO"}},
            ["generationConfig.responseModalities"],
            [],
        ),
        ({"generationConfig": {"responseModalities": ["TEXT"]}}, [], []),
        ({"generationConfig": {"speechConfig": {}}}, ["generationConfig.speechConfig"], []),
        (
            {"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {}}},
            ["generationConfig.responseMimeType"],
            [],
        ),
        ({"safetySettings": []}, [], ["safety_settings"]),
        ({"serviceTier": "flex", "labels": {}}, [], ["metadata", "service_tier"]),
        ({"generationConfig": {"mediaResolution": "LOW"}}, [], ["image_detail"]),
        ({"somethingNew": 1, "toolConfig": {"retrievalConfig": {}}}, [], ["extras"]),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}]},
            [],
            ["extras"],
        ),
        ({"model": "models/x", "safetySettings": None, "generationConfig": None}, [], []),
    ],
)
def test_what_is_googles_alone(members: dict[str, Any], needs: list[str], drops: list[str]) -> None:
    request = read(**members)

    assert (needs, drops) == (request.needs, request.drops)
    assert (Dialect.GEMINI_GENERATE in request.extras) is bool(needs or drops or request.extras)


def test_empty_instructions_are_none() -> None:
    assert read(systemInstruction={"parts": [{"text": ""}]}).system == []
    assert read(systemInstruction={}).system == []


def test_schemas_that_are_not_objects_pass() -> None:
    """Google's schema may hold nonsense; it is the vendor's to refuse."""
    declared = {"name": "f", "parameters": {"anyOf": 1, "items": 2, "type": 3, "minItems": "x"}}
    (tool,) = read(tools=[{"functionDeclarations": [declared]}]).tools

    assert json.loads(bytes(tool.schema or b"")) == declared["parameters"]


def test_nullable_enums_take_null() -> None:
    schema = {"type": "TYPE_UNSPECIFIED", "enum": ["a"], "nullable": True}
    (tool,) = read(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}]).tools

    assert json.loads(bytes(tool.schema or b"")) == {"enum": ["a", None]}


WRONG: list[tuple[str | None, Any]] = [
    (None, []),
    ("contents", {}),
    ("contents", {"contents": []}),
    ("contents", {"contents": [{"parts": [{"text": ""}]}]}),
    ("contents.0.role", {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
    ("contents.0.parts.0.text", {"contents": [{"parts": [{"text": 1}]}]}),
    ("contents.0.parts.0", {"contents": [{"parts": [{}]}]}),
    ("contents.0.parts.0", {"contents": [{"parts": [{"thought": True}]}]}),
    (
        "contents.0.parts.0.inlineData.data",
        {"contents": [{"parts": [{"inlineData": {"mimeType": "a/b"}}]}]},
    ),
    (
        "contents.0.parts.0.inlineData.mimeType",
        {"contents": [{"parts": [{"inlineData": {"data": ""}}]}]},
    ),
    (
        "contents.0.parts.0.inlineData.data",
        {"contents": [{"parts": [{"inlineData": {"mimeType": "text/plain", "data": "?"}}]}]},
    ),
    ("contents.0.parts.0.fileData.fileUri", {"contents": [{"parts": [{"fileData": {}}]}]}),
    (
        "contents.1.parts.0.functionCall.name",
        {"contents": [ASKED, {"role": "model", "parts": [{"functionCall": {}}]}]},
    ),
    (
        "contents.1.parts.0.functionCall.args",
        {"contents": [ASKED, {"role": "model", "parts": [called(args=[])]}]},
    ),
    (
        "contents.0.parts.0.functionResponse.response",
        {"contents": [{"parts": [answered(response=1)]}]},
    ),
    (
        "contents.0.parts.0.functionResponse.parts.0",
        {"contents": [{"parts": [answered(parts=[{}])]}]},
    ),
    (
        "contents.0.parts.0.functionResponse.parts.0.inlineData.data",
        {"contents": [{"parts": [answered(parts=[{"inlineData": {"mimeType": "image/png"}}])]}]},
    ),
    ("systemInstruction.parts.0.text", {"contents": [ASKED], "systemInstruction": {"parts": [{}]}}),
    (
        "tools.0.functionDeclarations.0.name",
        {"contents": [ASKED], "tools": [{"functionDeclarations": [{}]}]},
    ),
    (
        "toolConfig.functionCallingConfig.mode",
        {"contents": [ASKED], "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
    ),
    (
        "generationConfig.maxOutputTokens",
        {"contents": [ASKED], "generationConfig": {"maxOutputTokens": -1}},
    ),
    (
        "generationConfig.thinkingConfig.thinkingLevel",
        {"contents": [ASKED], "generationConfig": {"thinkingConfig": {"thinkingLevel": "A LOT"}}},
    ),
    (
        "generationConfig.thinkingConfig",
        {
            "contents": [ASKED],
            "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}},
        },
    ),
]


@pytest.mark.parametrize(("param", "body"), WRONG)
def test_what_is_wrong_is_named(param: str | None, body: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.request_from_wire(json.dumps(body).encode())

    assert param == caught.value.param


@pytest.mark.parametrize("body", [b"", b"{", b'{"contents":"\xff"}', b'{"max_tokens_type":{"a":}}'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.request_from_wire(body)
