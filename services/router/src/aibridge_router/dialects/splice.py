"""The few changes we make to a request that is otherwise passed on as it came."""

import re

import msgspec

from aibridge_common.dialect import Dialect
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


def lower_output_limit(body: bytes, dialect: Dialect, tokens: int) -> bytes:
    """`body` whose output limits are at most `tokens`; one that names none stays as it is. Raises `InvalidRequest`."""
    members = _members(body)
    lowered = msgspec.Raw(b"%d" % tokens)
    for name in _OUTPUT_LIMITS.get(dialect, ()):
        said = members.get(name)
        if said is not None and bytes(said).isdigit() and int(bytes(said)) > tokens:
            members[name] = lowered
    return msgspec.json.encode(members)


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
