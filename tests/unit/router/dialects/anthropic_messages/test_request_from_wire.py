"""What each member of a Messages request means to the hub."""

from typing import Any

import pytest
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Block,
    CacheMark,
    Data,
    Document,
    FileId,
    Image,
    Opaque,
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
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from aibridge_router.canonical.state import pack
from tests.unit.router.dialects.anthropic_messages.asking import read, read_blocks, system, user

MESSAGES = Dialect.ANTHROPIC_MESSAGES
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
RAW_SCHEMA = Raw(b'{"type":"object","properties":{}}')
FORMAT = {"type": "json_schema", "schema": SCHEMA}
HOUR = {"type": "ephemeral", "ttl": "1h"}

MEMBERS: list[tuple[dict[str, Any], str, Any]] = [
    ({"max_tokens": 7}, "output_tokens_max", 7),
    ({"stream": True}, "stream", True),
    ({"stream": None}, "stream", False),
    ({"system": "Be brief."}, "system", [Text(text="Be brief.")]),
    (
        {"system": [{"type": "text", "text": "A", "cache_control": HOUR}]},
        "system",
        [Text(text="A", cache=CacheMark(lifetime="1h"))],
    ),
    (
        {"temperature": 1, "top_p": 0.5, "top_k": 9},
        "sampling",
        Sampling(temperature=1.0, top_p=0.5, top_k=9),
    ),
    ({"stop_sequences": ["END"]}, "stop", ["END"]),
    ({"tool_choice": {"type": "any"}}, "tool_choice", ToolChoice(mode="any")),
    (
        {"tool_choice": {"type": "tool", "name": "f"}},
        "tool_choice",
        ToolChoice(mode="tool", name="f"),
    ),
    (
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        "parallel_tools",
        False,
    ),
    (
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        "parallel_tools",
        True,
    ),
    ({"tools": []}, "tools", []),
    (
        {
            "tools": [
                {
                    "name": "f",
                    "description": "d",
                    "input_schema": SCHEMA,
                    "strict": True,
                    "defer_loading": True,
                    "cache_control": {"type": "ephemeral"},
                    "eager_input_streaming": True,
                }
            ]
        },
        "tools",
        [
            Tool(
                name="f",
                description="d",
                schema=RAW_SCHEMA,
                strict=True,
                deferred=True,
                cache=CacheMark(),
            )
        ],
    ),
    (
        {"tools": [{"type": "custom", "name": "f", "input_schema": SCHEMA}]},
        "tools",
        [Tool(name="f", schema=RAW_SCHEMA)],
    ),
    (
        {"tools": [{"name": "DeferredToolPlaceholder", "input_schema": SCHEMA}]},
        "tools",
        [],
    ),
    (
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        "server_tools",
        [
            ServerTool(
                dialect=MESSAGES,
                kind="bash_20250124",
                raw=Raw(b'{"type":"bash_20250124","name":"bash"}'),
            )
        ],
    ),
    ({"output_config": {"format": FORMAT}}, "output_format", OutputFormat(schema=RAW_SCHEMA)),
    ({"output_format": FORMAT}, "output_format", OutputFormat(schema=RAW_SCHEMA)),
    ({"metadata": {"user_id": "anna"}}, "user", "anna"),
    ({"metadata": {"user_id": '{"device_id":"d","session_id":"s"}'}}, "user", "d"),
    ({"metadata": {"user_id": '{"account_uuid":"a","session_id":"s"}'}}, "session", "s"),
    ({"metadata": {"user_id": '{"account_uuid":'}}, "user", '{"account_uuid":'),
    ({"metadata": {"user_id": "user_1_account__session_0a1b2c3d-4e"}}, "session", "0a1b2c3d-4e"),
    ({"metadata": {"user_id": "user_1_account__session_0a1b2c3d-4e"}}, "user", "user_1_account_"),
    ({"container": "c1"}, "needs", ["container"]),
    ({"mcp_servers": [{"url": "u"}]}, "needs", ["mcp_servers"]),
    ({"thread": {"id": "t"}}, "needs", ["thread"]),
    ({"inference_geo": "eu"}, "needs", ["inference_geo"]),
    ({"mcp_servers": [], "container": None}, "needs", []),
    ({"context_management": {"edits": [1]}}, "drops", ["context_management"]),
    ({"compaction": {"type": "auto"}}, "drops", ["context_management"]),
    ({"service_tier": "auto", "speed": "fast"}, "drops", ["service_tier"]),
    ({"safeguards": {"a": 1}}, "drops", ["safety_settings"]),
    ({"diagnostics": {"a": 1}, "workspace_id": "w"}, "drops", ["metadata"]),
    ({"novelty": 1}, "drops", ["extras"]),
    ({"container": "c1"}, "extras", {MESSAGES: {"container": Raw(b'"c1"')}}),
    ({"novelty": {"a": 1}}, "extras", {MESSAGES: {"novelty": Raw(b'{"a":1}')}}),
    ({"novelty": None}, "extras", {}),
]

