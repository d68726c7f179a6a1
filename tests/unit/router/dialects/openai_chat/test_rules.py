"""What a request asks for is said in Chat's words: one row a rule."""

import json
from typing import Any

import pytest
from msgspec import Raw

from aibridge_common.catalog import Capabilities
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    Block,
    CacheMark,
    Data,
    Document,
    Image,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
)
from aibridge_router.dialects.openai_chat.codec import CODEC

PIXEL = Data(media_type="image/png", base64="AAAA")
SCHEMA = Raw(b'{"type":"object","properties":{},"additionalProperties":false,"required":[]}')
LOOSE = Raw(b'{"type":"object","properties":{"a":{}}}')
TOOL = Tool(name="t", schema=SCHEMA)
CALL = ToolCall(id="call_1", name="t", arguments="{}")
PLAIN = Capabilities()
EFFORT = Capabilities(reasoning="effort", sampling=False, efforts=("none", "low", "high"))


def sent(capabilities: Capabilities = PLAIN, **asked: Any) -> tuple[Any, tuple[str, ...]]:
    asked.setdefault("turns", [Turn(role="user", blocks=[Text(text="hi")])])
    profile = Profile(
        provider="openai",
        upstream_model="m",
        context_tokens=1000,
        max_output_tokens=100,
        capabilities=capabilities,
    )
    losses = Losses()
    body = CODEC.request_to_wire(Request(model="m", **asked), profile, losses)
    return json.loads(body), losses.names


def turns(*results: Block) -> list[Turn]:
    return [
        Turn(role="user", blocks=[Text(text="hi")]),
        Turn(role="assistant", blocks=[CALL]),
        Turn(role="user", blocks=list(results)),
    ]


RESULT = ToolResult(call_id="call_1", blocks=[Text(text="21")])

SAID: list[tuple[dict[str, Any], Capabilities, str, Any, tuple[str, ...]]] = [
    ({"output_tokens_max": 50}, Capabilities(), "max_tokens", 50, ()),
    ({"output_tokens_max": 500}, Capabilities(), "max_tokens", 100, ()),
    ({"output_tokens_max": 50}, EFFORT, "max_completion_tokens", 50, ()),
    ({"sampling": Sampling(temperature=0.5)}, Capabilities(), "temperature", 0.5, ()),
    ({"sampling": Sampling(temperature=0.5)}, EFFORT, "temperature", None, ("sampling",)),
    ({"sampling": Sampling(top_k=3)}, Capabilities(), "top_k", None, ("top_k",)),
    ({"sampling": Sampling(seed=3)}, Capabilities(), "seed", 3, ()),
    ({"stop": ["a", "b"]}, Capabilities(), "stop", ["a", "b"], ()),
    ({"reasoning": Reasoning(effort="high")}, EFFORT, "reasoning_effort", "high", ()),
    ({"reasoning": Reasoning(effort="off")}, EFFORT, "reasoning_effort", "none", ()),
    ({"reasoning": Reasoning(budget_tokens=2048)}, EFFORT, "reasoning_effort", "low", ()),
    (
        {"reasoning": Reasoning(effort="high")},
        Capabilities(),
        "reasoning_effort",
        None,
        ("reasoning",),
    ),
    ({"session": "s"}, Capabilities(), "prompt_cache_key", "s", ()),
    ({"parallel_tools": False, "tools": [TOOL]}, Capabilities(), "parallel_tool_calls", False, ()),
    ({"parallel_tools": False}, Capabilities(), "parallel_tool_calls", None, ()),
    ({"tool_choice": ToolChoice(mode="any")}, Capabilities(), "tool_choice", None, ()),
    (
        {"tools": [TOOL], "tool_choice": ToolChoice(mode="any")},
        Capabilities(),
        "tool_choice",
        "required",
        (),
    ),
    (
        {"tools": [TOOL], "tool_choice": ToolChoice(mode="tool", name="t")},
        Capabilities(),
        "tool_choice",
        {"type": "function", "function": {"name": "t"}},
        (),
    ),
    ({"stream": True}, Capabilities(), "stream_options", {"include_usage": True}, ()),
    ({"drops": ["metadata"]}, Capabilities(), "metadata", None, ("metadata",)),
]


@pytest.mark.parametrize(("asked", "capabilities", "member", "value", "dropped"), SAID)
def test_a_member(
    asked: dict[str, Any],
    capabilities: Capabilities,
    member: str,
    value: Any,
    dropped: tuple[str, ...],
) -> None:
    body, losses = sent(capabilities, **asked)

    assert (body.get(member), losses) == (value, dropped)


