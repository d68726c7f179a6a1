"""A Chat Completions request, read and checked."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from aibridge_tinyllm.chat_template import Turn
from aibridge_tinyllm.refusal import Refusal
from aibridge_tinyllm.sampling import Sampling

OUTPUT_TOKENS_MAX = 1024
"""Where the client sets no limit: a small model may repeat itself for ever."""

_Limit = Annotated[int, Meta(ge=1)]
_Stop = Annotated[str, Meta(min_length=1)]


class _Part(Struct, frozen=True, kw_only=True):
    type: str
    text: str = ""


class _Message(Struct, frozen=True, kw_only=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part] | None = None


class _StreamOptions(Struct, frozen=True, kw_only=True):
    include_usage: bool | None = None


class _Format(Struct, frozen=True, kw_only=True):
    type: str = "text"


class _Body(Struct, frozen=True, kw_only=True):
    """What is not named here is ignored, as are penalties; what would change the answer is refused below."""

    model: str
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Limit | None = None
    max_completion_tokens: _Limit | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: _Stop | Annotated[list[_Stop], Meta(max_length=4)] | None = None
    n: int | None = None
    logprobs: bool | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: _Format | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """What a client wants."""

    model: str
    turns: tuple[Turn, ...]
    sampling: Sampling
    output_tokens_max: int
    stops: tuple[str, ...]
    stream: bool
    include_usage: bool


_DECODER = msgspec.json.Decoder(_Body)


def read_ask(body: bytes) -> Ask:
    """Raises `Refusal` naming what is wrong."""
    try:
        read = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise Refusal(
            400, str(error), param=place.rstrip("`") or _missing(message), code="invalid_value"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"We could not parse the JSON body of your request: {error}") from None
    _check(read)
    options, usual = read.stream_options, Sampling()
    return Ask(
        model=read.model,
        turns=tuple(_turn(message, index) for index, message in enumerate(read.messages)),
        sampling=Sampling(
            temperature=usual.temperature if read.temperature is None else read.temperature,
            top_p=usual.top_p if read.top_p is None else read.top_p,
            seed=read.seed,
        ),
        output_tokens_max=read.max_completion_tokens or read.max_tokens or OUTPUT_TOKENS_MAX,
        stops=(read.stop,) if isinstance(read.stop, str) else tuple(read.stop or ()),
        stream=bool(read.stream),
        include_usage=bool(options and options.include_usage),
    )


def _check(read: _Body) -> None:
    unsupported = {
        "n": read.n not in {None, 1},
        "logprobs": read.logprobs,
        "tools": read.tools,
        "functions": read.functions,
        "response_format": read.response_format and read.response_format.type != "text",
    }
    for param, asked in unsupported.items():
        if asked:
            message = f"Unsupported parameter: '{param}' is not supported with this model."
            raise Refusal(400, message, param=param, code="unsupported_parameter")
    if read.stream_options is not None and not read.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refusal(400, message, param="stream_options", code="invalid_value")


def _turn(message: _Message, index: int) -> Turn:
    role = "system" if message.role == "developer" else message.role
    if not isinstance(message.content, list):
        return Turn(role=role, text=message.content or "")
    for part in message.content:
        if part.type != "text":
            raise Refusal(
                400,
                f"This model reads text only, not '{part.type}'.",
                param=f"messages[{index}].content",
                code="invalid_value",
            )
    return Turn(role=role, text="\n".join(part.text for part in message.content))


def _missing(message: str) -> str | None:
    """The field's name in msgspec's words for one that is not there."""
    before, _, rest = message.partition("missing required field `")
    return None if before == message else rest.partition("`")[0]
