"""The stand-in Gemini API, as the official SDK uses it."""

import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from aibridge_sandbox.script import directive

from .rig import Rig, ask, events

MODEL = "gemini-3.5-flash"
DECLARATION: dict[str, Any] = {
    "name": "get_weather",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"city": {"type": "string", "minLength": 9}},
        "required": ["city"],
    },
}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": text}]}


def test_stream_says_what_the_whole_says(google_sdk: genai.Client) -> None:
    whole = google_sdk.models.generate_content(model=MODEL, contents="hello 世界")
    chunks = list(google_sdk.models.generate_content_stream(model=MODEL, contents="hello 世界"))

    assert "hello 世界" in (whole.text or "")
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].usage_metadata == whole.usage_metadata
    assert all(chunk.usage_metadata for chunk in chunks)


def test_frames(rig: Rig) -> None:
    """CRLF frames with `?alt=sse`, one JSON array without; only the last says how it ended."""
    sse = rig.ask("gemini", "hi")
    array = rig.ask("gemini-array", "hi")
    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in events(sse)]
    ends = [chunk["candidates"][0].get("finishReason") for chunk in array.json()]

    assert sse.text.count("\r\n\r\n") == len(events(sse))
    assert counts == sorted(counts)
    assert counts[-1] == rig.truth()["usage"]["output"]
    assert len(array.json()) == len(events(sse))
    assert set(ends[:-1]) == {None}
    assert ends[-1] == "STOP"


def test_function_round_trip_with_signature(google_sdk: genai.Client) -> None:
    tools: Any = [types.Tool(function_declarations=[types.FunctionDeclaration(**_declared())])]
    config = types.GenerateContentConfig(
        tools=tools,
        automatic_function_calling={"disable": True},  # pyright: ignore[reportArgumentType]
    )
    question = types.Content(role="user", parts=[types.Part(text=directive(tool={"parallel": 2}))])
    first = google_sdk.models.generate_content(model=MODEL, contents=[question], config=config)
    assert first.candidates
    said = first.candidates[0].content
    assert said is not None
    assert said.parts is not None
    results = [
        types.Part.from_function_response(name="get_weather", response={"output": "22 degrees"})
        for _ in said.parts
    ]
    reply = types.Content(role="user", parts=results)
    history: Any = [question, said, reply]
    second = google_sdk.models.generate_content(model=MODEL, contents=history, config=config)

    assert len(said.parts) == 2
    assert said.parts[0].thought_signature
    assert not said.parts[1].thought_signature
    assert "22 degrees" in (second.text or "")

    said.parts[0].thought_signature = b"foreign"
    with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
        google_sdk.models.generate_content(model=MODEL, contents=history, config=config)
    said.parts[0].thought_signature = None
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        google_sdk.models.generate_content(model=MODEL, contents=history, config=config)


def _declared() -> dict[str, Any]:
    return {"name": "get_weather", "parameters_json_schema": DECLARATION["parametersJsonSchema"]}


def test_chat_remembers_streamed_turns(google_sdk: genai.Client) -> None:
    """The SDK keeps a streamed turn only if every chunk has something in it."""
    chat = google_sdk.chats.create(model=MODEL)
    for text in ("first", "second"):
        list(chat.send_message_stream(text))

    roles = [content.role for content in chat.get_history(curated=True)]
    assert roles.count("user") == 2
    assert roles[-1] == "model"


def test_thoughts_are_outside_the_candidates(rig: Rig) -> None:
    config = {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}
    shown = rig.ask("gemini-whole", "hi", generationConfig=config).json()
    hidden = rig.ask(
        "gemini", "hi", generation_config={"thinking_config": {"thinking_level": "low"}}
    )
    usage = shown["usageMetadata"]

    assert shown["candidates"][0]["content"]["parts"][0]["thought"] is True
    assert usage["thoughtsTokenCount"] == rig.truth()["usage"]["reasoning"]
    assert usage["totalTokenCount"] == (
        usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    )
    assert 'thought":true' not in hidden.text
    assert events(hidden)[-1]["usageMetadata"]["thoughtsTokenCount"] == usage["thoughtsTokenCount"]


