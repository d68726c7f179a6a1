"""Messages of Chat and the hub's turns."""

import re

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
    text_of,
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
    """The conversation as messages that OpenAI takes: every call answered at once, no result without its call."""
    talk = _Talk(profile, losses)
    talk.instruct(list[Block](system), "system")
    for index, turn in enumerate(turns):
        talk.add(turn, f"messages.{index}")
    talk.close()
    return talk.messages


class _Talk:
    """Messages as they grow. The results of an answer's calls come first, whatever was said before them."""

    def __init__(self, profile: Profile, losses: Losses) -> None:
        self.messages: list[Wire] = []
        self._profile = profile
        self._losses = losses
        self._role = "developer" if profile.capabilities.reasoning == "effort" else "system"
        self._open_calls: dict[str, ToolCall] = {}
        self._after_results: list[Wire] = []

    def add(self, turn: Turn, place: str) -> None:
        """Raises `CannotSay` naming the place."""
        if turn.role == "system":
            self.instruct(turn.blocks, place)
        elif turn.role == "assistant":
            self.close()
            self.messages.append(_assistant_to_wire(turn, self._profile, self._losses, place))
            self._open_calls = {
                block.id: block for block in turn.blocks if isinstance(block, ToolCall)
            }
        else:
            self._add_user(turn, place)

    def instruct(self, blocks: list[Block], place: str) -> None:
        """Without what Claude Code tells its vendor's accounts: it varies and would spoil every cached prefix."""
        said = [
            block
            for block in blocks
            if not (isinstance(block, Text) and block.text.startswith(_BILLING_HEADER))
        ]
        self._say(self._role, said, place)

    def close(self) -> None:
        """A call that was never answered (a client compacted its history) is answered: OpenAI insists on it."""
        for name in self._open_calls:
            call_id = fitting_id(name, _CALL_ID)
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": _NO_OUTPUT})
        self.messages += self._after_results
        self._open_calls, self._after_results = {}, []

    def _add_user(self, turn: Turn, place: str) -> None:
        """Each result is a message; what cannot stand in a result follows in one user message."""
        rest: list[Block] = []
        for block in turn.blocks:
            if not isinstance(block, ToolResult):
                rest.append(block)
            elif self._open_calls.pop(block.call_id, None) is None:
                self._losses.drop("orphans")
            else:
                self.messages.append(_result_to_wire(block, self._losses))
                rest += [part for part in block.blocks if not _is_text(part)]
        self._say("user", rest, place)

    def _say(self, role: str, blocks: list[Block], place: str) -> None:
        content = parts_to_wire(blocks, self._profile, self._losses, place)
        if content:
            self._after_results.append({"role": role, "content": content})
        if not self._open_calls:
            self.close()


def _assistant_to_wire(turn: Turn, profile: Profile, losses: Losses, place: str) -> Wire:
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
    return message


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


def _result_to_wire(result: ToolResult, losses: Losses) -> Wire:
    texts = [part for part in result.blocks if isinstance(part, Text | Document) and _is_text(part)]
    if result.cache is not None or any(part.cache is not None for part in texts):
        losses.drop("cache_control")
    text = "\n".join(text_of(part) for part in texts) or _NO_OUTPUT
    return {
        "role": "tool",
        "tool_call_id": fitting_id(result.call_id, _CALL_ID),
        "content": f"Error: {text}" if result.is_error else text,
    }


def _is_text(part: Block) -> bool:
    return isinstance(part, Text) or (isinstance(part, Document) and part.source is None)
