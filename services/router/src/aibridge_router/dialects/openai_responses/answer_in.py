"""Whole answers of a vendor, and what its streams' last events have in common with them."""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from aibridge_common.dialect import Dialect
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
from aibridge_router.dialects.openai_responses.invalid import Malformed
from aibridge_router.dialects.openai_responses.reasoning import text_of
from aibridge_router.dialects.openai_responses.tools import call_of
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
