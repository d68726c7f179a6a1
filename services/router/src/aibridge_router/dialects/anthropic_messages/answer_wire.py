"""Answers, streams and errors of Anthropic Messages as they are read."""

from msgspec import Raw, Struct

from aibridge_router.dialects.anthropic_messages.usage import MessagesUsage


class StopDetails(Struct, frozen=True):
    """Why the model declined."""

    explanation: str | None = None


class ErrorWire(Struct, frozen=True):
    """What went wrong."""

    type: str = ""
    message: str = ""


class AnswerRead(Struct, frozen=True):
    """A whole answer, the beginning of one in `message_start`, or an error where an answer should be."""

    type: str
    id: str = ""
    model: str = ""
    content: list[Raw] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: MessagesUsage | None = None
    error: ErrorWire | None = None


class KindOnly(Struct, frozen=True):
    """The type of anything."""

    type: str


class _DeltaKind(Struct, frozen=True):
    type: str = "text_delta"


class Kinds(Struct, frozen=True):
    """The type of an event's delta; that of `message_delta` has none."""

    delta: _DeltaKind | None = None


class StreamedBlockWire(Struct, frozen=True):
    """`content_block` of `content_block_start`, whatever its type."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw()


class Delta(Struct, frozen=True):
    """`delta` of `content_block_delta`, whatever its type, and of `message_delta`, which has none."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class StreamEvent(Struct, frozen=True):
    """An event, whatever its type."""

    type: str = ""
    index: int = -1
    delta: Delta | None = None
    content_block: Raw = Raw()
    message: AnswerRead | None = None
    usage: MessagesUsage | None = None
    error: ErrorWire | None = None
