"""Messages of Chat and the hub's turns."""

import re
from collections.abc import Iterator

from msgspec import structs

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    Block,
    Document,
    Image,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.naming import fitting_id, short_tool_name
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Turn
from aibridge_router.dialects.openai_chat.content import (
    Wire,
    cache_mark,
    part_from_wire,
    parts_to_wire,
)
from aibridge_router.dialects.openai_chat.wire import Message, ToolCallWire

TOOL_NAME_CHARACTERS_MAX = 64
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_INSTRUCTIONS = frozenset({"system", "developer"})
_BILLING_HEADER = "x-anthropic-billing-header:"
_NO_OUTPUT = "[no output]"


# --- from the wire ----------------------------------------------------------------------------


def turns_from_wire(messages: list[Message]) -> tuple[list[Text], list[Turn]]:
    """Leading instructions, and the conversation. Raises `InvalidRequest` naming the message."""
    system: list[Text] = []
    turns: list[Turn] = []
    after_results = False
    for index, message in enumerate(messages):
        place = f"messages.{index}"
        blocks = _blocks_from_wire(message, place)
        if message.role in _INSTRUCTIONS:
            texts = [block for block in blocks if isinstance(block, Text)]
            if turns:
                turns.append(Turn(role="system", blocks=list[Block](texts)))
            else:
                system += texts
            after_results = False
        elif message.role == "assistant":
            turns.append(Turn(role="assistant", blocks=blocks))
            after_results = False
        elif message.role in {"user", "tool", "function"}:
            # Results and what the user says with them are one turn, as they are everywhere else.
            if after_results:
                turns[-1] = Turn(role="user", blocks=[*turns[-1].blocks, *blocks])
            else:
                turns.append(Turn(role="user", blocks=blocks))
            after_results = message.role != "user"
        else:
            raise InvalidRequest(
                f"{place}.role: {message.role!r} is not a role", param=f"{place}.role"
            )
    return system, turns


def _blocks_from_wire(message: Message, place: str) -> list[Block]:
    content = message.content
    mark = cache_mark(message.cache_control)
    blocks: list[Block] = []
    if message.role in {"tool", "function"}:
        return [_result_from_wire(message, place)]
    if message.reasoning_content:
        blocks.append(Thinking(text=message.reasoning_content))
    if isinstance(content, str):
        if content:
            blocks.append(Text(text=content, cache=mark))
    elif content is not None:
        blocks += [
            part_from_wire(part, f"{place}.content.{index}") for index, part in enumerate(content)
        ]
    if message.refusal:
        blocks.append(Refusal(text=message.refusal))
    for index, call in enumerate(message.tool_calls or []):
        blocks.append(call_from_wire(call, f"{place}.tool_calls.{index}"))
    if message.function_call is not None:
        call = message.function_call
        name = call.name or ""
        blocks.append(ToolCall(id=f"call_{name}", name=name, arguments=call.arguments or "{}"))
    return blocks


def call_from_wire(call: ToolCallWire, place: str) -> ToolCall:
    """A whole tool call. Raises `InvalidRequest` naming it when it is neither kind."""
    if call.custom is not None:
        return ToolCall(
            id=call.id or "",
            name=call.custom.name or "",
            arguments=call.custom.input or "",
            custom=True,
        )
    if call.function is None:
        raise InvalidRequest(f"{place}.function: Field required", param=f"{place}.function")
    return ToolCall(
        id=call.id or "",
        name=call.function.name or "",
        arguments=call.function.arguments or "{}",
    )


def _result_from_wire(message: Message, place: str) -> ToolResult:
    call_id = message.tool_call_id or (f"call_{message.name}" if message.name else "")
    if not call_id:
        raise InvalidRequest(f"{place}.tool_call_id: Field required", param=f"{place}.tool_call_id")
    content = message.content
    blocks: list[Text | Image | Document | Opaque] = []
    if isinstance(content, str):
        if content:
            blocks.append(Text(text=content))
    else:
        for index, part in enumerate(content or []):
            block = part_from_wire(part, f"{place}.content.{index}")
            if isinstance(block, Text | Image | Document | Opaque):
                blocks.append(block)
    return ToolResult(call_id=call_id, blocks=blocks, cache=cache_mark(message.cache_control))


# --- to the wire ------------------------------------------------------------------------------


