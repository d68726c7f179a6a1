"""OpenAI Responses, as the hub sees it."""

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.codec import (
    AnswerContext,
    Codec,
    StreamDecoder,
    StreamEncoder,
    VendorError,
)
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.canonical.response import Answer
from aibridge_router.dialects.openai_responses.answer_in import answer_from_wire
from aibridge_router.dialects.openai_responses.answer_out import answer_to_wire
from aibridge_router.dialects.openai_responses.errors import error_from_wire
from aibridge_router.dialects.openai_responses.request_in import request_from_wire
from aibridge_router.dialects.openai_responses.request_out import request_to_wire
from aibridge_router.dialects.openai_responses.stream_decoder import Decoder
from aibridge_router.dialects.openai_responses.stream_encoder import Encoder


class ResponsesCodec:
    """See `canonical.codec.Codec`."""

    dialect = Dialect.OPENAI_RESPONSES

    def request_from_wire(self, body: bytes) -> Request:
        """See `Codec`."""
        return request_from_wire(body)

    def request_to_wire(self, request: Request, profile: Profile, losses: Losses) -> bytes:
        """See `Codec`."""
        return request_to_wire(request, profile, losses)

    def answer_from_wire(self, body: bytes, provider: str) -> Answer:
        """See `Codec`."""
        return answer_from_wire(body, provider)

    def answer_to_wire(self, answer: Answer, context: AnswerContext) -> bytes:
        """See `Codec`."""
        return answer_to_wire(answer, context)

    def decoder(self, provider: str) -> StreamDecoder:
        """See `Codec`."""
        return Decoder(provider)

    def encoder(self, context: AnswerContext) -> StreamEncoder:
        """See `Codec`."""
        return Encoder(context)

    def error_from_wire(self, status: int, body: bytes) -> VendorError:
        """See `Codec`."""
        return error_from_wire(status, body)


CODEC: Codec = ResponsesCodec()
