"""Which code speaks which dialect."""

from collections.abc import Callable

from msgspec import Struct

from aibridge_common.dialect import Dialect, Surface
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import Codec
from aibridge_router.canonical.naming import short_tool_name
from aibridge_router.dialects.anthropic_messages import codec as messages_codec
from aibridge_router.dialects.anthropic_messages import passing as messages
from aibridge_router.dialects.gemini_generate import codec as gemini_codec
from aibridge_router.dialects.gemini_generate import passing as gemini
from aibridge_router.dialects.gemini_generate.tool_names import tool_name as gemini_tool_name
from aibridge_router.dialects.openai_chat import codec as chat_codec
from aibridge_router.dialects.openai_chat import passing as chat
from aibridge_router.dialects.openai_responses import codec as responses_codec
from aibridge_router.dialects.openai_responses import passing as responses
from aibridge_router.dialects.tap import StreamTap

SURFACES: dict[Dialect, Surface] = {
    Dialect.OPENAI_CHAT: Surface.OPENAI,
    Dialect.OPENAI_RESPONSES: Surface.OPENAI,
    Dialect.ANTHROPIC_MESSAGES: Surface.ANTHROPIC,
    Dialect.GEMINI_GENERATE: Surface.GEMINI,
}
TOOL_NAMES: dict[Dialect, Callable[[str], str]] = {
    Dialect.OPENAI_CHAT: lambda name: short_tool_name(name, 64),
    Dialect.OPENAI_RESPONSES: lambda name: short_tool_name(name, 64),
    Dialect.ANTHROPIC_MESSAGES: lambda name: short_tool_name(name, 128),
    Dialect.GEMINI_GENERATE: gemini_tool_name,
}
"""A tool's name as the vendors of a dialect take it."""

CODECS: dict[Dialect, Codec] = {
    Dialect.OPENAI_CHAT: chat_codec.CODEC,
    Dialect.OPENAI_RESPONSES: responses_codec.CODEC,
    Dialect.ANTHROPIC_MESSAGES: messages_codec.CODEC,
    Dialect.GEMINI_GENERATE: gemini_codec.CODEC,
}


class Passing(Struct, frozen=True, kw_only=True):
    """How a dialect's answers pass through."""

    answer_usage: Callable[[bytes], Usage | None]
    tap: Callable[[str | None, bool], StreamTap]
    """Takes the provider to name in the answer, and whether usage must be hidden."""


PASSING: dict[Dialect, Passing] = {
    Dialect.OPENAI_CHAT: Passing(
        answer_usage=chat.answer_usage,
        tap=lambda provider, hide: chat.ChatTap(provider=provider, hide_usage=hide),
    ),
    Dialect.OPENAI_RESPONSES: Passing(
        answer_usage=responses.answer_usage,
        tap=lambda _provider, _hide: responses.ResponsesTap(),
    ),
    Dialect.ANTHROPIC_MESSAGES: Passing(
        answer_usage=messages.answer_usage,
        tap=lambda _provider, _hide: messages.MessagesTap(),
    ),
    Dialect.GEMINI_GENERATE: Passing(
        answer_usage=gemini.answer_usage,
        tap=lambda _provider, _hide: gemini.GeminiTap(),
    ),
}
