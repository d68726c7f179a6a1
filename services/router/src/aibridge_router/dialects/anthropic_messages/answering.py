"""What whole answers and streams of this dialect have in common when they are written."""

import hashlib
import re
from typing import Any

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Thinking, ToolCall
from aibridge_router.canonical.response import Stop
from aibridge_router.canonical.state import pack
from aibridge_router.dialects.anthropic_messages.block_to_wire import CALL_ID
from aibridge_router.dialects.anthropic_messages.stops import stop_to_wire

_MESSAGE_ID = re.compile(r"msg_[a-zA-Z0-9]+")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9]")


def message_id(source: str, context: AnswerContext) -> str:
    """The vendor's id if it has this dialect's form, else the request's own: the same on every rendering."""
    if _MESSAGE_ID.fullmatch(source) is not None:
        return source
    return "msg_" + _NOT_IN_ID.sub("", context.request_id.removeprefix("req_"))


def call_id(source: str, index: int, context: AnswerContext) -> str:
    """The call's id where this dialect's clients and vendor take it, so that it pairs at its own vendor again."""
    if CALL_ID.fullmatch(source) is not None:
        return source
    named = f"{context.request_id} {index} {source}"
    return "toolu_" + hashlib.sha1(named.encode(), usedforsecurity=False).hexdigest()[:24]


def tool_name(call: ToolCall, context: AnswerContext) -> str:
    """The client's own name of a tool."""
    return context.tool_names.get(call.name, call.name)


def signature(thinking: Thinking) -> str:
    """The string that the client gives back: another vendor's state, or nothing."""
    return pack(thinking.state) if thinking.state is not None else ""


def answer_head(source_id: str, context: AnswerContext) -> dict[str, Any]:
    """The members of an answer that are known before anything is said."""
    return {
        "id": message_id(source_id, context),
        "type": "message",
        "role": "assistant",
        "model": context.model,
        "provider": context.provider,
    }


def answer_stop(stop: Stop, *, calls: bool, refused: bool) -> dict[str, Any]:
    """The members that say why an answer ended."""
    reason = stop_to_wire(stop, calls=calls, refused=refused)
    members: dict[str, Any] = {
        "stop_reason": reason,
        "stop_sequence": stop.sequence if reason == "stop_sequence" else None,
    }
    if reason == "refusal":
        members["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    return members


def usage_to_wire(usage: Usage) -> dict[str, Any]:
    """Input excludes the cache, output includes the reasoning."""
    counts: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output + usage.reasoning,
    }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counts
