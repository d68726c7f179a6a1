"""Same dialect on both sides: the answer passes as bytes."""

from msgspec import Struct

from aibridge_common import envelopes
from aibridge_common.dialect import Dialect
from aibridge_common.errors import AIBridgeError
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.dialects.openai_responses.passing import ResponsesTap
from aibridge_router.dialects.registry import PASSING, SURFACES
from aibridge_router.dialects.splice import name_provider
from aibridge_router.dialects.tap import StreamTap
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.refusals import refusal_to_pass_on


class Passthrough(Struct, frozen=True, kw_only=True):
    """See `Carriage`. `names_provider` puts `provider` into chat answers; `hides_usage` takes an unasked chunk out."""

    dialect: Dialect
    names_provider: bool = False
    hides_usage: bool = False

    @property
    def dropped(self) -> tuple[str, ...]:
        """Nothing ever is."""
        return ()

    def answer(self, body: bytes, context: AnswerContext) -> tuple[bytes, Usage | None]:
        """See `Carriage`."""
        usage = PASSING[self.dialect].answer_usage(body)
        return (name_provider(body, context.provider) if self.names_provider else body), usage

    def stream(self, context: AnswerContext) -> StreamTap:
        """See `Carriage`."""
        provider = context.provider if self.names_provider else None
        return PASSING[self.dialect].tap(provider, self.hides_usage)

    def refusal(self, status: int, body: bytes, key: str) -> bytes | None:
        """The vendor's own words: Claude Code negotiates features by reading them."""
        return refusal_to_pass_on(status, body, key)

    def stream_error(
        self, error: AIBridgeError, context: AnswerContext, stream: CarriedStream | None
    ) -> bytes:
        """See `Carriage`."""
        surface = SURFACES[self.dialect]
        if isinstance(stream, ResponsesTap):
            kind = envelopes.kind_of(surface, error)
            return stream.failed_response(kind, error.message, context.model)
        return envelopes.stream_event(surface, error, context.request_id)