def test_structured_and_capped(rig: Rig) -> None:
    config = {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 7}},
            "required": ["n"],
        },
    }
    shaped = rig.ask("gemini-whole", "fill", generationConfig=config).json()
    capped = rig.ask(
        "gemini-whole", directive(tokens=30), generationConfig={"maxOutputTokens": 5}
    ).json()

    assert json.loads(shaped["candidates"][0]["content"]["parts"][0]["text"]) == {"n": 7}
    assert capped["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert capped["usageMetadata"]["candidatesTokenCount"] == 5


STRICT: list[tuple[dict[str, Any], str]] = [
    (
        {"messages": []},
        'Invalid JSON payload received. Unknown name "messages": Cannot find field.',
    ),
    ({"generationConfig": {"max_tokens": 5}}, "Unknown name \"max_tokens\" at 'generation_config'"),
    ({"generationConfig": {"stopSequences": list("abcdef")}}, "stop_sequences"),
    ({"generationConfig": {"temperature": 3}}, "range [0.0, 2.0]"),
    (
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}},
        "only set only one of thinking budget and thinking level",
    ),
    ({"contents": []}, "contents is not specified"),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role"),
    ({"contents": [{"role": "user", "parts": []}]}, "contents.parts must not be empty"),
    ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "empty text parameter"),
    (
        {"tools": [{"functionDeclarations": [{"name": "1a"}]}]},
        "Invalid function name",
    ),
    (
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "parameters": {"type": "object", "$schema": "x"}}
                    ]
                }
            ]
        },
        "Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters'",
    ),
    (
        {
            "contents": [
                _user("x"),
                {
                    "role": "model",
                    "parts": [
                        {
                            "functionCall": {"name": "f", "args": {}},
                            "thoughtSignature": "skip_thought_signature_validator",
                        }
                    ],
                },
                _user("y"),
            ]
        },
        "number of function response parts is equal",
    ),
    (
        {
            "contents": [
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
            ]
        },
        "function response turn comes immediately after",
    ),
]


@pytest.mark.parametrize(("change", "message"), STRICT)
def test_strict_mode_refuses(rig: Rig, change: dict[str, Any], message: str) -> None:
    response = rig.post("gemini-whole", {**ask("gemini", "hi"), **change})

    assert response.status_code == 400, response.text
    assert message in response.json()["error"]["message"]
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_keys_and_models(rig: Rig, google_sdk: genai.Client) -> None:
    """Google answers a wrong key with 400 and a reason; keys may come in the query."""
    bad = rig.post("gemini", ask("gemini", "hi"), key="bad")
    broke = rig.post("gemini", ask("gemini", "hi"), key="quota")
    queried = rig.http.get(f"{rig.base}/google/v1beta/models?key=k").json()

    assert bad.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert (broke.status_code, broke.headers["retry-after"]) == (429, "37")
    assert f"models/{MODEL}" in [model["name"] for model in queried["models"]]
    with pytest.raises(errors.ClientError, match="is not found for API version"):
        google_sdk.models.generate_content(model="gemini-0", contents="x")


def test_count_tokens_agrees_with_the_bill(google_sdk: genai.Client) -> None:
    count = google_sdk.models.count_tokens(model=MODEL, contents="how long is this?")
    answer = google_sdk.models.generate_content(model=MODEL, contents="how long is this?")

    assert answer.usage_metadata is not None
    assert count.total_tokens == answer.usage_metadata.prompt_token_count


def test_safety(rig: Rig) -> None:
    refused = rig.ask("gemini-whole", directive(refusal=True)).json()

    assert refused["candidates"][0]["finishReason"] == "SAFETY"
