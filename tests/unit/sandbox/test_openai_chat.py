"""The stand-in Chat Completions, as the official SDK sees it."""

import json
from typing import Any

import openai
import pytest

from aibridge_sandbox.script import directive

from .rig import Rig, ask, events

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city", "days"],
        },
    },
}


def test_answer_echoes_and_counts(openai_sdk: openai.OpenAI) -> None:
    answer = openai_sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "good morning"}]
    )

    assert "good morning" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_says_what_the_whole_says(openai_sdk: openai.OpenAI) -> None:
    """Same text and same usage, streamed or not."""
    whole = openai_sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "naïve 你好"}]
    )
    stream = openai_sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "naïve 你好"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    assert whole.choices[0].message.content == text
    assert chunks[-1].choices == []
    assert whole.usage == chunks[-1].usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_usage_stays_out_unless_asked(rig: Rig) -> None:
    response = rig.ask("chat", "hi")

    assert response.text.endswith("data: [DONE]\n\n")
    assert all("usage" not in chunk for chunk in events(response))


def test_parallel_calls_then_result(openai_sdk: openai.OpenAI) -> None:
    """Two calls by index with the least arguments; the next turn mentions the results."""
    wish = directive(tool={"parallel": 2})
    tools: Any = [WEATHER]
    stream = openai_sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": f"weather? {wish}"}],
        tools=tools,
        stream=True,
    )
    calls: dict[int, dict[str, str]] = {}
    finish = None
    for chunk in stream:
        finish = chunk.choices[0].finish_reason or finish
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(delta.index, {"id": delta.id or "", "arguments": ""})
            assert delta.function is not None
            call["arguments"] += delta.function.arguments or ""

    assert finish == "tool_calls"
    assert list(calls) == [0, 1]
    assert json.loads(calls[1]["arguments"]) == {"city": "sandbox", "days": 2}

    function = {"name": "get_weather", "arguments": calls[0]["arguments"]}
    said = [{"id": call["id"], "type": "function", "function": function} for call in calls.values()]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "22 degrees"}
        for call in calls.values()
    ]
    history: Any = [
        {"role": "user", "content": f"weather? {wish}"},
        {"role": "assistant", "tool_calls": said},
        *results,
    ]
    answer = openai_sdk.chat.completions.create(model="gpt-4o", messages=history, tools=tools)

    assert "22 degrees" in (answer.choices[0].message.content or "")


def test_structured_output(openai_sdk: openai.OpenAI) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "number", "maximum": 0}},
        "required": ["kind", "n"],
        "additionalProperties": False,
    }
    answer = openai_sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "fill it"}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "form", "schema": schema, "strict": True},
        },
    )

    assert json.loads(answer.choices[0].message.content or "") == {"kind": "a", "n": 0}


def test_caps_stops_and_refusals(rig: Rig) -> None:
    capped = rig.ask("chat", directive(tokens=50), stream=False, max_tokens=7).json()
    stopped = rig.ask("chat", directive(text="one two three"), stream=False, stop=["two"]).json()
    refused = rig.ask("chat", directive(refusal="No."), stream=False).json()

    assert capped["choices"][0]["finish_reason"] == "length"
    assert capped["usage"]["completion_tokens"] == 7
    assert stopped["choices"][0]["message"]["content"] == "one "
    assert refused["choices"][0]["message"]["refusal"] == "No."


def test_repeated_prefix_is_cached(rig: Rig) -> None:
    """From 1024 tokens on, in steps of 128."""
    system = {"role": "system", "content": "cached prefix " * 400}
    usages = []
    for text in ("first", "second"):
        body = ask("chat", text, stream=False)
        body["messages"].insert(0, system)
        usages.append(rig.post("chat", body, key="sk-cache").json()["usage"])
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]

    assert cached[0] == 0
    assert cached[1] >= 1_024
    assert cached[1] % 128 == 0
    assert rig.truth()["usage"]["cache_read"] == cached[1]


def test_reasoning_effort_bills_unseen_tokens(rig: Rig) -> None:
    body = ask("chat", "think", stream=False, reasoning_effort="high")
    body["model"] = "o3"
    usage = rig.post("chat", body).json()["usage"]

    assert usage["completion_tokens_details"]["reasoning_tokens"] > 0
    assert rig.truth()["usage"]["reasoning"] > 0


STRICT: list[tuple[dict[str, Any], str]] = [
    ({"top_k": 4}, "Unrecognized request argument supplied: top_k"),
    ({"tools": []}, "Invalid 'tools': empty array"),
    ({"tool_choice": "auto"}, "'tool_choice' is only allowed when 'tools' are specified"),
    ({"temperature": 3}, "decimal above maximum value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "array too long"),
    ({"stream_options": {"include_usage": True}}, "only allowed when 'stream' is enabled"),
    ({"max_tokens": 999_999}, "max_tokens is too large"),
    ({"messages": []}, "Invalid 'messages': empty array"),
    ({"messages": [{"role": "user", "content": "x", "cache_control": {}}]}, "Unknown parameter"),
    ({"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]}, "preceeding message"),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "user", "content": "x"},
            ]
        },
        "did not have response messages: call_1",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "a.b"}}]},
        "does not match pattern",
    ),
    ({"model": "o3", "max_tokens": 5}, "Use 'max_completion_tokens' instead"),
    ({"model": "o3", "temperature": 0.5}, "Only the default (1) value is supported"),
    ({"model": "gpt-5.5", "tools": [WEATHER], "reasoning_effort": "low"}, "use /v1/responses"),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
            }
        },
        "'additionalProperties' is required",
    ),
]


@pytest.mark.parametrize(("change", "message"), STRICT)
def test_strict_mode_refuses(rig: Rig, change: dict[str, Any], message: str) -> None:
    body = {**ask("chat", "hi", stream=False), **change}
    response = rig.post("chat", body)

    assert response.status_code == 400, response.text
    assert message in response.json()["error"]["message"]
    assert rig.truth()["usage"]["input"] == 0


def test_keys_and_models_speak_for_themselves(rig: Rig) -> None:
    bad = rig.post("chat", ask("chat", "hi"), key="sk-bad")
    empty = rig.post("chat", ask("chat", "hi"), key="sk-quota")
    unknown = rig.post("chat", {**ask("chat", "hi"), "model": "gpt-0"})

    assert (bad.status_code, bad.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (empty.status_code, empty.json()["error"]["type"]) == (429, "insufficient_quota")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert bad.headers["x-request-id"].startswith("req_")


def test_embeddings_and_models(openai_sdk: openai.OpenAI) -> None:
    vectors = openai_sdk.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    again = openai_sdk.embeddings.create(model="text-embedding-3-small", input="a", dimensions=8)

    assert len(vectors.data[0].embedding) == 1_536
    assert abs(sum(x * x for x in vectors.data[1].embedding) - 1) < 1e-4
    assert len(again.data[0].embedding) == 8
    assert "gpt-6.1-sol" in [model.id for model in openai_sdk.models.list()]
    assert openai_sdk.models.retrieve("gpt-4o").id == "gpt-4o"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/anthropic/v1/chat/completions", "claude-sonnet-5-5"),
        ("/google/v1beta/openai/chat/completions", "gemini-3.5-flash"),
    ],
)
def test_other_vendors_speak_chat_too(rig: Rig, path: str, model: str) -> None:
    base = rig.base + path.removesuffix("/chat/completions")
    with openai.OpenAI(api_key="k", base_url=base, max_retries=0) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello"}]
        )
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hello"}]
            )

    assert model in (answer.choices[0].message.content or "")
