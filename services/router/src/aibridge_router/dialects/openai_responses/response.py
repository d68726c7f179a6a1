"""Whole answers, both ways."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Block,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
)
from aibridge_router.canonical.response import Answer, Stop, StopReason, UnfinishedAnswer
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.identity import Ids
from aibridge_router.dialects.openai_responses.invalid import Malformed
from aibridge_router.dialects.openai_responses.output_items import (
    AnswerPart,
    call_item,
    call_state_item,
    free_text,
    is_free_text,
    message_item,
    reasoning_item,
)
from aibridge_router.dialects.openai_responses.reasoning import text_of
from aibridge_router.dialects.openai_responses.tools import full_name
from aibridge_router.dialects.openai_responses.usage import ResponsesUsage


class Incomplete(Struct, frozen=True, kw_only=True):
    """Why an answer stopped short."""

    reason: str | None = None


class ErrorBody(Struct, frozen=True, kw_only=True):
    """An error inside an answer."""

    code: str | None = None
    message: str | None = None


class Ending(Struct, frozen=True, kw_only=True):
    """How an answer ended; the same in a whole answer and in a stream's last event."""

    status: str | None = None
    incomplete_details: Incomplete | None = None
    error: ErrorBody | None = None
    usage: ResponsesUsage | None = None


class _Answer(Ending, frozen=True, kw_only=True):
    id: str = ""
    model: str = ""
    output: list[Raw] | UnsetType | None = UNSET


_decode_answer = msgspec.json.Decoder(_Answer).decode

_INCOMPLETE: dict[str, StopReason] = {
    "max_output_tokens": "max_tokens",
    "max_messages": "end",
    "content_filter": "refusal",
    "steered": "end",
}
_FINISHED = frozenset({None, "completed", "incomplete"})


def answer_from_wire(body: bytes, provider: str) -> Answer:
    """Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for one that failed."""
    try:
        answer = _decode_answer(body)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
    if answer.status not in _FINISHED:
        said = answer.error.message if answer.error is not None else None
        raise UnfinishedAnswer(said or f"the answer is {answer.status}")
    if not isinstance(answer.output, list):
        raise msgspec.ValidationError("Object missing required field `output`")
    blocks: list[Block] = []
    for raw in answer.output:
        blocks.extend(blocks_of_item(raw, provider))
    return Answer(
        id=answer.id,
        model=answer.model,
        blocks=blocks,
        stop=stop_from_wire(
            answer,
            calls=any(isinstance(block, ToolCall) for block in blocks),
            refuses=any(isinstance(block, Refusal) for block in blocks),
        ),
        usage=answer.usage.to_usage() if answer.usage is not None else None,
    )


def stop_from_wire(ending: Ending, *, calls: bool, refuses: bool) -> Stop:
    """Why the answer ended, which also depends on what was in it."""
    if ending.status == "incomplete":
        reason = ending.incomplete_details.reason if ending.incomplete_details else None
        return Stop(reason=_INCOMPLETE.get(reason or "max_output_tokens", "end"))
    if calls:
        return Stop(reason="tool_use")
    return Stop(reason="refusal" if refuses else "end")


def blocks_of_item(raw: Raw, provider: str) -> list[Block]:
    """The blocks of an item of output. Raises `msgspec.DecodeError`."""
    try:
        item = wire.decode_item(raw)
    except Malformed as error:
        kind = _kind(raw)
        if kind is None or kind in wire.ITEM_KINDS:
            raise msgspec.ValidationError(str(error)) from None
        return [Opaque(dialect=Dialect.OPENAI_RESPONSES, kind=kind, raw=raw)]
    match item:
        case wire.Message(content=content):
            parts = [wire.OutputText(text=content)] if isinstance(content, str) else content
            return [_said(part) for part in parts if not isinstance(part, wire.InputImage)]
        case wire.FunctionCall() | wire.CustomToolCall():
            return [call_of(item)]
        case wire.ReasoningItem(encrypted_content=encrypted):
            state = State(provider=provider, data=encrypted) if encrypted else None
            return [Thinking(text=text_of(item), state=state)]
        case _:
            return []


def _kind(raw: Raw) -> str | None:
    try:
        return wire.decode_kind(raw).type
    except Malformed:
        return None


def _said(part: wire.Part) -> Block:
    if isinstance(part, wire.RefusalText):
        return Refusal(text=part.refusal)
    return Text(text=getattr(part, "text", ""))


def call_of(item: wire.FunctionCall | wire.CustomToolCall) -> ToolCall:
    """The call that an item stands for."""
    name = full_name(item.namespace, item.name)
    if isinstance(item, wire.CustomToolCall):
        return ToolCall(id=item.call_id, name=name, arguments=item.input, custom=True)
    return ToolCall(id=item.call_id, name=name, arguments=item.arguments or "{}")


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
    """The response object. What the request said is not repeated: the official clients need the members, not their values."""

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
