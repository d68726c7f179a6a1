"""The events of a vendor's stream, read leniently."""

from typing import get_args

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from aibridge_router.dialects.openai_responses.answer_in import Ending, ErrorBody


class Head(Struct, frozen=True):
    """What is known when a response begins."""

    id: str = ""
    model: str = ""


class Terminal(Ending, frozen=True, kw_only=True):
    """The response as it ended."""

    id: str = ""
    model: str = ""
    output: list[Raw] | UnsetType | None = UNSET


class _Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    output_index: int = 0


class Created(_Event, frozen=True, kw_only=True, tag="response.created"):
    """The response begins."""

    response: Head


class InProgress(_Event, frozen=True, kw_only=True, tag="response.in_progress"):
    """It is worked on."""

    response: Head


class Queued(_Event, frozen=True, kw_only=True, tag="response.queued"):
    """It waits."""

    response: Head


class ItemAdded(_Event, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item begins; some servers send it empty."""

    item: Raw = Raw(b"null")


class ItemDone(_Event, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item, complete."""

    item: Raw = Raw(b"null")


class PartKind(Struct, frozen=True):
    """What a part is."""

    type: str = ""


class PartAdded(_Event, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A part of a message begins."""

    content_index: int = 0
    part: PartKind = PartKind()


class PartDone(_Event, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A part of a message is complete."""

    content_index: int = 0


class TextPiece(_Event, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """More text."""

    content_index: int = 0
    delta: str


class TextWhole(_Event, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The text, complete."""

    content_index: int = 0
    text: str = ""


class RefusalPiece(_Event, frozen=True, kw_only=True, tag="response.refusal.delta"):
    """More of a refusal."""

    content_index: int = 0
    delta: str


class ArgumentsPiece(
    _Event, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """More arguments."""

    delta: str


class InputPiece(_Event, frozen=True, kw_only=True, tag="response.custom_tool_call_input.delta"):
    """More free text for a tool."""

    delta: str


class SummaryPiece(_Event, frozen=True, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """More of a summary."""

    summary_index: int = 0
    delta: str


class ThoughtPiece(_Event, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    """More reasoning in the open."""

    content_index: int = 0
    delta: str


class Completed(_Event, frozen=True, kw_only=True, tag="response.completed"):
    """The end."""

    response: Terminal


class StoppedShort(_Event, frozen=True, kw_only=True, tag="response.incomplete"):
    """The end, too early."""

    response: Terminal


class GaveUp(_Event, frozen=True, kw_only=True, tag="response.failed"):
    """The end, with an error."""

    response: Terminal


class Cancelled(_Event, frozen=True, kw_only=True, tag="response.cancelled"):
    """The end, by somebody's wish."""

    response: Terminal


class ErrorEvent(_Event, frozen=True, kw_only=True, tag="error"):
    """An error; some servers wrap it once more."""

    code: str | None = None
    message: str | None = None
    error: ErrorBody | None = None


class Untagged(Struct, frozen=True, kw_only=True):
    """Any payload, for what is not among the events."""

    type: str | None = None
    error: ErrorBody | None = None


VendorEvent = (
    Created
    | InProgress
    | Queued
    | ItemAdded
    | ItemDone
    | PartAdded
    | PartDone
    | TextPiece
    | TextWhole
    | RefusalPiece
    | ArgumentsPiece
    | InputPiece
    | SummaryPiece
    | ThoughtPiece
    | Completed
    | StoppedShort
    | GaveUp
    | Cancelled
    | ErrorEvent
)

_EVENTS: tuple[type[_Event], ...] = get_args(VendorEvent)
KNOWN = frozenset(str(event.__struct_config__.tag) for event in _EVENTS)

decode_event = msgspec.json.Decoder(VendorEvent).decode
decode_untagged = msgspec.json.Decoder(Untagged).decode
