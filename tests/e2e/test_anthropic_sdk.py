"""Anthropic's own SDK against the gateway."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from aibridge_sandbox.script import directive
from tests.fixtures.outside import Outside

SONNET = "claude-3-5-sonnet-20241022"
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@pytest.fixture
def client(outside: Outside) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=outside.base_url, api_key=outside.key, max_retries=0) as sdk:
        yield sdk


def test_answers_whole(client: anthropic.Anthropic, outside: Outside) -> None:
    answer = client.messages.with_raw_response.create(
        model=SONNET, max_tokens=200, messages=[{"role": "user", "content": "Hello there"}]
    )
    message = answer.parse()

    assert message.model == SONNET
    assert "Hello there" in "".join(b.text for b in message.content if b.type == "text")
    row = outside.settled(answer.headers["x-aibridge-request-id"])
    assert (message.usage.input_tokens, message.usage.output_tokens) == (
        row.usage.input,
        row.usage.output + row.usage.reasoning,
    )


def test_streams_text(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model=SONNET, max_tokens=200, messages=[{"role": "user", "content": "Hello there"}]
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert "Hello there" in text
    assert (final.stop_reason or "", final.usage.output_tokens) > ("end_turn", 0)


def test_streams_a_tool_call(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model=SONNET,
        max_tokens=200,
        tools=[WEATHER],  # pyright: ignore[reportArgumentType]
        messages=[{"role": "user", "content": directive(tool="weather") + " Paris?"}],
    ) as stream:
        final = stream.get_final_message()

    assert final.stop_reason == "tool_use"
    assert [block.name for block in final.content if block.type == "tool_use"] == ["weather"]


def test_charges_cache_writes_and_reads_apart(
    client: anthropic.Anthropic, outside: Outside
) -> None:
    system: Any = [
        {
            "type": "text",
            "text": "You know a great deal about bridges. " * 400,
            "cache_control": {"type": "ephemeral"},
        }
    ]

    def ask() -> str:
        answer = client.messages.with_raw_response.create(
            model=SONNET,
            max_tokens=50,
            system=system,
            messages=[{"role": "user", "content": "How long?"}],
        )
        return answer.headers["x-aibridge-request-id"]

    first, second = outside.settled(ask()).usage, outside.settled(ask()).usage

    assert 0 < first.cache_write_5m == second.cache_read
    assert 0 == first.cache_read == second.cache_write_5m


def test_counts_tokens_without_charging(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(
        model=SONNET, messages=[{"role": "user", "content": "Hello there"}]
    )

    assert 0 < counted.input_tokens < 100


def test_lists_the_models_in_its_own_shape(client: anthropic.Anthropic) -> None:
    models = {model.id: model.display_name for model in client.models.list()}

    assert models[SONNET] == "Claude 3.5 Sonnet"


def test_an_alias_reaches_the_model_behind_it(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model="claude-3-5-haiku",
        max_tokens=20,
        messages=[{"role": "user", "content": "Hi"}],
    )

    assert message.model == "claude-3-5-haiku-20241022"


def test_a_key_of_ours_also_works_as_auth_token(outside: Outside) -> None:
    with anthropic.Anthropic(
        base_url=outside.base_url, auth_token=outside.key, api_key=None
    ) as client:
        assert list(client.models.list())


def test_a_wrong_key_is_an_authentication_error_and_never_retried(outside: Outside) -> None:
    with (
        anthropic.Anthropic(base_url=outside.base_url, api_key="ab-wrong") as client,
        pytest.raises(anthropic.AuthenticationError) as caught,
    ):
        client.messages.create(
            model=SONNET, max_tokens=9, messages=[{"role": "user", "content": "x"}]
        )

    assert caught.value.response.headers["x-should-retry"] == "false"
