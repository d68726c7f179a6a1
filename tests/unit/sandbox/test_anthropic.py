"""The stand-in Messages API, as the official SDK and Claude Code use it."""

from typing import Any

import anthropic
import pytest

from aibridge_sandbox.script import directive

from .rig import Rig, ask, events

TOOL: dict[str, Any] = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Bern", "Rome"]}},
        "required": ["city"],
    },
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}


def test_stream_grammar(rig: Rig) -> None:
    """Head, ping, contiguous blocks of one kind each, cumulative usage, stop."""
    body = ask("messages", directive(text="so", tool={"parallel": 2}), tools=[TOOL])
    seen = events(rig.post("messages", {**body, "thinking": {"type": "adaptive"}}))
    kinds = [event["type"] for event in seen]
    starts = [event for event in seen if event["type"] == "content_block_start"]

    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert [start["index"] for start in starts] == [0, 1, 2, 3]
    assert [start["content_block"]["type"] for start in starts] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    opened = None
    for event in seen:
        if event["type"] == "content_block_start":
            assert opened is None
            opened = event["index"]
        elif event["type"] == "content_block_delta":
            assert event["index"] == opened
        elif event["type"] == "content_block_stop":
            opened = None
    assert seen[0]["message"]["usage"]["output_tokens"] == 1
    truth = rig.truth()["usage"]
    assert seen[-2]["usage"]["output_tokens"] == truth["output"] + truth["reasoning"]
    assert seen[-2]["delta"]["stop_reason"] == "tool_use"


def test_thinking_and_tool_round_trip(anthropic_sdk: anthropic.Anthropic) -> None:
    """The sealed thinking goes back with the result; the answer mentions the result."""
    question: Any = {"role": "user", "content": f"weather? {directive(tool=True)}"}
    thinking: Any = {"type": "adaptive"}
    tools: Any = [TOOL]
    with anthropic_sdk.messages.stream(
        model="claude-opus-5-5", max_tokens=900, messages=[question], tools=tools, thinking=thinking
    ) as stream:
        first = stream.get_final_message()
    call = first.content[-1]
    assert call.type == "tool_use"
    assert call.input == {"city": "Bern"}
    result: Any = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "22 degrees"}],
    }
    history: Any = [question, {"role": "assistant", "content": first.content}, result]
    second = anthropic_sdk.messages.create(
        model="claude-opus-5-5", max_tokens=900, messages=history, tools=tools, thinking=thinking
    )

    assert first.content[0].type == "thinking"
    assert second.content[-1].type == "text"
    assert "22 degrees" in second.content[-1].text

    altered = [first.content[0].model_copy(update={"thinking": "else"}), *first.content[1:]]
    history[1] = {"role": "assistant", "content": altered}
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        anthropic_sdk.messages.create(
            model="claude-opus-5-5", max_tokens=900, messages=history, tools=tools
        )


def test_omitted_and_redacted_thinking(rig: Rig) -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    hidden = rig.ask("messages", "hi", stream=False, thinking=thinking).json()
    redacted = rig.ask(
        "messages", directive(redacted=True), stream=False, thinking={"type": "adaptive"}
    ).json()

    assert hidden["content"][0]["thinking"] == ""
    assert hidden["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    assert redacted["content"][0]["type"] == "redacted_thinking"
    for first in (hidden, redacted):
        body = ask("messages", "go on", stream=False)
        body["messages"] = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": first["content"]},
            *body["messages"],
        ]
        assert rig.post("messages", body).status_code == 200


