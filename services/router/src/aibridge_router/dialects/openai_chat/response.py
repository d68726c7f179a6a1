"""Whole answers of OpenAI Chat to the hub and back."""

import msgspec
from msgspec import Struct

from aibridge_common.errors import InvalidRequest
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Block, Refusal, Text, Thinking, ToolCall
from aibridge_router.canonical.response import Answer, Stop, StopReason, UnfinishedAnswer
from aibridge_router.dialects.openai_chat.content import Wire
from aibridge_router.dialects.openai_chat.conversation import call_from_wire, call_to_wire
from aibridge_router.dialects.openai_chat.wire import Completion


class _FreeText(Struct, frozen=True):
    input: str


_decode = msgspec.json.Decoder(Completion).decode
_decode_free_text = msgspec.json.Decoder(_FreeText).decode

_STOPS: dict[str, StopReason] = {
    "length": "max_tokens",
    "content_filter": "refusal",
}
"""What does not stand here ends an answer normally: then what is in it says why."""

_FINISHES: dict[StopReason, str] = {
    "end": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "refusal": "content_filter",
    "context_full": "length",
    "pause": "stop",
}


def answer_from_wire(body: bytes) -> Answer:
    """Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for one without a choice."""
    try:
        completion = _decode(body)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
    if not completion.choices:
        raise UnfinishedAnswer("the answer has no choice")
    choice = completion.choices[0]
    message = choice.message
    blocks: list[Block] = []
    if message.reasoning_content:
        blocks.append(Thinking(text=message.reasoning_content))
    if message.content:
        blocks.append(Text(text=message.content))
    if message.refusal:
        blocks.append(Refusal(text=message.refusal))
    try:
        calls = [call_from_wire(call, "tool_calls") for call in message.tool_calls or []]
    except InvalidRequest as error:
        raise UnfinishedAnswer(str(error)) from None
    blocks += calls
    usage = completion.usage
    return Answer(
        id=completion.id,
        model=completion.model,
        blocks=blocks,
        stop=stop_from_wire(choice.finish_reason, calls=bool(calls), refuses=bool(message.refusal)),
        usage=usage.to_usage() if usage is not None else None,
    )


def stop_from_wire(finish_reason: str | None, *, calls: bool, refuses: bool) -> Stop:
    """Why an answer ended; one that was cut short was cut short, whatever is in it."""
    reason = _STOPS.get(finish_reason or "stop", "end")
    if reason == "end" and calls:
        reason = "tool_use"
    elif reason == "end" and refuses:
        reason = "refusal"
    return Stop(reason=reason)


def answer_to_wire(answer: Answer, context: AnswerContext) -> bytes:
    """The answer for a client."""
    text = "".join(block.text for block in answer.blocks if isinstance(block, Text))
    refusal = "".join(block.text for block in answer.blocks if isinstance(block, Refusal))
    calls = [block for block in answer.blocks if isinstance(block, ToolCall)]
    message: Wire = {
        "role": "assistant",
        "content": text or None,
        "refusal": refusal or None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = [call_to_wire(whole_call(call, context)) for call in calls]
    body: Wire = {
        "id": completion_id(context),
        "provider": context.provider,
        "object": "chat.completion",
        "created": context.created_s,
        "model": context.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": finish_reason(
                    answer.stop, calls=bool(calls), refused=bool(refusal)
                ),
            }
        ],
        "usage": usage_to_wire(answer.usage or Usage()),
        "system_fingerprint": None,
    }
    return msgspec.json.encode(body)


def finish_reason(stop: Stop, *, calls: bool, refused: bool) -> str:
    """From what was answered first, from the vendor's word second."""
    finish = _FINISHES[stop.reason]
    if finish == "stop" and calls:
        return "tool_calls"
    if finish == "content_filter" and refused:
        return "stop"  # the message says it in words
    return finish


def completion_id(context: AnswerContext) -> str:
    """An id in Chat's form."""
    return "chatcmpl-" + context.request_id.removeprefix("req_")


def renamed(call: ToolCall, context: AnswerContext) -> ToolCall:
    """The call under the name the client gave its tool."""
    name = context.tool_names.get(call.name, call.name)
    custom = call.custom or name in context.custom_tools
    if name == call.name and custom == call.custom:
        return call
    return msgspec.structs.replace(call, name=name, custom=custom)


def whole_call(call: ToolCall, context: AnswerContext) -> ToolCall:
    """The call as the client's own: where a function stood for a free-text tool, its one string is the input."""
    mine = renamed(call, context)
    if mine.custom and not call.custom:
        return msgspec.structs.replace(mine, arguments=free_text(call.arguments))
    return mine


def free_text(arguments: str) -> str:
    """What a function that stands for a free-text tool was called with."""
    try:
        return _decode_free_text(arguments).input
    except (msgspec.DecodeError, UnicodeEncodeError):
        return arguments


def usage_to_wire(usage: Usage) -> Wire:
    """Totals that include what was cached and what was thought."""
    prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    completion = usage.output + usage.reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
