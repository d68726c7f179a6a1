"""The few fields of a request that routing and holding need; everything else is skipped, not decoded."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.dialects.body import invalid_body

Count = Annotated[int, Meta(ge=1, le=100_000_000)]
Choices = Annotated[int, Meta(ge=1, le=8)]
_MODEL_CHARACTERS_MAX = 200


class _ModelName:
    """The `model` of a body. A type of our own, so that the decoder tells us of each time it is given.

    Two readers of a body that names two models may believe different ones; what is priced must be what is served.
    """

    __slots__ = ("text",)

    def __init__(self, text: object) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Expected `str`, got `{type(text).__name__}`")
        if not 0 < len(text) <= _MODEL_CHARACTERS_MAX:
            raise ValueError(f"Expected 1 to {_MODEL_CHARACTERS_MAX} characters")
        self.text = text


_models_given: list[_ModelName] = []
"""By the body that is being decoded. Decoding never waits, so no two bodies meet here."""


def _note_model(kind: type, value: object) -> _ModelName:
    assert kind is _ModelName, kind
    name = _ModelName(value)
    _models_given.append(name)
    return name


class Head(Struct, frozen=True, kw_only=True):
    """What a request asks for, whatever its dialect.

    `usage_asked` is False where an OpenAI Chat stream did not ask for its usage; we then ask and hide the answer.
    """

    model: str
    stream: bool = False
    output_tokens_max: int | None = None
    choices: int = 1
    usage_asked: bool = True
    has_stream_options: bool = False


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class _Chat(Struct, frozen=True):
    model: _ModelName
    stream: bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    n: Choices | None = None
    stream_options: _StreamOptions | UnsetType | None = UNSET


class _Responses(Struct, frozen=True):
    model: _ModelName
    stream: bool | None = None
    max_output_tokens: Count | None = None
    background: bool | None = None


class _Messages(Struct, frozen=True):
    model: _ModelName
    stream: bool | None = None
    max_tokens: Count | None = None


class _GenerationConfig(Struct, frozen=True, rename="camel"):
    """The vendor reads protobuf's JSON, where each field has two spellings."""

    max_output_tokens: Count | None = None
    candidate_count: Choices | None = None
    max_output_tokens_snake: Count | None = field(name="max_output_tokens", default=None)
    candidate_count_snake: Choices | None = field(name="candidate_count", default=None)


class _Gemini(Struct, frozen=True, rename="camel"):
    generation_config: _GenerationConfig | None = None
    generation_config_snake: _GenerationConfig | None = field(
        name="generation_config", default=None
    )


class _Any(Struct, frozen=True):
    model: _ModelName
    stream: bool | None = None


_decode_chat = msgspec.json.Decoder(_Chat, dec_hook=_note_model).decode
_decode_responses = msgspec.json.Decoder(_Responses, dec_hook=_note_model).decode
_decode_messages = msgspec.json.Decoder(_Messages, dec_hook=_note_model).decode
_decode_gemini = msgspec.json.Decoder(_Gemini).decode
_decode_any = msgspec.json.Decoder(_Any, dec_hook=_note_model).decode


def _peek_chat(body: bytes) -> Head:
    head = _decode_chat(body)
    options = head.stream_options
    return Head(
        model=head.model.text,
        stream=bool(head.stream),
        output_tokens_max=head.max_completion_tokens or head.max_tokens,
        choices=head.n or 1,
        usage_asked=not head.stream or bool(options and options.include_usage),
        has_stream_options=options is not UNSET,
    )


def _peek_responses(body: bytes) -> Head:
    head = _decode_responses(body)
    if head.background:
        raise InvalidRequest("background responses are not served here", param="background")
    return Head(
        model=head.model.text, stream=bool(head.stream), output_tokens_max=head.max_output_tokens
    )


def _peek_messages(body: bytes) -> Head:
    head = _decode_messages(body)
    return Head(model=head.model.text, stream=bool(head.stream), output_tokens_max=head.max_tokens)


def _peek_any(body: bytes) -> Head:
    head = _decode_any(body)
    return Head(model=head.model.text, stream=bool(head.stream))


_PEEKS: dict[Dialect | None, Callable[[bytes], Head]] = {
    Dialect.OPENAI_CHAT: _peek_chat,
    Dialect.OPENAI_RESPONSES: _peek_responses,
    Dialect.ANTHROPIC_MESSAGES: _peek_messages,
    None: _peek_any,
}


def peek(dialect: Dialect | None, body: bytes) -> Head:
    """Read the head of a request. Raises `InvalidRequest` naming the field that is wrong.

    The decoder skips what is not asked for and guards its own depth, so a body that passes as bytes is read once.
    """
    _refuse_empty(body)
    _models_given.clear()
    try:
        head = _PEEKS[dialect](body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    except RecursionError:
        raise InvalidRequest("the body nests too deep") from None
    if len(_models_given) > 1:
        raise InvalidRequest("model is given twice", param="model")
    return head


def peek_gemini(body: bytes, model: str, *, stream: bool) -> Head:
    """The same for Gemini, whose path names the model. Raises `InvalidRequest`."""
    _refuse_empty(body)
    try:
        gemini = _decode_gemini(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    except RecursionError:
        raise InvalidRequest("the body nests too deep") from None
    configs = [gemini.generation_config, gemini.generation_config_snake]
    said = [config for config in configs if config is not None]
    limits = [limit for c in said for limit in (c.max_output_tokens, c.max_output_tokens_snake)]
    counts = [count for c in said for count in (c.candidate_count, c.candidate_count_snake)]
    return Head(
        model=model,
        stream=stream,
        output_tokens_max=max(filter(None, limits), default=None),
        choices=max(filter(None, counts), default=1),
    )


def _refuse_empty(body: bytes) -> None:
    if not body:
        raise InvalidRequest("the body is empty; a JSON object is expected")
