"""Which public path speaks which dialect: the one table that the gateway and the router share."""

from enum import StrEnum

from msgspec import Struct


class Dialect(StrEnum):
    """How a client or an upstream talks."""

    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC_MESSAGES = "anthropic_messages"
    GEMINI_GENERATE = "gemini_generate"


class Surface(StrEnum):
    """Whose error envelope a client understands; two dialects share OpenAI's."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


class Operation(StrEnum):
    """What a call asks for."""

    GENERATE = "generate"
    COUNT_TOKENS = "count_tokens"
    LIST_MODELS = "list_models"
    GET_MODEL = "get_model"
    PASSTHROUGH = "passthrough"
    EXPLAIN = "explain"


class Endpoint(Struct, frozen=True, kw_only=True):
    """One public route.

    `native` routes (`/v1/openai/*`) stay byte-exact and never leave their provider's protocol.
    `model` and `verb` are set only where the path names them (Gemini, `/v1/models/{id}`).
    `rest` is the part of a native path behind its prefix.
    """

    surface: Surface
    operation: Operation
    dialect: Dialect | None = None
    native: bool = False
    model: str | None = None
    stream: bool | None = None
    rest: str = ""


_CHAT = Endpoint(surface=Surface.OPENAI, operation=Operation.GENERATE, dialect=Dialect.OPENAI_CHAT)
_RESPONSES = Endpoint(
    surface=Surface.OPENAI, operation=Operation.GENERATE, dialect=Dialect.OPENAI_RESPONSES
)
_MESSAGES = Endpoint(
    surface=Surface.ANTHROPIC, operation=Operation.GENERATE, dialect=Dialect.ANTHROPIC_MESSAGES
)
_COUNT_TOKENS = Endpoint(
    surface=Surface.ANTHROPIC, operation=Operation.COUNT_TOKENS, dialect=Dialect.ANTHROPIC_MESSAGES
)

NATIVE_PREFIX = "/v1/openai"

EXACT: dict[str, Endpoint] = {
    "/v1/chat/completions": _CHAT,
    "/v1/responses": _RESPONSES,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _COUNT_TOKENS,
    # People append /v1 to ANTHROPIC_BASE_URL, as other tools need it; Claude Code then doubles it.
    "/v1/v1/messages": _MESSAGES,
    "/v1/v1/messages/count_tokens": _COUNT_TOKENS,
    "/v1/models": Endpoint(surface=Surface.OPENAI, operation=Operation.LIST_MODELS),
    "/v1/route/explain": Endpoint(surface=Surface.OPENAI, operation=Operation.EXPLAIN),
    f"{NATIVE_PREFIX}/chat/completions": Endpoint(
        surface=Surface.OPENAI,
        operation=Operation.GENERATE,
        dialect=Dialect.OPENAI_CHAT,
        native=True,
        rest="/chat/completions",
    ),
    f"{NATIVE_PREFIX}/responses": Endpoint(
        surface=Surface.OPENAI,
        operation=Operation.GENERATE,
        dialect=Dialect.OPENAI_RESPONSES,
        native=True,
        rest="/responses",
    ),
    f"{NATIVE_PREFIX}/models": Endpoint(
        surface=Surface.OPENAI, operation=Operation.LIST_MODELS, native=True
    ),
}
"""Paths without a variable part: the hot ones are found by one dictionary lookup."""

_GEMINI_VERBS: dict[str, tuple[Operation, bool]] = {
    "generateContent": (Operation.GENERATE, False),
    "streamGenerateContent": (Operation.GENERATE, True),
    "countTokens": (Operation.COUNT_TOKENS, False),
}
_MODEL_PREFIXES = ("/v1beta/models", "/v1/models")


def find_endpoint(path: str) -> Endpoint | None:
    """The endpoint behind a public path, or None where nothing is served."""
    return EXACT.get(path) or _models_endpoint(path) or _native_endpoint(path)


def _models_endpoint(path: str) -> Endpoint | None:
    for prefix in _MODEL_PREFIXES:
        if path != prefix and not path.startswith(prefix + "/"):
            continue
        gemini = prefix == "/v1beta/models"
        surface = Surface.GEMINI if gemini else Surface.OPENAI
        name = path[len(prefix) + 1 :]
        if not name:
            return Endpoint(surface=surface, operation=Operation.LIST_MODELS)
        model, colon, verb = name.rpartition(":")
        if not colon or verb not in _GEMINI_VERBS:
            return Endpoint(surface=surface, operation=Operation.GET_MODEL, model=name)
        operation, stream = _GEMINI_VERBS[verb]
        return Endpoint(
            surface=Surface.GEMINI,
            operation=operation,
            dialect=Dialect.GEMINI_GENERATE,
            model=model,
            stream=stream,
        )
    return None


def _native_endpoint(path: str) -> Endpoint | None:
    if not path.startswith(NATIVE_PREFIX + "/"):
        return None
    rest = path[len(NATIVE_PREFIX) :]
    if rest.startswith("/models/"):
        return Endpoint(
            surface=Surface.OPENAI,
            operation=Operation.GET_MODEL,
            native=True,
            model=rest.removeprefix("/models/"),
        )
    return Endpoint(surface=Surface.OPENAI, operation=Operation.PASSTHROUGH, native=True, rest=rest)