def test_cache_is_written_then_read(rig: Rig) -> None:
    """A marker writes once; later the longest known prefix is read, wherever the marker is now."""
    system = [
        {"type": "text", "text": "rules " * 50, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    marked = {"type": "text", "text": "first", "cache_control": {"type": "ephemeral"}}
    body = {**ask("messages", "", stream=False), "system": system}
    body["messages"] = [{"role": "user", "content": [marked]}]
    first = rig.post("messages", body, key="k-cache").json()["usage"]
    again = rig.post("messages", body, key="k-cache").json()["usage"]
    other = rig.post("messages", body, key="k-other").json()["usage"]

    assert first["cache_read_input_tokens"] == 0
    assert first["cache_creation"]["ephemeral_1h_input_tokens"] > 0
    assert first["cache_creation"]["ephemeral_5m_input_tokens"] > 0
    assert again["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert again["cache_creation_input_tokens"] == 0
    assert other["cache_read_input_tokens"] == 0
    del marked["cache_control"]
    body["messages"].append({"role": "user", "content": [{**marked, "text": "more"}]})
    body["messages"][-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    longer = rig.post("messages", body, key="k-cache").json()["usage"]
    assert longer["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert longer["cache_creation_input_tokens"] > 0


def test_claude_code_body_is_accepted(rig: Rig) -> None:
    body: dict[str, Any] = {
        "model": "claude-opus-5-5",
        "max_tokens": 128_000,
        "thinking": {"type": "adaptive", "display": "updates"},
        "output_config": {"effort": "medium"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2;"},
            {"type": "text", "text": "rules", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "system", "content": "be brief"},
        ],
        "tools": [{**TOOL, "defer_loading": True}],
        "metadata": {"user_id": "{}"},
        "stream": True,
    }
    refused = rig.post("messages", body)
    accepted = rig.post(
        "messages", body, **{"anthropic-beta": "context-management-2025-06-27,effort-2025-11-24"}
    )

    assert "context_management: Extra inputs are not permitted" in refused.text
    assert accepted.status_code == 200, accepted.text
    assert '\\"hi\\"' in accepted.text.replace('"}}\n\nevent', "") or "hi" in accepted.text


def test_count_tokens_agrees_with_the_bill(anthropic_sdk: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "how long is this?"}]
    tools: Any = [TOOL]
    count = anthropic_sdk.messages.count_tokens(
        model="claude-haiku-5-5", messages=messages, tools=tools
    )
    answer = anthropic_sdk.messages.create(
        model="claude-haiku-5-5", max_tokens=50, messages=messages, tools=tools
    )

    assert count.input_tokens == answer.usage.input_tokens


def test_models(anthropic_sdk: anthropic.Anthropic) -> None:
    page = anthropic_sdk.models.list(limit=3)

    assert page.has_more
    assert anthropic_sdk.models.retrieve("claude-opus-5-5").max_tokens == 128_000
    assert "claude-opus-5-5" in [model.id for model in page]


def _messages(*contents: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in contents]}


STRICT: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"seed": 1}, "seed: Extra inputs are not permitted"),
    ({"temperature": 0.5}, "`temperature` is deprecated for this model."),
    ({"model": "claude-3-5-sonnet-20241022", "temperature": 1.5}, "less than or equal to 1"),
    (
        {"model": "claude-3-5-sonnet-20241022", "thinking": {"type": "adaptive"}},
        "thinking.type: adaptive is not supported on this model",
    ),
    (
        {"model": "claude-3-5-sonnet-20241022", "output_config": {"effort": "low"}},
        "output_config.effort: Extra inputs are not permitted",
    ),
    (
        {
            "model": "claude-3-opus-20240229",
            **_messages(("user", "a"), ("system", "b"), ("user", "c")),
        },
        "messages.1.role: role 'system' is not supported",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2_000}},
        '"thinking.type.enabled" is not supported for this model',
    ),
    (
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 2_000,
            "thinking": {"type": "enabled", "budget_tokens": 2_000},
        },
        "must be greater than `thinking.budget_tokens`",
    ),
    ({"tool_choice": {"type": "auto"}}, "may only be specified while providing tools"),
    ({"tools": [{**TOOL, "name": "a.b"}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    (_messages(("user", "")), "must have non-empty content"),
    (_messages(("user", [{"type": "text", "text": ""}])), "text content blocks must be non-empty"),
    (_messages(("assistant", "x"), ("user", "y")), 'first message must use the "user" role'),
    (_messages(("user", "x"), ("assistant", "y")), "does not support assistant message prefill"),
    (_messages(("user", [RESULT])), "unexpected `tool_use_id` found"),
    (
        _messages(("user", "x"), ("assistant", [CALL]), ("user", "y")),
        "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1",
    ),
    (
        _messages(
            ("user", "x"),
            ("assistant", [CALL]),
            ("user", [{"type": "text", "text": "first"}, RESULT]),
        ),
        "`tool_use` ids were found without",
    ),
    (
        _messages(("user", [{"type": "input_text", "text": "x"}])),
        "Input tag 'input_text' found using 'type'",
    ),
    (
        _messages(
            ("user", "x"),
            ("assistant", [{"type": "thinking", "thinking": "t", "signature": "foreign"}]),
            ("user", "y"),
        ),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    (
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (_messages(("user", "word " * 900_000)), "prompt is too long: "),
]


@pytest.mark.parametrize(("change", "message"), STRICT)
def test_strict_mode_refuses(rig: Rig, change: dict[str, Any], message: str) -> None:
    body = {**ask("messages", "hi", stream=False), **change}
    response = rig.post("messages", body)

    assert response.status_code == 400, response.text
    assert message in response.json()["error"]["message"]
    assert response.json()["request_id"] == response.headers["request-id"]


def test_closed_version_refuses_sampling(rig: Rig) -> None:
    body = ask("messages", "hi", stream=False, temperature=1)
    body["model"] = "claude-3-5-haiku-20241022"
    response = rig.post("messages", body, **{"anthropic-version": "2026-10-21"})

    assert response.json()["error"]["message"] == "temperature: Extra inputs are not permitted"
    assert rig.post("messages", body).status_code == 200


def test_keys_models_and_versions(rig: Rig) -> None:
    bad = rig.post("messages", ask("messages", "hi"), key="bad")
    broke = rig.post("messages", ask("messages", "hi"), key="no-quota")
    unknown = rig.post("messages", {**ask("messages", "hi"), "model": "claude-0"})
    unversioned = rig.post("messages", ask("messages", "hi"), **{"anthropic-version": ""})

    assert (bad.status_code, bad.json()["error"]["type"]) == (401, "authentication_error")
    assert broke.status_code == 400
    assert "credit balance is too low" in broke.json()["error"]["message"]
    assert unknown.json()["error"] == {"type": "not_found_error", "message": "model: claude-0"}
    assert "anthropic-version: header is required" in unversioned.text


def test_stops(rig: Rig) -> None:
    refused = rig.ask("messages", directive(refusal=True), stream=False).json()
    dictated = rig.ask("messages", directive(stop="pause_turn"), stream=False).json()
    halted = rig.ask(
        "messages", directive(text="one two"), stream=False, stop_sequences=["two"]
    ).json()
    clipped = rig.ask("messages", directive(tool=True), tools=[TOOL], max_tokens=4)

    assert refused["stop_reason"] == "refusal"
    assert dictated["stop_reason"] == "pause_turn"
    assert (halted["stop_reason"], halted["stop_sequence"]) == ("stop_sequence", "two")
    assert events(clipped)[-2]["delta"]["stop_reason"] == "max_tokens"
