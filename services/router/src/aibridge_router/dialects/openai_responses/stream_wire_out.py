"""The events of the streams we write; `sequence_number` is added to each as it is framed."""

from typing import Any

from msgspec import Struct

from aibridge_router.dialects.openai_responses.answer_out import ResponseOut
from aibridge_router.dialects.openai_responses.wire import SummaryText


class _Out(Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class CreatedOut(_Out, frozen=True, kw_only=True, tag="response.created"):
    """The response begins."""

    response: ResponseOut


class InProgressOut(_Out, frozen=True, kw_only=True, tag="response.in_progress"):
    """It is worked on."""

    response: ResponseOut


class CompletedOut(_Out, frozen=True, kw_only=True, tag="response.completed"):
    """The end."""

    response: ResponseOut


class IncompleteOut(_Out, frozen=True, kw_only=True, tag="response.incomplete"):
    """The end, too early."""

    response: ResponseOut


class FailedOut(_Out, frozen=True, kw_only=True, tag="response.failed"):
    """The end, with an error."""

    response: ResponseOut


class ItemAddedOut(_Out, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: Any


class ItemDoneOut(_Out, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item, complete."""

    output_index: int
    item: Any


class PartAddedOut(_Out, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A part begins."""

    item_id: str
    output_index: int
    content_index: int
    part: Any


class PartDoneOut(_Out, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A part, complete."""

    item_id: str
    output_index: int
    content_index: int
    part: Any


class TextDoneOut(_Out, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The text of a part."""

    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[str] = []


class RefusalDoneOut(_Out, frozen=True, kw_only=True, tag="response.refusal.done"):
    """The refusal of a part."""

    item_id: str
    output_index: int
    content_index: int
    refusal: str


class ArgumentsDoneOut(
    _Out, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """The arguments of a call."""

    item_id: str
    output_index: int
    name: str
    arguments: str


class InputDoneOut(_Out, frozen=True, kw_only=True, tag="response.custom_tool_call_input.done"):
    """The free text of a call."""

    item_id: str
    output_index: int
    input: str


class SummaryPartAddedOut(
    _Out, frozen=True, kw_only=True, tag="response.reasoning_summary_part.added"
):
    """A summary begins."""

    item_id: str
    output_index: int
    summary_index: int = 0
    part: SummaryText


class SummaryTextDoneOut(
    _Out, frozen=True, kw_only=True, tag="response.reasoning_summary_text.done"
):
    """The text of a summary."""

    item_id: str
    output_index: int
    summary_index: int = 0
    text: str


class SummaryPartDoneOut(
    _Out, frozen=True, kw_only=True, tag="response.reasoning_summary_part.done"
):
    """A summary, complete."""

    item_id: str
    output_index: int
    summary_index: int = 0
    part: SummaryText