REASONING: list[tuple[dict[str, Any], Reasoning | None]] = [
    ({}, None),
    ({"thinking": {"type": "disabled"}}, Reasoning(effort="off")),
    ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, Reasoning(budget_tokens=4096)),
    (
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        Reasoning(adaptive=True, show=False),
    ),
    (
        {"thinking": {"type": "adaptive", "display": "updates"}},
        Reasoning(adaptive=True, show=True),
    ),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
        Reasoning(adaptive=True, effort="xhigh"),
    ),
    ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
    ({"thinking": {"type": "between_tools"}}, Reasoning(adaptive=True)),
]

DATA = Data(media_type="image/png", base64="AAAA")
BLOCKS: list[tuple[Any, list[Block]]] = [
    ({"type": "text", "text": "a"}, [Text(text="a")]),
    ({"type": "text", "text": ""}, []),
    (
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        [Text(text="a", cache=CacheMark())],
    ),
    (
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
            "transformations": {"x": 1},
        },
        [Image(source=DATA)],
    ),
    (
        {"type": "image", "source": {"type": "url", "url": "https://a.example/1.png"}},
        [Image(source=Url(url="https://a.example/1.png"))],
    ),
    (
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        [Image(source=FileId(dialect=MESSAGES, id="file_1"))],
    ),
    (
        {
            "type": "document",
            "title": "T",
            "context": "From 1999.",
            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        },
        [Text(text="From 1999."), Document(text="words", title="T")],
    ),
    (
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [
                    {"type": "text", "text": "one"},
                    {"type": "image", "source": {"type": "url", "url": "https://a.example/1"}},
                    {"type": "text", "text": "two"},
                ],
            },
        },
        [Image(source=Url(url="https://a.example/1")), Document(text="one\n\ntwo")],
    ),
    (
        {
            "type": "search_result",
            "source": "https://a.example",
            "title": "T",
            "content": [{"type": "text", "text": "found"}],
        },
        [Text(text="T\nhttps://a.example\n\nfound")],
    ),
    ({"type": "tool_reference", "tool_name": "Grep"}, [Text(text="Tool loaded: Grep")]),
    (
        {
            "type": "tool_use",
            "id": "t",
            "name": "f",
            "input": {"a": 1},
            "caller": {"type": "direct"},
        },
        [ToolCall(id="t", name="f", arguments='{"a":1}')],
    ),
    ({"type": "tool_result", "tool_use_id": "t"}, [ToolResult(call_id="t", blocks=[])]),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True},
        [ToolResult(call_id="t", blocks=[Text(text="no")], is_error=True)],
    ),
    (
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "tool_reference", "tool_name": "Grep"}],
        },
        [ToolResult(call_id="t", blocks=[Text(text="Tool loaded: Grep")])],
    ),
    (
        {"type": "thinking", "thinking": "hm", "signature": "EqQ=="},
        [Thinking(text="hm", state=State(provider="anthropic", data="EqQ=="))],
    ),
    ({"type": "thinking", "thinking": "hm", "signature": ""}, [Thinking(text="hm")]),
    (
        {"type": "thinking", "thinking": "", "signature": pack(State(provider="openai", data="x"))},
        [Thinking(state=State(provider="openai", data="x"))],
    ),
    (
        {"type": "redacted_thinking", "data": "zz"},
        [Thinking(redacted=True, state=State(provider="anthropic", data="zz"))],
    ),
    (
        {"type": "container_upload", "file_id": "f"},
        [
            Opaque(
                dialect=MESSAGES,
                kind="container_upload",
                raw=Raw(b'{"type":"container_upload","file_id":"f"}'),
            )
        ],
    ),
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model"),
    ({"model": 3}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "user", "content": [{}]}]}, "messages.0.content.0.type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
        "messages.0.content.0.text",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "x"}}]}]},
        "messages.0.content.0.source.type",
    ),
    (
        {
            "messages": [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "i", "name": "n", "input": "{}"}],
                },
            ]
        },
        "messages.1.content.0.input",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "text"}],
                        }
                    ],
                }
            ]
        },
        "messages.0.content.0.content.0.text",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "thinking", "thinking": "x"}],
                        }
                    ],
                }
            ]
        },
        "messages.0.content.0.content",
    ),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"system": [{"type": "image"}]}, "system.0.type"),
    ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
    ({"tools": [{"name": "f", "input_schema": []}]}, "tools.0.input_schema"),
    ({"tools": {"name": "f"}}, "tools"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
    ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
    ({"stop_sequences": ["a", 1]}, "stop_sequences.1"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
]


@pytest.mark.parametrize(("members", "field", "expected"), MEMBERS)
def test_a_member_means(members: dict[str, Any], field: str, expected: Any) -> None:
    assert expected == getattr(read(**members), field)


@pytest.mark.parametrize(("members", "expected"), REASONING)
def test_thinking_means(members: dict[str, Any], expected: Reasoning | None) -> None:
    assert expected == read(**members).reasoning


@pytest.mark.parametrize(("block", "expected"), BLOCKS)
def test_a_block_means(block: Any, expected: list[Block]) -> None:
    assert expected == read_blocks(block)


@pytest.mark.parametrize(("members", "param"), REFUSED)
def test_a_wrong_member_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(**members)

    assert param == refusal.value.param
    assert refusal.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        {
            "type": "document",
            "citations": {"enabled": True},
            "source": {"type": "text", "media_type": "text/plain", "data": "x"},
        },
        {"type": "search_result", "source": "s", "title": "t", "content": []},
    ],
    ids=lambda content: content["type"],
)
def test_citations_are_lost(content: Any) -> None:
    assert read(messages=[{"role": "user", "content": [content]}]).drops == ["citations"]


