"""A plan says where a request goes, by which path, with which bytes."""

import json

import pytest

from aibridge_common.catalog import Model, MultiplierTexts
from aibridge_common.dialect import Dialect, find_endpoint
from aibridge_common.errors import (
    AIBridgeError,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    Unavailable,
)
from aibridge_router.catalog.registry import Registry
from aibridge_router.exchange.asked import METERED_PASSTHROUGH, read_asked
from aibridge_router.exchange.plan import Plan, plan_attempt

from .scene import registry

REGISTRY = registry("https://vendor.example")
GEMINI = "/v1beta/models/gemini-a:"


def plan(path: str, body: bytes, query: bytes = b"", *, catalog: Registry = REGISTRY) -> Plan:
    endpoint = find_endpoint(path)
    assert endpoint is not None
    asked = read_asked(endpoint, catalog, body, query)
    return plan_attempt(asked, catalog.target(asked.head.model))


def refused(kind: type[AIBridgeError], path: str, body: bytes) -> AIBridgeError:
    with pytest.raises(kind) as refusal:
        plan(path, body)
    return refusal.value


class TestForeignState:
    """A client gives back what another vendor thought; its own vendor would refuse that."""

    def test_is_left_out_by_the_hub(self) -> None:
        thought = {"type": "thinking", "thinking": "Hm", "signature": "aib1.openai.eA"}
        body = {
            "model": "claude-a",
            "max_tokens": 10,
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [thought, {"type": "text", "text": "hello"}]},
                {"role": "user", "content": "go on"},
            ],
        }
        planned = plan("/v1/messages", json.dumps(body).encode())

        assert b"aib1." not in planned.body
        assert b"hello" in planned.body
        assert planned.carriage.dropped == ("thinking",)
        assert planned.path == "/v1/messages"

    def test_of_the_vendors_own_passes_as_bytes(self) -> None:
        thought = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
        body = json.dumps(
            {"model": "claude-a", "messages": [{"role": "assistant", "content": [thought]}]}
        ).encode()

        assert plan("/v1/messages", body).body == body


