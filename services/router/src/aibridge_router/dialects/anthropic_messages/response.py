"""Whole answers of Anthropic Messages to the hub and back."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Block, Opaque, Refusal, Text, Thinking, ToolCall
from aibridge_router.canonical.response import Answer, UnfinishedAnswer
from aibridge_router.dialects.anthropic_messages.answer_wire import AnswerRead
from aibridge_router.dialects.anthropic_messages.answering import (
    answer_head,
    answer_stop,
    call_id,
    signature,
    tool_name,
    usage_to_wire,
)
from aibridge_router.dialects.anthropic_messages.block_from_wire import BlockReader
from aibridge_router.dialects.anthropic_messages.states import call_state_to_wire
from aibridge_router.dialects.anthropic_messages.stops import stop_from_wire
from aibridge_router.dialects.anthropic_messages.structured import ANSWER_TOOL
from aibridge_router.dialects.anthropic_messages.wire import (
    BlockWritten,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)

_decode = msgspec.json.Decoder(AnswerRead).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.encode


def answer_from_wire(body: bytes, provider: str) -> Answer:
    """Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for an error in the place of one."""
    message = _decode(body)
    if message.type == "error":
        raise UnfinishedAnswer(message.error.message if message.error is not None else "error")
    if message.type != "message":
        raise msgspec.ValidationError(f"{message.type!r} is not an answer")
    try:
        read = BlockReader(provider).read(message.content, "content")
    except InvalidRequest as error:
        raise msgspec.ValidationError(error.message) from None
    blocks = [_without_answer_tool(block) for block in read]
    if message.stop_details is not None and message.stop_details.explanation:
        blocks.append(Refusal(text=message.stop_details.explanation))
    calls = any(isinstance(block, ToolCall) for block in blocks)
    return Answer(
        id=message.id,
        model=message.model,
        blocks=blocks,
        stop=stop_from_wire(message.stop_reason, message.stop_sequence, calls=calls),
        usage=message.usage.to_usage() if message.usage is not None else None,
    )


def answer_to_wire(answer: Answer, context: AnswerContext) -> bytes:
    """Raises `UnfinishedAnswer` for a call whose arguments are no object: an empty one in its place would be a lie."""
    truncated = answer.stop.reason == "max_tokens"
    content: list[BlockWritten] = []
    blocks = _without_last_state(answer.blocks)
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        content += _block_to_wire(block, index, context, may_be_cut=truncated and last)
    calls = any(isinstance(block, ToolCall) for block in answer.blocks)
    refused = any(isinstance(block, Refusal) for block in answer.blocks)
    body = answer_head(answer.id, context)
    body["content"] = content
    body |= answer_stop(answer.stop, calls=calls, refused=refused)
    body["usage"] = usage_to_wire(answer.usage or Usage())
    return _encode(body)


def _without_last_state(blocks: list[Block]) -> list[Block]:
    """Without thinking that is nothing but state behind an answer: clients take the last block for the answer."""
    end = len(blocks)
    while end and isinstance(last := blocks[end - 1], Thinking) and not last.text:
        end -= 1
    answered = any(not isinstance(block, Thinking) for block in blocks[:end])
    return blocks[:end] if answered else blocks


def _without_answer_tool(block: Block) -> Block:
    if isinstance(block, ToolCall) and block.name == ANSWER_TOOL:
        return Text(text=block.arguments)
    return block


def _block_to_wire(
    block: Block, index: int, context: AnswerContext, *, may_be_cut: bool
) -> Iterator[BlockWritten]:
    match block:
        case Text(text=text) | Refusal(text=text) if text:
            yield TextBlock(text=text)
        case Thinking(redacted=True):
            if block.state is not None:
                yield RedactedThinkingBlock(data=signature(block))
        case Thinking() if block.text or block.state is not None:
            yield ThinkingBlock(thinking=block.text, signature=signature(block))
        case ToolCall():
            identifier = call_id(block.id, index, context)
            if block.state is not None:
                state = call_state_to_wire(block.state, identifier)
                yield ThinkingBlock(thinking="", signature=state)
            arguments = _input(block, may_be_cut=may_be_cut)
            yield ToolUseBlock(id=identifier, name=tool_name(block, context), input=arguments)
        case Opaque(dialect=Dialect.ANTHROPIC_MESSAGES):
            yield block.raw
        case _:
            return


def _input(call: ToolCall, *, may_be_cut: bool) -> Raw:
    if call.custom:
        return Raw(_encode({"input": call.arguments}))
    arguments = call.arguments.strip() or "{}"
    try:
        _decode_object(arguments)
    except msgspec.DecodeError:
        if may_be_cut:
            return Raw(b"{}")
        raise UnfinishedAnswer(f"the arguments of the call to {call.name} are no object") from None
    return Raw(arguments.encode())
