"""The items of an answer as they are when complete; streams and whole answers write the same ones."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import State, ToolCall
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.identity import call_id
from aibridge_router.dialects.openai_responses.reasoning import slot_for

AnswerPart = wire.OutputText | wire.RefusalText
CallItem = wire.FunctionCall | wire.CustomToolCall


class _FreeText(Struct, frozen=True):
    input: str


_decode_free_text = msgspec.json.Decoder(_FreeText).decode


def message_item(item_id: str, parts: list[AnswerPart]) -> wire.Message:
    """A message of the model."""
    return wire.Message(id=item_id, status="completed", role="assistant", content=list(parts))


def is_free_text(call: ToolCall, context: AnswerContext) -> bool:
    """Whether the client declared the tool as a free-text one, whatever the vendor made of it."""
    return call.custom or own_name(call, context) in context.custom_tools


def own_name(call: ToolCall, context: AnswerContext) -> str:
    """The client's own name of the tool."""
    return context.tool_names.get(call.name, call.name)


def call_item(
    item_id: str, call: ToolCall, arguments: str, context: AnswerContext, status: str
) -> CallItem:
    """A call with the arguments so far."""
    namespace, dot, name = own_name(call, context).rpartition(".")
    within: str | UnsetType = namespace if dot else UNSET
    if is_free_text(call, context):
        return wire.CustomToolCall(
            id=item_id,
            status=status,
            call_id=call_id(call.id),
            namespace=within,
            name=name,
            input=arguments,
        )
    return wire.FunctionCall(
        id=item_id,
        status=status,
        call_id=call_id(call.id),
        namespace=within,
        name=name,
        arguments=arguments,
    )


def free_text(arguments: str) -> str:
    """What a function that stands for a free-text tool was called with: its one string."""
    try:
        return _decode_free_text(arguments).input
    except (msgspec.DecodeError, UnicodeEncodeError):
        return arguments


def reasoning_item(
    item_id: str, text: str, state: State | None, *, redacted: bool
) -> wire.ReasoningItem:
    """Reasoning, readable as its summary."""
    return wire.ReasoningItem(
        id=item_id,
        summary=[wire.SummaryText(text=text)] if text else [],
        encrypted_content=slot_for(state, "redacted" if redacted else "") if state else UNSET,
    )


def call_state_item(item_id: str, state: State) -> wire.ReasoningItem:
    """The state of the call before it: the dialect has no slot for it on the call itself."""
    return wire.ReasoningItem(id=item_id, encrypted_content=slot_for(state, "call"))