class TestSameDialect:
    @pytest.mark.parametrize(
        ("path", "model", "sent_to"),
        [
            ("/v1/chat/completions", "gpt-a", "/v1/chat/completions"),
            ("/v1/openai/chat/completions", "gpt-a", "/v1/chat/completions"),
            ("/v1/responses", "gpt-a", "/v1/responses"),
            ("/v1/openai/responses", "gpt-a", "/v1/responses"),
            ("/v1/messages", "claude-a", "/v1/messages"),
            ("/v1/v1/messages", "claude-a", "/v1/messages"),
            ("/v1/chat/completions", "claude-a", "/v1/chat/completions"),
            ("/v1/chat/completions", "gpt-alias", "/v1/chat/completions"),
        ],
    )
    def test_the_body_goes_as_it_came(self, path: str, model: str, sent_to: str) -> None:
        body = b' {"model": "%s",  "x": 1.10}' % model.encode()
        planned = plan(path, body)

        assert planned.path == sent_to
        assert planned.target.model.id == model.replace("alias", "a")
        if model != "gpt-alias":
            assert planned.body == body

    def test_an_alias_is_sent_as_what_it_stands_for(self) -> None:
        planned = plan("/v1/responses", b'{"model":"gpt-alias","x":[1.10]}')

        assert planned.body == b'{"model":"gpt-a","x":[1.10]}'

    def test_a_vendors_own_name_is_sent(self) -> None:
        assert plan("/v1/responses", b'{"model":"gpt-b"}').body == b'{"model":"gpt-b-2026"}'

    def test_a_chat_stream_always_asks_for_usage(self) -> None:
        body = b'{"model":"gpt-b","stream":true}'

        assert json.loads(plan("/v1/chat/completions", body).body) == {
            "model": "gpt-b-2026",
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        assert plan("/v1/responses", body).body == b'{"model":"gpt-b-2026","stream":true}'

    @pytest.mark.parametrize(
        ("path", "model", "bearer"),
        [
            ("/v1/chat/completions", "claude-a", True),
            ("/v1/chat/completions", "gemini-a", True),
            ("/v1/chat/completions", "gpt-a", False),
            ("/v1/messages", "claude-a", False),
        ],
    )
    def test_a_compatible_endpoint_gets_its_key_as_a_bearer(
        self, path: str, model: str, bearer: bool
    ) -> None:
        assert plan(path, b'{"model":"%s"}' % model.encode()).bearer == bearer

    @pytest.mark.parametrize(
        ("query", "suffix"), [(b"", ""), (b"beta=true", "?beta=true"), (b"x=1&key=2", "")]
    )
    def test_only_the_beta_of_a_messages_query_travels(self, query: bytes, suffix: str) -> None:
        planned = plan("/v1/messages", b'{"model":"claude-a"}', query)

        assert planned.path == "/v1/messages" + suffix


class TestGemini:
    @pytest.mark.parametrize(
        ("verb", "query", "sent_to"),
        [
            ("generateContent", b"", "gemini-a-001:generateContent"),
            ("streamGenerateContent", b"", "gemini-a-001:streamGenerateContent"),
            ("streamGenerateContent", b"alt=sse", "gemini-a-001:streamGenerateContent?alt=sse"),
            (
                "streamGenerateContent",
                b"key=s&alt=sse&x=1",
                "gemini-a-001:streamGenerateContent?alt=sse",
            ),
        ],
    )
    def test_the_path_names_the_vendors_model(self, verb: str, query: bytes, sent_to: str) -> None:
        planned = plan(GEMINI + verb, b'{"contents":[]}', query)

        assert planned.path == f"/v1beta/models/{sent_to}"
        assert planned.body == b'{"contents":[]}'


class TestNative:
    @pytest.mark.parametrize("model", ["claude-a", "gemini-a"])
    @pytest.mark.parametrize("path", ["chat/completions", "responses", "embeddings"])
    def test_another_vendors_model_is_refused(self, path: str, model: str) -> None:
        refusal = refused(InvalidRequest, f"/v1/openai/{path}", b'{"model":"%s"}' % model.encode())

        assert refusal.param == "model"

    @pytest.mark.parametrize("path", sorted(METERED_PASSTHROUGH))
    def test_what_can_be_metered_passes(self, path: str) -> None:
        planned = plan(f"/v1/openai{path}", b'{"model":"gpt-b"}')

        assert (planned.path, planned.body) == (f"/v1{path}", b'{"model":"gpt-b-2026"}')

    @pytest.mark.parametrize(
        "path",
        [
            "images/generations",
            "files",
            "embeddings/../files",
            "audio/speech",
            "assistants",
            "v1/x",
        ],
    )
    def test_nothing_else_does(self, path: str) -> None:
        refused(NotFound, f"/v1/openai/{path}", b'{"model":"gpt-a"}')

    def test_a_stream_there_cannot_be_metered(self) -> None:
        refusal = refused(
            InvalidRequest, "/v1/openai/completions", b'{"model":"gpt-a","stream":true}'
        )

        assert refusal.param == "stream"


class TestUnknown:
    @pytest.mark.parametrize(
        "path",
        ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/openai/chat/completions"],
    )
    def test_a_model_nobody_knows_is_a_404(self, path: str) -> None:
        assert refused(ModelNotFound, path, b'{"model":"nobody"}').message == "model: nobody"

    def test_the_same_for_a_model_in_the_path(self) -> None:
        refused(ModelNotFound, "/v1beta/models/nobody:generateContent", b"{}")


class TestRegistry:
    def test_a_model_without_a_key_is_not_served(self) -> None:
        catalog = Registry(REGISTRY.models, list(REGISTRY._providers.values()), {}, [])
        with pytest.raises(Unavailable, match="no OpenAI key"):
            plan("/v1/responses", b'{"model":"gpt-a"}', catalog=catalog)

    def test_a_model_without_a_price_is_not_served(self) -> None:
        """A default price would sell it for the wrong amount."""
        catalog = Registry(REGISTRY.models, list(REGISTRY._providers.values()), REGISTRY._keys, [])
        with pytest.raises(Unavailable, match="no price"):
            plan("/v1/responses", b'{"model":"gpt-a"}', catalog=catalog)

    def test_the_asked_dialect_is_spoken_where_the_provider_does(self) -> None:
        target = REGISTRY.target("claude-a")

        assert target.dialect_for(Dialect.ANTHROPIC_MESSAGES) is Dialect.ANTHROPIC_MESSAGES
        assert target.dialect_for(Dialect.OPENAI_CHAT) is Dialect.OPENAI_CHAT
        assert target.dialect_for(Dialect.GEMINI_GENERATE) is Dialect.ANTHROPIC_MESSAGES

    def test_aliases_find_their_model(self) -> None:
        model = Model(
            id="m",
            title="M",
            provider="openai",
            aliases=["a", "b"],
            context_tokens=1,
            max_output_tokens=1,
            multipliers=MultiplierTexts(input="1", output="1"),
        )
        catalog = Registry([model], list(REGISTRY._providers.values()), {}, [])

        assert [catalog.find(name) for name in ("m", "a", "b")] == [model] * 3