def messages_to_wire(
    system: list[Text], turns: list[Turn], profile: Profile, losses: Losses
) -> list[Wire]:
    """The conversation as messages that OpenAI takes: every call answered, no result without its call."""
    role = "developer" if profile.capabilities.reasoning == "effort" else "system"
    messages: list[Wire] = []
    instructions = [text for text in system if not text.text.startswith(_BILLING_HEADER)]
    if instructions:
        content = parts_to_wire(list[Block](instructions), profile, losses, "system")
        messages.append({"role": role, "content": content})
    open_calls: dict[str, ToolCall] = {}
    for index, turn in enumerate(turns):
        place = f"messages.{index}"
        if turn.role == "system":
            content = parts_to_wire(turn.blocks, profile, losses, place)
            messages.append({"role": role, "content": content})
            continue
        if turn.role == "assistant":
            messages += _answers_to_unanswered(open_calls)
            message, open_calls = _assistant_to_wire(turn, profile, losses, place)
            messages.append(message)
            continue
        messages += _user_to_wire(turn, open_calls, profile, losses, place)
    return messages


def _assistant_to_wire(
    turn: Turn, profile: Profile, losses: Losses, place: str
) -> tuple[Wire, dict[str, ToolCall]]:
    calls = [block for block in turn.blocks if isinstance(block, ToolCall)]
    said = [block for block in turn.blocks if isinstance(block, Text)]
    refused = [block for block in turn.blocks if isinstance(block, Refusal)]
    if any(isinstance(block, Thinking) for block in turn.blocks):
        losses.drop("thinking")
    if any(isinstance(block, Opaque | Image | Document | Audio) for block in turn.blocks):
        losses.drop("extras")
    content = parts_to_wire(list[Block](said), profile, losses, place) if said else None
    message: Wire = {"role": "assistant", "content": content or ("" if not calls else None)}
    if refused:
        message["refusal"] = "".join(block.text for block in refused)
    if calls:
        message["tool_calls"] = [call_to_wire(_under_a_short_name(call)) for call in calls]
        if any(call.cache is not None for call in calls):
            losses.drop("cache_control")
    return message, {call.id: call for call in calls}


def call_to_wire(call: ToolCall, *, arguments: str | None = None) -> Wire:
    """A tool call, whole or, with `arguments` empty, as a stream begins it."""
    name = call.name
    identifier = fitting_id(call.id, _CALL_ID)
    if call.custom:
        custom: Wire = {"name": name, "input": call.arguments if arguments is None else arguments}
        return {"id": identifier, "type": "custom", "custom": custom}
    text = (call.arguments or "{}") if arguments is None else arguments
    function: Wire = {"name": name, "arguments": text}
    return {"id": identifier, "type": "function", "function": function}


def _under_a_short_name(call: ToolCall) -> ToolCall:
    name = short_tool_name(call.name, TOOL_NAME_CHARACTERS_MAX)
    return call if name == call.name else structs.replace(call, name=name)


def _user_to_wire(
    turn: Turn, open_calls: dict[str, ToolCall], profile: Profile, losses: Losses, place: str
) -> Iterator[Wire]:
    """Results first, each in its own message; what cannot stand in a result follows in one user message."""
    rest: list[Block] = []
    for block in turn.blocks:
        if not isinstance(block, ToolResult):
            rest.append(block)
            continue
        if open_calls.pop(block.call_id, None) is None:
            losses.drop("orphans")
            continue
        if block.cache is not None:
            losses.drop("cache_control")
        texts = [part for part in block.blocks if isinstance(part, Text)]
        rest += [part for part in block.blocks if isinstance(part, Image | Document)]
        text = "\n".join(part.text for part in texts) or _NO_OUTPUT
        yield {
            "role": "tool",
            "tool_call_id": fitting_id(block.call_id, _CALL_ID),
            "content": f"Error: {text}" if block.is_error else text,
        }
    if rest or not turn.blocks:
        yield from _answers_to_unanswered(open_calls)
        content = parts_to_wire(rest, profile, losses, place)
        if content:
            yield {"role": "user", "content": content}


def _answers_to_unanswered(open_calls: dict[str, ToolCall]) -> list[Wire]:
    """A call that was never answered (a client compacted its history) gets an empty answer: OpenAI insists on one."""
    answers: list[Wire] = [
        {"role": "tool", "tool_call_id": fitting_id(name, _CALL_ID), "content": _NO_OUTPUT}
        for name in open_calls
    ]
    open_calls.clear()
    return answers
