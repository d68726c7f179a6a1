"""Different dialects: the request goes through the hub to the vendor, the answer through the hub to the client."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from aibridge_common import envelopes
from aibridge_common.dialect import Dialect
from aibridge_common.errors import (
    AIBridgeError,
    ContextOverflow,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    PayloadTooLarge,
)
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext, StreamDecoder
from aibridge_router.canonical.content import Data
from aibridge_router.canonical.events import (
    Failed,
)
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.dialects.body import DEPTH_MAX, nested_too_deep
from aibridge_router.dialects.peek import Head
from aibridge_router.dialects.registry import CODECS, SURFACES, TOOL_NAMES
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.continuation import ContinuableStream, continued
from aibridge_router.exchange.inline import with_content
from aibridge_router.exchange.refusals import refusal_to_pass_on
from aibridge_router.exchange.translated import TranslatedStream

_NUMBER = re.compile(r"\d[\d,]{2,}")
_ERRORS: dict[str, type[AIBridgeError]] = {
    kind.code: kind for kind in (ContextOverflow, ModelNotFound, NotFound, PayloadTooLarge)
}


class Translation(Struct, frozen=True, kw_only=True):
    """See `Carriage`."""

    client: Dialect
    upstream: Dialect
    provider: str
    dropped: tuple[str, ...]
    show_usage: bool
    tool_names: dict[str, str]
    custom_tools: frozenset[str]
    context_tokens: int
    continuable: bool = False
    goes_on: tuple[ContinuableStream, Usage] | None = None
    """A stream that this answer continues, and what it has used so far."""

    def answer(self, body: bytes, context: AnswerContext) -> tuple[bytes, Usage | None]:
        """See `Carriage`."""
        answer = CODECS[self.upstream].answer_from_wire(body, self.provider)
        return CODECS[self.client].answer_to_wire(answer, self._told(context)), answer.usage

    def stream(self, context: AnswerContext) -> TranslatedStream:
        """See `Carriage`."""
        if self.goes_on is not None:
            stream, before = self.goes_on
            stream.go_on(self.decoder(), before)
            return stream
        kind = ContinuableStream if self.continuable else TranslatedStream
        return kind(self.decoder(), CODECS[self.client].encoder(self._told(context)))

    def decoder(self) -> StreamDecoder:
        """Reads what the vendor streams."""
        return CODECS[self.upstream].decoder(self.provider)

    def refusal(self, status: int, body: bytes, key: str) -> AIBridgeError | None:
        """The vendor's words in the client's envelope; other vendors' names and all, since they say what to change."""
        passed_on = refusal_to_pass_on(status, body, key)
        if passed_on is None:
            return None
        said = CODECS[self.upstream].error_from_wire(status, passed_on)
        kind = _ERRORS.get(said.code, InvalidRequest)
        message = self._overflow(said.message) if kind is ContextOverflow else said.message
        return kind(message, param=said.param)

    def stream_error(
        self, error: AIBridgeError, context: AnswerContext, stream: CarriedStream | None
    ) -> bytes:
        """See `Carriage`."""
        encoder = (
            stream.encoder
            if isinstance(stream, TranslatedStream)
            else CODECS[self.client].encoder(self._told(context))
        )
        kind = envelopes.kind_of(SURFACES[self.client], error)
        return encoder.feed(Failed(kind=kind, message=error.message))

    def _told(self, context: AnswerContext) -> AnswerContext:
        return msgspec.structs.replace(
            context,
            show_usage=self.show_usage,
            tool_names=self.tool_names,
            custom_tools=self.custom_tools,
        )

    def _overflow(self, message: str) -> str:
        """Claude Code compacts its history when it reads exactly this text, and parses the two numbers in it."""
        if self.client is not Dialect.ANTHROPIC_MESSAGES:
            return message
        numbers = sorted(int(n.replace(",", "")) for n in _NUMBER.findall(message))
        asked = numbers[-1] if len(numbers) > 1 else self.context_tokens + 1
        limit = numbers[-2] if len(numbers) > 1 else self.context_tokens
        return f"prompt is too long: {asked} tokens > {limit} maximum"


def translate(
    client: Dialect,
    upstream: Dialect,
    body: bytes,
    head: Head,
    profile: Profile,
    fetched: Mapping[str, Data],
    *,
    continuable: bool = False,
    delivered: str = "",
    output_max: int | None = None,
) -> tuple[Translation, bytes]:
    """The request for the vendor, and how its answer comes back; `delivered` is what the answer has to go on from.

    The answer may have no more than `output_max` tokens.

    Raises `InvalidRequest`, of which `CannotSay` is one, and `FetchFirst`.
    """
    request = with_content(_read(client, body, head), upstream, fetched)
    if request.choices > 1:
        raise CannotSay("n: one answer at a time is served for this model", param="n")
    if request.logprobs is not None:
        raise CannotSay("logprobs are not served for this model", param="logprobs")
    if delivered:
        request = continued(request, delivered, upstream, profile)
    if output_max is not None:
        limit = min(request.output_tokens_max or output_max, output_max)
        request = msgspec.structs.replace(request, output_tokens_max=limit)
    losses = Losses()
    upstream_body = CODECS[upstream].request_to_wire(request, profile, losses)
    translation = Translation(
        client=client,
        upstream=upstream,
        provider=profile.provider,
        dropped=losses.names,
        show_usage=request.usage_asked,
        tool_names=_renamed(request, upstream),
        custom_tools=frozenset(tool.name for tool in request.tools if tool.custom),
        context_tokens=profile.context_tokens,
        continuable=continuable,
    )
    return translation, upstream_body


def _read(client: Dialect, body: bytes, head: Head) -> Request:
    if nested_too_deep(body):
        raise InvalidRequest(f"the body nests deeper than {DEPTH_MAX} levels")
    request = CODECS[client].request_from_wire(body)
    if client is Dialect.GEMINI_GENERATE:
        return msgspec.structs.replace(request, model=head.model, stream=head.stream)
    return request


def _renamed(request: Request, upstream: Dialect) -> dict[str, str]:
    """From the names the vendor sees to the client's own, where they differ."""
    as_sent = TOOL_NAMES[upstream]
    return {sent: tool.name for tool in request.tools if (sent := as_sent(tool.name)) != tool.name}
