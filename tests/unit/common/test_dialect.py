"""Which path is which endpoint: the table that the gateway and the router share."""

import pytest

from aibridge_common.dialect import EXACT, Dialect, Endpoint, Operation, Surface, find_endpoint

OPENAI, ANTHROPIC, GEMINI = Surface.OPENAI, Surface.ANTHROPIC, Surface.GEMINI
GENERATE, COUNT = Operation.GENERATE, Operation.COUNT_TOKENS
CHAT, RESPONSES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES
MESSAGES, GENERATE_CONTENT = Dialect.ANTHROPIC_MESSAGES, Dialect.GEMINI_GENERATE


def gemini(operation: Operation, model: str, *, stream: bool) -> Endpoint:
    return Endpoint(
        surface=GEMINI,
        operation=operation,
        dialect=GENERATE_CONTENT,
        model=model,
        stream=stream,
    )


class TestFindEndpoint:
    @pytest.mark.parametrize(
        ("path", "surface", "operation", "dialect"),
        [
            ("/v1/chat/completions", OPENAI, GENERATE, CHAT),
            ("/v1/responses", OPENAI, GENERATE, RESPONSES),
            ("/v1/messages", ANTHROPIC, GENERATE, MESSAGES),
            ("/v1/messages/count_tokens", ANTHROPIC, COUNT, MESSAGES),
            ("/v1/v1/messages", ANTHROPIC, GENERATE, MESSAGES),
            ("/v1/v1/messages/count_tokens", ANTHROPIC, COUNT, MESSAGES),
            ("/v1/models", OPENAI, Operation.LIST_MODELS, None),
            ("/v1beta/models", GEMINI, Operation.LIST_MODELS, None),
        ],
    )
    def test_fixed_paths(
        self, path: str, surface: Surface, operation: Operation, dialect: Dialect | None
    ) -> None:
        expected = Endpoint(surface=surface, operation=operation, dialect=dialect)

        assert find_endpoint(path) == expected

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (":generateContent", gemini(GENERATE, "gemini-2.5-pro", stream=False)),
            (":streamGenerateContent", gemini(GENERATE, "gemini-2.5-pro", stream=True)),
            (":countTokens", gemini(COUNT, "gemini-2.5-pro", stream=False)),
        ],
    )
    @pytest.mark.parametrize("prefix", ["/v1beta", "/v1"])
    def test_gemini_names_model_and_verb(self, prefix: str, path: str, expected: Endpoint) -> None:
        assert find_endpoint(f"{prefix}/models/gemini-2.5-pro{path}") == expected

    @pytest.mark.parametrize(
        ("path", "surface", "model"),
        [
            ("/v1/models/gpt-4o", OPENAI, "gpt-4o"),
            ("/v1/models/ft:gpt-4o:acme", OPENAI, "ft:gpt-4o:acme"),
            ("/v1/models/vendor/name", OPENAI, "vendor/name"),
            ("/v1beta/models/gemini-2.5-pro", GEMINI, "gemini-2.5-pro"),
            ("/v1beta/models/gemini-2.5-pro:embedContent", GEMINI, "gemini-2.5-pro:embedContent"),
        ],
    )
    def test_one_model(self, path: str, surface: Surface, model: str) -> None:
        """A colon belongs to the name unless a verb that we serve follows it."""
        expected = Endpoint(surface=surface, operation=Operation.GET_MODEL, model=model)

        assert find_endpoint(path) == expected

    def test_model_with_a_colon_and_a_verb(self) -> None:
        found = find_endpoint("/v1beta/models/ft:gemini:generateContent")

        assert found == gemini(GENERATE, "ft:gemini", stream=False)

    @pytest.mark.parametrize(
        ("path", "operation", "dialect", "rest"),
        [
            ("/chat/completions", GENERATE, CHAT, "/chat/completions"),
            ("/responses", GENERATE, RESPONSES, "/responses"),
            ("/models", Operation.LIST_MODELS, None, ""),
            ("/embeddings", Operation.PASSTHROUGH, None, "/embeddings"),
            ("/responses/r_1/cancel", Operation.PASSTHROUGH, None, "/responses/r_1/cancel"),
            ("/messages", Operation.PASSTHROUGH, None, "/messages"),
        ],
    )
    def test_native_paths(
        self, path: str, operation: Operation, dialect: Dialect | None, rest: str
    ) -> None:
        """Everything below the native prefix stays with its provider."""
        found = find_endpoint("/v1/openai" + path)

        assert found == Endpoint(
            surface=OPENAI, operation=operation, dialect=dialect, native=True, rest=rest
        )

    def test_native_model(self) -> None:
        found = find_endpoint("/v1/openai/models/gpt-4o")

        assert found == Endpoint(
            surface=OPENAI, operation=Operation.GET_MODEL, native=True, model="gpt-4o"
        )

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/message",
            "/v1/messages/",
            "/v1/messages/batches",
            "/v1/chat/completions/",
            "/V1/messages",
            "/v1/modelsx",
            "/v1beta",
            "/v1beta/modelsx",
            "/v2/models",
            "/v1/openai",
            "/v1/openaix/responses",
            "v1/messages",
            "//v1/messages",
            "/v1/v1/chat/completions",
            "/livez",
        ],
    )
    def test_nothing_there(self, path: str) -> None:
        """A path is served exactly or not at all."""
        assert find_endpoint(path) is None

    def test_every_exact_path_is_found(self) -> None:
        assert {path: find_endpoint(path) for path in EXACT} == EXACT
