"""Whole answers for a client."""

from typing import Any

from msgspec import Struct

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Block, Opaque, Refusal, Text, Thinking, ToolCall
from aibridge_router.canonical.response import Answer, Stop, StopReason
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.identity import Ids
from aibridge_router.dialects.openai_responses.output_items import (
    AnswerPart,
    call_item,
    call_state_item,
    free_text,
    is_free_text,
    message_item,
    reasoning_item,
)


class _InputDetails(Struct, frozen=True, kw_only=True):
    cached_tokens: int
    cache_write_tokens: int


class _OutputDetails(Struct, frozen=True, kw_only=True):
    reasoning_tokens: int


class UsageOut(Struct, frozen=True, kw_only=True):
    """Totals, as this dialect counts."""

    input_tokens: int
    input_tokens_details: _InputDetails
    output_tokens: int
    output_tokens_details: _OutputDetails
    total_tokens: int


class ResponseOut(Struct, frozen=True, kw_only=True):
    """The response object.

    What the request said is not repeated: the official clients need the members, not their values.
    """

    id: str
    object: str = "response"
    created_at: int
    status: str
    background: bool = False
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    instructions: None = None
    max_output_tokens: None = None
    metadata: dict[str, str] = {}
    model: str
    output: list[Any] = []
    parallel_tool_calls: bool = True
    previous_response_id: None = None
    provider: str
    store: bool = False
    temperature: None = None
    tool_choice: str = "auto"
    tools: list[str] = []
    top_p: None = None
    usage: UsageOut | None = None


def usage_to_wire(usage: Usage | None) -> UsageOut | None:
    """The inverse of `ResponsesUsage.to_usage`; both lifetimes of cache writes are one count here."""
    if usage is None:
        return None
    written = usage.cache_write_5m + usage.cache_write_1h
    into = usage.input + usage.cache_read + written
    out = usage.output + usage.reasoning
    return UsageOut(
        input_tokens=into,
        input_tokens_details=_InputDetails(
            cached_tokens=usage.cache_read, cache_write_tokens=written
        ),
        output_tokens=out,
        output_tokens_details=_OutputDetails(reasoning_tokens=usage.reasoning),
        total_tokens=into + out,
    )


_STOPS: dict[StopReason, str] = {
    "max_tokens": "max_output_tokens",
    "context_full": "max_output_tokens",
    "refusal": "content_filter",
}


def ending_to_wire(stop: Stop, *, refuses: bool) -> dict[str, str] | None:
    """`incomplete_details`; None for an answer that is complete, as one is that refuses in words."""
    if stop.reason == "refusal" and refuses:
        return None
    reason = _STOPS.get(stop.reason)
    return None if reason is None else {"reason": reason}


def answer_to_wire(answer: Answer, context: AnswerContext) -> bytes:
    """The answer for a client."""
    ids = Ids(context.request_id)
    output = _output(answer.blocks, ids, context)
    refuses = any(isinstance(block, Refusal) for block in answer.blocks)
    incomplete = ending_to_wire(answer.stop, refuses=refuses)
    return wire.encode(
        ResponseOut(
            id=ids.response(answer.id),
            created_at=context.created_s,
            status="incomplete" if incomplete else "completed",
            incomplete_details=incomplete,
            model=context.model,
            output=output,
            provider=context.provider,
            usage=usage_to_wire(answer.usage),
        )
    )


def _output(blocks: list[Block], ids: Ids, context: AnswerContext) -> list[Any]:
    items: list[Any] = []
    parts: list[AnswerPart] = []
    for block in blocks:
        match block:
            case Text(text=text):
                parts.append(wire.OutputText(text=text, logprobs=[]))
                continue
            case Refusal(text=text):
                parts.append(wire.RefusalText(refusal=text))
                continue
            case _:
                pass
        if parts:
            items.append(message_item(ids.item("msg"), parts))
            parts = []
        items.extend(_items(block, ids, context))
    if parts:
        items.append(message_item(ids.item("msg"), parts))
    return items


def _items(block: Block, ids: Ids, context: AnswerContext) -> list[Any]:
    match block:
        case Thinking(text=text, state=state):
            return [reasoning_item(ids.item("rs"), text, state, redacted=block.redacted)]
        case ToolCall(state=state):
            free = is_free_text(block, context)
            arguments = block.arguments or ("" if free else "{}")
            if free and not block.custom:
                arguments = free_text(arguments)
            item_id = ids.item("ctc" if free else "fc")
            call = call_item(item_id, block, arguments, context, "completed")
            return [call] if state is None else [call, call_state_item(ids.item("rs"), state)]
        case Opaque(dialect=Dialect.OPENAI_RESPONSES, raw=raw):
            return [raw]
        case _:
            return []
