"""Gemini generateContent as the hub sees it."""

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.codec import AnswerContext, VendorError
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.canonical.response import Answer
from aibridge_router.dialects.gemini_generate.decoder import GeminiDecoder
from aibridge_router.dialects.gemini_generate.encoder import GeminiEncoder
from aibridge_router.dialects.gemini_generate.errors import error_from_wire
from aibridge_router.dialects.gemini_generate.request import request_from_wire, request_to_wire
from aibridge_router.dialects.gemini_generate.response import answer_from_wire, answer_to_wire


class GeminiCodec:
    """See `canonical.codec.Codec`."""

    dialect = Dialect.GEMINI_GENERATE

    def request_from_wire(self, body: bytes) -> Request:
        """See the protocol."""
        return request_from_wire(body)

    def request_to_wire(self, request: Request, profile: Profile, losses: Losses) -> bytes:
        """See the protocol."""
        return request_to_wire(request, profile, losses)

    def answer_from_wire(self, body: bytes, provider: str) -> Answer:
        """See the protocol."""
        return answer_from_wire(body, provider)

    def answer_to_wire(self, answer: Answer, context: AnswerContext) -> bytes:
        """See the protocol."""
        return answer_to_wire(answer, context)

    def decoder(self, provider: str) -> GeminiDecoder:
        """See the protocol."""
        return GeminiDecoder(provider)

    def encoder(self, context: AnswerContext) -> GeminiEncoder:
        """See the protocol."""
        return GeminiEncoder(context)

    def error_from_wire(self, status: int, body: bytes) -> VendorError:
        """See the protocol."""
        return error_from_wire(status, body)


CODEC = GeminiCodec()
