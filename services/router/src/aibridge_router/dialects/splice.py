"""The few changes we make to a request that is otherwise passed on as it came."""

import re

import msgspec

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InsufficientBalance
from aibridge_router.dialects.body import invalid_body
from aibridge_router.dialects.peek import Head

_INCLUDE_USAGE = b'"stream_options":{"include_usage":true},'
_OPENING = re.compile(rb"\s*\{")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def rename_model(body: bytes, model: str) -> bytes:
    """`body` with its top-level `model` replaced; nested bytes stay as they came. Raises `InvalidRequest`."""
    members = _members(body)
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(members)


def ask_for_usage(body: bytes, head: Head) -> bytes:
    """`body` with `stream_options.include_usage` on, whatever the client said about it. Raises `InvalidRequest`."""
    if not head.has_stream_options:
        opening = _OPENING.match(body)
        if opening is not None:
            return body[: opening.end()] + _INCLUDE_USAGE + body[opening.end() :]
    members = _members(body)
    options = msgspec.json.decode(
        members.get("stream_options", b"null"), type=dict[str, msgspec.Raw] | None
    )
    options = options or {}
    options["include_usage"] = msgspec.Raw(b"true")
    members["stream_options"] = msgspec.Raw(msgspec.json.encode(options))
    return msgspec.json.encode(members)


_OUTPUT_LIMITS: dict[Dialect, tuple[str, ...]] = {
    Dialect.OPENAI_CHAT: ("max_completion_tokens", "max_tokens"),
    Dialect.OPENAI_RESPONSES: ("max_output_tokens",),
    Dialect.ANTHROPIC_MESSAGES: ("max_tokens",),
}
"""What limits the output; the first is what is added where none is said."""
_GEMINI_CONFIGS = ("generationConfig", "generation_config")
_GEMINI_LIMITS = ("maxOutputTokens", "max_output_tokens")

LEGACY_COMPLETION_LIMITS = ("max_tokens",)


def limit_output(body: bytes, dialect: Dialect, tokens: int) -> bytes:
    """`body` whose answer may have no more than `tokens`, whether it named a limit or not.

    Raises `InvalidRequest`, and `InsufficientBalance` where it asks for more thinking than that.
    """
    if dialect is not Dialect.GEMINI_GENERATE:
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            _refuse_longer_thinking(body, tokens)
        return limit_members(body, _OUTPUT_LIMITS[dialect], tokens)
    members = _members(body)
    for name in [name for name in _GEMINI_CONFIGS if name in members] or _GEMINI_CONFIGS[:1]:
        said = bytes(members.get(name, b"null"))
        config = b"{}" if said == b"null" else said
        members[name] = msgspec.Raw(limit_members(config, _GEMINI_LIMITS, tokens))
    return msgspec.json.encode(members)


def limit_members(body: bytes, names: tuple[str, ...], tokens: int) -> bytes:
    """`body` in which none of the members `names` is more than `tokens`, and one of them is there."""
    members = _members(body)
    limit = msgspec.Raw(b"%d" % tokens)
    said = [name for name in names if bytes(members.get(name, b"null")) != b"null"]
    for name in said or names[:1]:
        value = bytes(members.get(name, b"null"))
        if not (value.isdigit() and int(value) <= tokens):
            members[name] = limit
    return msgspec.json.encode(members)


class _Thinking(msgspec.Struct, frozen=True):
    budget_tokens: int = 0


class _Thinks(msgspec.Struct, frozen=True):
    thinking: _Thinking | None = None


def _refuse_longer_thinking(body: bytes, tokens: int) -> None:
    """Its vendor refuses a budget that is not below the limit, in words that would blame the request."""
    try:
        thinking = msgspec.json.decode(body, type=_Thinks).thinking
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    if thinking is not None and thinking.budget_tokens >= tokens:
        raise InsufficientBalance(
            f"the token balance covers {tokens} tokens of answer, and thinking.budget_tokens asks for"
            f" {thinking.budget_tokens}; buy tokens or lower it"
        )


def name_provider(document: bytes, provider: str) -> bytes:
    """A JSON object with `provider` as its first member (the guide promises it on chat answers)."""
    opening = _OPENING.match(document)
    if opening is None:
        return document
    rest = document[opening.end() :]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return b'{"provider":' + msgspec.json.encode(provider) + comma + rest


def tell_in_last(frames: bytes, name: str, value: object) -> bytes:
    """`frames` whose last document has one more member, in front; frames without a document stay as they are."""
    at = max(frames.rfind(b"data: {"), frames.rfind(b"data:{"))
    if at < 0:
        return frames
    brace = frames.index(b"{", at) + 1
    comma = b"" if frames[brace:].lstrip().startswith(b"}") else b","
    member = msgspec.json.encode(name) + b":" + msgspec.json.encode(value)
    return frames[:brace] + member + comma + frames[brace:]


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
