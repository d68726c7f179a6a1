"""OpenAI's own SDK against the gateway, on the unified and on the native routes."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from aibridge_sandbox.script import directive
from tests.fixtures.outside import Outside

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(params=["/v1", "/v1/openai"])
def client(request: pytest.FixtureRequest, outside: Outside) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=outside.base_url + request.param, api_key=outside.key, max_retries=0
    ) as sdk:
        yield sdk


class TestChat:
    def test_answers_whole(self, client: openai.OpenAI, outside: Outside) -> None:
        answer = client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello there"}]
        )
        completion = answer.parse()

        assert completion.model == "gpt-4o"
        assert "Hello there" in (completion.choices[0].message.content or "")
        row = outside.settled(answer.headers["x-aibridge-request-id"])
        assert completion.usage is not None
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (
            row.usage.input,
            row.usage.output,
        )

    def test_streams(self, client: openai.OpenAI) -> None:
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
        )

        assert "Hello" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert chunks[-1].choices[0].finish_reason == "stop"

    def test_hides_usage_that_was_not_asked_for_and_charges_it_all_the_same(
        self, client: openai.OpenAI, outside: Outside
    ) -> None:
        stream = client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        chunks = list(stream.parse())

        assert [chunk for chunk in chunks if chunk.usage is not None] == []
        assert outside.settled(stream.headers["x-aibridge-request-id"]).usage_source == "final"

    def test_shows_usage_that_was_asked_for(self, client: openai.OpenAI) -> None:
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": "Hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )

        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens > 0

    def test_runs_a_tool_loop(self, client: openai.OpenAI) -> None:
        question: list[Any] = [
            {"role": "user", "content": directive(tool="weather") + " Weather in Paris?"}
        ]
        first = client.chat.completions.create(
            model="gpt-4o",
            messages=question,
            tools=[WEATHER],  # pyright: ignore[reportArgumentType]
        )
        call = (first.choices[0].message.tool_calls or [])[0]
        assert first.choices[0].finish_reason == "tool_calls"
        assert call.type == "function"
        assert "city" in json.loads(call.function.arguments)

        history: list[Any] = [
            *question,
            first.choices[0].message.model_dump(exclude_none=True, exclude={"annotations"}),
            {"role": "tool", "tool_call_id": call.id, "content": "21 degrees and sunny"},
        ]
        second = client.chat.completions.create(
            model="gpt-4o",
            messages=history,
            tools=[WEATHER],  # pyright: ignore[reportArgumentType]
        )

        assert "21 degrees" in (second.choices[0].message.content or "")


class TestResponses:
    def test_answers_whole(self, client: openai.OpenAI, outside: Outside) -> None:
        answer = client.responses.with_raw_response.create(model="gpt-4o", input="Hello there")
        response = answer.parse()

        assert "Hello there" in response.output_text
        row = outside.settled(answer.headers["x-aibridge-request-id"])
        assert response.usage is not None
        assert response.usage.output_tokens == row.usage.output + row.usage.reasoning

    def test_streams(self, client: openai.OpenAI) -> None:
        with client.responses.stream(model="gpt-4o", input="Hello") as stream:
            events = list(stream)
            final = stream.get_final_response()

        assert events[-1].type == "response.completed"
        assert "Hello" in final.output_text

    def test_calls_a_tool(self, client: openai.OpenAI) -> None:
        tool: Any = {"type": "function", "name": "weather", "strict": True} | {
            "parameters": WEATHER["function"]["parameters"]
        }
        response = client.responses.create(
            model="gpt-4o", input=directive(tool="weather") + " Paris?", tools=[tool]
        )

        assert [i.name for i in response.output if i.type == "function_call"] == ["weather"]


def test_lists_the_models(client: openai.OpenAI) -> None:
    assert {"gpt-4o", "gpt-4o-mini"} <= {model.id for model in client.models.list()}


def test_a_wrong_key_is_an_authentication_error_at_once(outside: Outside) -> None:
    with (
        openai.OpenAI(base_url=outside.base_url + "/v1", api_key="ab-wrong") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()

    assert caught.value.code == "invalid_api_key"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such", messages=[{"role": "user", "content": "x"}])

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
