"""Any JSON at all, posted to any route for any model, is answered or refused in the caller's words: never a 5xx.

`make fuzz` runs the same for longer (AIBRIDGE_FUZZ_EXAMPLES). Hypothesis prints the body that fails.
"""

import copy
import json
import os
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.scenarios import MODELS, SCHEMA, picture
from tests.fixtures.outside import Outside

EXAMPLES = int(os.environ.get("AIBRIDGE_FUZZ_EXAMPLES", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize="AIBRIDGE_FUZZ_EXAMPLES" not in os.environ,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "role", "content", "name", "id", "data", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "/v1/chat/completions": [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "See"},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{picture()}"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"P","days":1}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "21"},
                {"role": "user", "content": "Thanks"},
            ],
            "tools": [{"type": "function", "function": FUNCTION}],
            "tool_choice": "auto",
            "max_completion_tokens": 50,
            "temperature": 0.5,
            "stop": ["END"],
            "stream": True,
            "stream_options": {"include_usage": True},
            "response_format": {"type": "text"},
            "reasoning_effort": "low",
            "user": "u",
        }
    ],
    "/v1/responses": [
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {
                    "type": "function_call",
                    "call_id": "call_1",
                    "name": "weather",
                    "arguments": '{"city":"P","days":1}',
                },
                {"type": "function_call_output", "call_id": "call_1", "output": "21"},
                {"role": "user", "content": "Thanks"},
            ],
            "tools": [{"type": "function", "strict": True} | FUNCTION],
            "max_output_tokens": 50,
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "text": {"format": {"type": "text"}, "verbosity": "low"},
            "store": False,
            "stream": True,
        }
    ],
    "/v1/messages": [
        {
            "max_tokens": 50,
            "system": [
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
            ],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "See"},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": picture(),
                            },
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm", "signature": "aib1.openai.eA"},
                        {
                            "type": "tool_use",
                            "id": "toolu_1",
                            "name": "weather",
                            "input": {"city": "P", "days": 1},
                        },
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_1",
                            "content": [{"type": "text", "text": "21"}],
                        },
                        {"type": "text", "text": "Thanks"},
                    ],
                },
            ],
            "tools": [{"name": "weather", "description": "W", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto"},
            "thinking": {"type": "disabled"},
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u"},
            "stream": True,
        }
    ],
    "/v1beta/models/{model}:streamGenerateContent?alt=sse": [
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "See"},
                        {"inlineData": {"mimeType": "image/png", "data": picture()}},
                    ],
                },
                {
                    "role": "model",
                    "parts": [{"functionCall": {"name": "weather", "args": {"city": "P"}}}],
                },
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "weather", "response": {"output": "21"}}}
                    ],
                },
            ],
            "tools": [
                {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
            "generationConfig": {
                "maxOutputTokens": 50,
                "temperature": 0.5,
                "stopSequences": ["END"],
                "thinkingConfig": {"includeThoughts": True},
            },
        }
    ],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [path, *(place for name, item in inner for place in places(item, (*path, name)))]


@st.composite
def mutated(draw: st.DrawFn, sample: dict[str, Any]) -> dict[str, Any]:
    """A sample with a few places removed, doubled or replaced by any JSON."""
    body = copy.deepcopy(sample)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([p for p in places(body) if p]))
        holder: Any = body
        for name in place[:-1]:
            holder = holder[name]
        last = place[-1]
        match draw(st.sampled_from(["replace", "remove", "double", "add"])):
            case "remove":
                del holder[last]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case "add" if isinstance(holder[last], dict):
                holder[last][draw(st.sampled_from(["type", "x", "cache_control", "id"]))] = draw(
                    JSON
                )
            case _:
                holder[last] = draw(JSON)
    return body


def check(answer: httpx.Response, body: Any) -> None:
    """A 2xx, or a 4xx with a message; a stream that fails does so with an error event."""
    assert 200 <= answer.status_code < 500, (answer.status_code, answer.text[:300], body)
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"], body


@pytest.mark.parametrize("route", SAMPLES)
@FUZZ
@given(data=st.data())
def test_mutated_samples(route: str, data: st.DataObject, outside: Outside) -> None:
    sample = data.draw(st.sampled_from(SAMPLES[route]))
    body = data.draw(mutated(sample))
    model = data.draw(st.sampled_from(list(MODELS.values())))
    if "{model}" in route:
        answer = outside.post(route.replace("{model}", model), body)
    else:
        answer = outside.post(route, {"model": model} | body)

    check(answer, body)


@pytest.mark.parametrize("route", SAMPLES)
@FUZZ
@given(data=st.data())
def test_any_json(route: str, data: st.DataObject, outside: Outside) -> None:
    body = data.draw(JSON)
    model = data.draw(st.sampled_from(list(MODELS.values())))
    if isinstance(body, dict) and data.draw(st.booleans()):
        body |= {"model": model}
    answer = outside.http.post(
        route.replace("{model}", model),
        content=json.dumps(body).encode(),
        headers=outside.bearer | {"content-type": "application/json"},
    )

    check(answer, body)


@pytest.mark.parametrize("route", SAMPLES)
@FUZZ
@given(junk=st.binary(max_size=60))
def test_any_bytes(route: str, junk: bytes, outside: Outside) -> None:
    answer = outside.http.post(
        route.replace("{model}", "gpt-4o"),
        content=junk,
        headers=outside.bearer | {"content-type": "application/json"},
    )

    check(answer, junk)