class TestTools:
    def test_strict_is_kept_where_the_schema_is(self) -> None:
        body, losses = sent(tools=[Tool(name="t", schema=SCHEMA, strict=True)])

        assert (body["tools"][0]["function"]["strict"], losses) == (True, ())

    def test_strict_is_dropped_where_the_schema_is_loose(self) -> None:
        body, losses = sent(tools=[Tool(name="t", schema=LOOSE, strict=True)])

        assert ("strict" in body["tools"][0]["function"], losses) == (False, ("strict",))

    def test_a_long_name_is_shortened_the_same_way_in_call_and_declaration(self) -> None:
        name = "n" * 80
        call = ToolCall(id="call_1", name=name, arguments="{}")
        body, _ = sent(
            tools=[Tool(name=name, schema=SCHEMA)],
            turns=[
                Turn(role="user", blocks=[Text(text="hi")]),
                Turn(role="assistant", blocks=[call]),
                Turn(role="user", blocks=[RESULT]),
            ],
        )
        declared = body["tools"][0]["function"]["name"]

        assert len(declared) == 64
        assert body["messages"][1]["tool_calls"][0]["function"]["name"] == declared

    def test_a_free_text_tool_keeps_its_grammar(self) -> None:
        grammar = Raw(b'{"syntax":"lark","definition":"start: /x/"}')
        body, _ = sent(tools=[Tool(name="p", custom=True, grammar=grammar)])

        assert body["tools"][0]["custom"]["format"]["grammar"]["syntax"] == "lark"


class TestConversations:
    def test_results_come_first_and_pictures_of_results_follow(self) -> None:
        result = ToolResult(call_id="call_1", blocks=[Text(text="21"), Image(source=PIXEL)])
        body, _ = sent(turns=turns(result, Text(text="and?")))

        assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool", "user"]
        assert {p["type"] for p in body["messages"][3]["content"]} == {"text", "image_url"}

    def test_a_failed_result_says_so(self) -> None:
        failed = ToolResult(call_id="call_1", blocks=[Text(text="no")], is_error=True)
        body, _ = sent(turns=turns(failed))

        assert body["messages"][2]["content"] == "Error: no"

    def test_an_orphan_is_left_out(self) -> None:
        body, losses = sent(turns=turns(RESULT, ToolResult(call_id="call_9", blocks=[])))

        assert (len(body["messages"]), losses) == (3, ("orphans",))

    def test_a_call_that_was_never_answered_gets_an_empty_answer(self) -> None:
        body, _ = sent(turns=turns(Text(text="never mind")))

        assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool", "user"]

    def test_the_billing_header_is_stripped(self) -> None:
        header = Text(text="x-anthropic-billing-header: cc_version=1;")
        body, _ = sent(system=[header, Text(text="Be brief.")])

        assert "billing" not in json.dumps(body)
        assert "Be brief." in json.dumps(body["messages"][0])

    def test_thinking_and_cache_markers_are_left_out_by_name(self) -> None:
        _, losses = sent(
            turns=[
                Turn(role="user", blocks=[Text(text="hi", cache=CacheMark())]),
                Turn(role="assistant", blocks=[Thinking(text="hm"), Text(text="ho")]),
                Turn(role="user", blocks=[Text(text="go on")]),
            ]
        )

        assert set(losses) == {"thinking", "cache_control"}


@pytest.mark.parametrize(
    ("blocks", "capabilities"),
    [
        ([Image(source=PIXEL)], Capabilities(vision=False)),
        (
            [Document(source=Data(media_type="application/pdf", base64="AA"))],
            Capabilities(documents=False),
        ),
        ([Document(source=Url(url="https://example.com/a.pdf"))], Capabilities()),
        ([Audio(source=Data(media_type="audio/wav", base64="AA"))], Capabilities()),
    ],
)
def test_what_the_model_cannot_take_is_refused_by_place(
    blocks: list[Block], capabilities: Capabilities
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(capabilities, turns=[Turn(role="user", blocks=blocks)])

    assert (caught.value.param or "").startswith("messages.0")


def test_too_many_stop_sequences_and_foreign_needs_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as stop:
        sent(stop=["a", "b", "c", "d", "e"])
    with pytest.raises(InvalidRequest) as needs:
        sent(needs=["previous_response_id"])

    assert (stop.value.param, needs.value.param) == ("stop", "previous_response_id")


def test_json_by_schema_is_native_with_a_name() -> None:
    body, _ = sent(output_format=OutputFormat(schema=SCHEMA))

    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["name"] == "response"
