"""Anthropic Messages as the hub sees it."""

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.codec import AnswerContext, VendorError
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.canonical.response import Answer
from aibridge_router.dialects.anthropic_messages.errors import error_from_wire
from aibridge_router.dialects.anthropic_messages.request import request_from_wire, request_to_wire
from aibridge_router.dialects.anthropic_messages.response import answer_from_wire, answer_to_wire
from aibridge_router.dialects.anthropic_messages.stream import MessagesDecoder, MessagesEncoder


class MessagesCodec:
    """See `canonical.codec.Codec`."""

    dialect = Dialect.ANTHROPIC_MESSAGES

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
        """See the protocol. Raises `UnfinishedAnswer` for a call whose arguments are no object."""
        return answer_to_wire(answer, context)

    def decoder(self, provider: str) -> MessagesDecoder:
        """See the protocol."""
        return MessagesDecoder(provider)

    def encoder(self, context: AnswerContext) -> MessagesEncoder:
        """See the protocol. Its `feed` raises `FrameTooLong` when too much waits for a block to end."""
        return MessagesEncoder(context)

    def error_from_wire(self, status: int, body: bytes) -> VendorError:
        """See the protocol."""
        return error_from_wire(status, body)


CODEC = MessagesCodec()
