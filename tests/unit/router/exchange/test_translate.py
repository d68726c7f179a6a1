"""A conversion keeps what the client must get back: its own names, its own words for errors."""

import json
from typing import Any

import msgspec
import pytest

from aibridge_common.catalog import Capabilities
from aibridge_common.dialect import Dialect
from aibridge_common.errors import (
    ContextOverflow,
    InvalidRequest,
    UpstreamFailed,
)
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import ToolCall
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.response import Answer, Stop
from aibridge_router.dialects.peek import Head
from aibridge_router.dialects.registry import CODECS, TOOL_NAMES
from aibridge_router.exchange.translate import Translation, translate

LONG = "mcp__a_server_with_a_long_name__" + "and_a_tool_with_a_longer_one_" * 3
NAMES = [LONG, "3d_print"]
CONTEXT = AnswerContext(request_id="req_" + "0" * 32, model="m", provider="p", created_s=1)
PROFILE = Profile(
    provider="p",
    upstream_model="m",
    context_tokens=200_000,
    max_output_tokens=1000,
    capabilities=Capabilities(),
)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
BODIES: dict[Dialect, Any] = {
    Dialect.OPENAI_CHAT: lambda name: {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": name, "parameters": SCHEMA}}],
    },
    Dialect.OPENAI_RESPONSES: lambda name: {
        "input": "hi",
        "tools": [{"type": "function", "name": name, "parameters": SCHEMA}],
    },
    Dialect.ANTHROPIC_MESSAGES: lambda name: {
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": name, "input_schema": SCHEMA}],
    },
    Dialect.GEMINI_GENERATE: lambda name: {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": name, "parametersJsonSchema": SCHEMA}]}],
    },
}
PAIRS = [(c, u) for c in Dialect for u in Dialect if c is not u]


def translated(client: Dialect, upstream: Dialect, body: Any, **more: Any) -> Translation:
    full = json.dumps({"model": "m"} | body | more).encode()
    return translate(client, upstream, full, Head(model="m"), PROFILE, {})[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_tool_is_called_by_the_clients_own_name(
    client: Dialect, upstream: Dialect, name: str
) -> None:
    body = BODIES[client](name)
    translation, sent = translate(
        client, upstream, json.dumps({"model": "m"} | body).encode(), Head(model="m"), PROFILE, {}
    )
    vendors_name = TOOL_NAMES[upstream](name)
    assert vendors_name.encode() in sent
    call = ToolCall(id="call_1", name=vendors_name, arguments="{}")
    answer = Answer(id="a", model="m", blocks=[call], stop=Stop(reason="tool_use"))

    told, _ = translation.answer(CODECS[upstream].answer_to_wire(answer, CONTEXT), CONTEXT)
    assert f'"{name}"'.encode() in told


class TestARefusalOfTheVendor:
    def refused(self, client: Dialect, status: int, body: Any) -> Any:
        translation = translated(client, Dialect.OPENAI_CHAT, BODIES[client]("t"))
        return translation.refusal(status, json.dumps(body).encode(), "sk-canary")

    def test_keeps_its_words(self) -> None:
        said = self.refused(
            Dialect.ANTHROPIC_MESSAGES, 400, {"error": {"message": "No such tool", "param": "x"}}
        )

        assert isinstance(said, InvalidRequest)
        assert (said.message, said.param) == ("No such tool", "x")

    def test_about_the_context_is_what_claude_code_reads(self) -> None:
        message = (
            "This model's maximum context length is 128000 tokens. However, you asked for 130012."
        )
        said = self.refused(
            Dialect.ANTHROPIC_MESSAGES,
            400,
            {"error": {"message": message, "code": "context_length_exceeded"}},
        )

        assert isinstance(said, ContextOverflow)
        assert said.message == "prompt is too long: 130012 tokens > 128000 maximum"

    def test_about_too_many_requests_of_ours_is_not_passed_on(self) -> None:
        assert self.refused(Dialect.GEMINI_GENERATE, 429, {"error": {"message": "Slow"}}) is None

    def test_never_shows_our_key(self) -> None:
        said = self.refused(
            Dialect.ANTHROPIC_MESSAGES, 400, {"error": {"message": "bad sk-canary"}}
        )

        assert said.message == "bad [redacted]"

    def test_about_our_key_is_not_passed_on(self) -> None:
        assert self.refused(Dialect.ANTHROPIC_MESSAGES, 401, {"error": {"message": "x"}}) is None


class TestWhatNoConversionServes:
    @pytest.mark.parametrize(("field", "value"), [("n", 2), ("logprobs", True)])
    def test_is_named(self, field: str, value: object) -> None:
        with pytest.raises(InvalidRequest) as caught:
            translated(
                Dialect.OPENAI_CHAT,
                Dialect.ANTHROPIC_MESSAGES,
                BODIES[Dialect.OPENAI_CHAT]("t"),
                **{field: value},
            )

        assert caught.value.param == field

    def test_a_body_of_65_levels_is_refused_before_it_is_walked(self) -> None:
        deep: Any = {}
        for _ in range(70):
            deep = {"a": deep}
        with pytest.raises(InvalidRequest, match="64 levels"):
            translated(
                Dialect.OPENAI_CHAT,
                Dialect.ANTHROPIC_MESSAGES,
                BODIES[Dialect.OPENAI_CHAT]("t"),
                metadata=deep,
            )


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_started_stream_ends_in_the_clients_own_error(client: Dialect, upstream: Dialect) -> None:
    translation = translated(client, upstream, BODIES[client]("t"))
    stream = translation.stream(CONTEXT)
    error = UpstreamFailed("cut")

    ended = translation.stream_error(error, CONTEXT, stream)
    assert b"cut" in ended
    assert b"[DONE]" not in ended
    assert b"message_stop" not in ended
    assert translation.stream_error(error, CONTEXT, stream) == b""


def test_a_usage_that_comes_after_the_end_still_counts() -> None:
    translation = translated(
        Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_CHAT, BODIES[Dialect.ANTHROPIC_MESSAGES]("t")
    )
    stream = translation.stream(CONTEXT)
    chunk = {
        "id": "c",
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
    stream.feed(b"data: [DONE]\n\ndata: " + msgspec.json.encode(chunk) + b"\n\n")

    assert stream.usage is not None
    assert (stream.usage.input, stream.usage.output, stream.usage_is_final) == (3, 4, True)
