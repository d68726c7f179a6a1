"""Google's own SDK against the gateway."""

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from aibridge_sandbox.script import directive
from tests.fixtures.outside import Outside

FLASH = "gemini-2.0-flash-exp"


@pytest.fixture(params=["v1", "v1beta"])
def client(request: pytest.FixtureRequest, outside: Outside) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=outside.base_url, api_version=request.param)
    with genai.Client(api_key=outside.key, http_options=options) as sdk:
        yield sdk


def test_answers_whole(client: genai.Client) -> None:
    answer = client.models.generate_content(model=FLASH, contents="Hello there")

    assert "Hello there" in (answer.text or "")


def test_streams(client: genai.Client) -> None:
    chunks = list(client.models.generate_content_stream(model=FLASH, contents="Hello there"))

    assert "Hello there" in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].usage_metadata is not None


def test_calls_a_tool(client: genai.Client) -> None:
    weather: Any = {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "OBJECT",
            "properties": {"city": {"type": "STRING"}},
            "required": ["city"],
        },
    }
    answer = client.models.generate_content(
        model=FLASH,
        contents=directive(tool="weather") + " Paris?",
        config=types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])]),
    )

    assert [call.name for call in answer.function_calls or []] == ["weather"]


def test_counts_tokens(client: genai.Client) -> None:
    assert (client.models.count_tokens(model=FLASH, contents="Hello").total_tokens or 0) > 0


def test_a_wrong_key_is_refused_in_its_own_words(outside: Outside) -> None:
    options = types.HttpOptions(base_url=outside.base_url)
    with (
        genai.Client(api_key="ab-wrong", http_options=options) as client,
        pytest.raises(errors.ClientError) as caught,
    ):
        client.models.generate_content(model=FLASH, contents="x")

    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