def test_the_words_of_nothing_lose_nothing() -> None:
    block = {"type": "text", "text": "a", "citations": None}
    document = {
        "type": "document",
        "citations": {"enabled": False},
        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    }

    assert read(messages=[{"role": "user", "content": [block, document]}]).drops == []


class TestInstructionsInTheConversation:
    def test_they_keep_their_place(self) -> None:
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": [{"type": "text", "text": "It is Monday."}]},
        ]

        assert [user("Hi"), system("It is Monday.")] == read(messages=messages).turns

    def test_those_that_the_vendor_no_longer_shows_are_left_out(self) -> None:
        reminder = {"role": "system", "content": "Once.", "clear_at": "next_user_message"}
        messages = [{"role": "user", "content": "Hi"}, reminder, {"role": "user", "content": "Ho"}]

        assert [user("Hi"), user("Ho")] == read(messages=messages).turns

    def test_those_that_it_still_shows_stay(self) -> None:
        reminder = {"role": "system", "content": "Once.", "clear_at": "next_user_message"}
        messages = [{"role": "user", "content": "Hi"}, reminder]

        assert [user("Hi"), system("Once.")] == read(messages=messages).turns

    def test_an_effort_of_one_turn_is_lost(self) -> None:
        told = {"role": "system", "content": "Now.", "output_config": {"effort": "low"}}

        assert read(messages=[{"role": "user", "content": "Hi"}, told]).drops == ["reasoning"]


def test_a_marker_on_the_request_stands_for_one_on_its_last_block() -> None:
    turns = read(cache_control=HOUR).turns

    assert [Text(text="Hi", cache=CacheMark(lifetime="1h"))] == turns[0].blocks


@pytest.mark.parametrize(
    "content",
    ["", [{"type": "novel"}], [{"type": "text", "text": "Hi", "cache_control": HOUR}]],
)
def test_unless_there_is_none_or_it_has_its_own(content: Any) -> None:
    messages = [{"role": "user", "content": content}]

    assert read(messages=messages) == read(messages=messages, cache_control={"type": "ephemeral"})


def test_the_state_of_a_call_comes_back_to_it() -> None:
    state = State(provider="google", data="sig")
    blocks = read_blocks(
        {"type": "thinking", "thinking": "", "signature": f"{pack(state)}#call_2"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
        role="assistant",
    )

    assert [
        ToolCall(id="call_1", name="f", arguments="{}"),
        ToolCall(id="call_2", name="f", arguments="{}", state=state),
    ] == blocks
