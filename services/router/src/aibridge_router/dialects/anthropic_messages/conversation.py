"""Turns to messages: merged by role, every call answered at once, instructions where the model takes them.

The vendor wants a user message first, all results of a turn's calls first in the very next message, ids that are
unique, and a system message only right behind a user message.
"""

from typing import Literal

from msgspec import Struct, structs

from aibridge_router.canonical.content import Block, Text, ToolCall, ToolResult
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import fitting_id
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Turn
from aibridge_router.dialects.anthropic_messages.block_to_wire import (
    CALL_ID,
    CALL_ID_PREFIX,
    BlockWriter,
)
from aibridge_router.dialects.anthropic_messages.caching import EPHEMERAL, Markers
from aibridge_router.dialects.anthropic_messages.wire import (
    BlockWritten,
    DocumentBlock,
    ImageBlock,
    MessageWritten,
    TextBlock,
    ToolResultWritten,
)

_NO_OUTPUT = Text(text="[no output]")
_NOTHING_SAID = TextBlock(text=".")
"""What the user says where the conversation would begin with the model."""


_Placed = tuple[Block, int]
"""A block and the turn it came from."""


class _Run(Struct):
    """What one side said without the other in between; `system` are the instructions of the user's side."""

    role: Literal["user", "assistant"]
    blocks: list[_Placed]
    system: list[_Placed]


def messages_to_wire(
    turns: list[Turn], profile: Profile, losses: Losses, markers: Markers
) -> list[MessageWritten]:
    """The conversation. Raises `CannotSay` naming the turn that cannot be said."""
    runs = _runs(turns, in_place=profile.capabilities.system_mid)
    _repair(runs, losses)
    writer = BlockWriter(profile, losses, markers)
    messages: list[MessageWritten] = []
    for run in runs:
        write = writer.said_by_model if run.role == "assistant" else writer.write
        _append(messages, run.role, [write(block, turn) for block, turn in run.blocks])
        if not run.system:
            continue
        if messages and messages[-1].role == "user":
            _append(messages, "system", [write(block, turn) for block, turn in run.system])
        else:
            _append(messages, "user", [write(_reminder(block), turn) for block, turn in run.system])
    if not messages or messages[0].role != "user":
        messages.insert(0, MessageWritten(role="user", content=[_NOTHING_SAID]))
    if messages[-1].role == "assistant":
        _check_prefill(messages, profile, len(turns) - 1)
    if markers.automatic:
        _mark_last_user(messages)
    return messages


def _append(messages: list[MessageWritten], role: str, written: list[BlockWritten | None]) -> None:
    content = [block for block in written if block is not None]
    if content:
        messages.append(MessageWritten(role=role, content=content))


def _runs(turns: list[Turn], *, in_place: bool) -> list[_Run]:
    runs: list[_Run] = []
    for index, turn in enumerate(turns):
        role = "assistant" if turn.role == "assistant" else "user"
        if not runs or runs[-1].role != role:
            runs.append(_Run(role=role, blocks=[], system=[]))
        said = runs[-1].system if turn.role == "system" else runs[-1].blocks
        said += [(block, index) for block in turn.blocks]
    if not in_place:
        for run in runs:
            run.blocks += [(_reminder(block), turn) for block, turn in run.system]
            run.system = []
    return runs


def _reminder(block: Block) -> Block:
    """Instructions as a user's text, in the tags that Claude's models know for them."""
    if not isinstance(block, Text):
        return block
    text = f"<system-reminder>\n{block.text}\n</system-reminder>"
    return structs.replace(block, text=text)


def _repair(runs: list[_Run], losses: Losses) -> None:
    """Pair calls with results by ids of this dialect: answer what is unanswered, leave out results of no call."""
    used: set[str] = set()
    waiting: dict[str, list[str]] = {}
    for run in runs:
        if run.role == "user":
            run.blocks = _answered(run.blocks, waiting, losses)
            waiting = {}
            continue
        for position, (block, turn) in enumerate(run.blocks):
            if type(block) is ToolCall:
                call_id = _unused(block.id, used)
                used.add(call_id)
                waiting.setdefault(block.id, []).append(call_id)
                if call_id != block.id:
                    run.blocks[position] = (structs.replace(block, id=call_id), turn)
    if waiting:
        runs.append(_Run(role="user", blocks=_answered([], waiting, losses), system=[]))


def _unused(name: str, used: set[str]) -> str:
    """An id in the vendor's form; some clients count their calls anew in every turn."""
    call_id = fitting_id(name, CALL_ID, CALL_ID_PREFIX)
    if call_id in used:
        return fitting_id(f"{name} {len(used)}", CALL_ID, CALL_ID_PREFIX)
    return call_id


def _answered(said: list[_Placed], waiting: dict[str, list[str]], losses: Losses) -> list[_Placed]:
    """What a user said with one result for each call that waits, results first."""
    results: list[_Placed] = []
    rest: list[_Placed] = []
    for block, turn in said:
        if type(block) is not ToolResult:
            rest.append((block, turn))
        elif call_ids := waiting.get(block.call_id):
            call_id = call_ids.pop(0)
            same = call_id == block.call_id
            results.append((block if same else structs.replace(block, call_id=call_id), turn))
        else:
            losses.drop("orphans")
    for call_ids in waiting.values():
        results += [(ToolResult(call_id=call_id, blocks=[_NO_OUTPUT]), 0) for call_id in call_ids]
    return results + rest


def _check_prefill(messages: list[MessageWritten], profile: Profile, turn: int) -> None:
    """The vendor continues a last assistant message, where the model can, and refuses white space at its end."""
    if not profile.capabilities.prefill:
        place = f"messages.{turn}"
        raise CannotSay(f"{place}: this model cannot continue an assistant turn", param=place)
    content = messages[-1].content
    last = content[-1]
    if isinstance(last, TextBlock) and last.text != last.text.rstrip():
        content[-1] = structs.replace(last, text=last.text.rstrip())


def _mark_last_user(messages: list[MessageWritten]) -> None:
    content = next(message.content for message in reversed(messages) if message.role == "user")
    content[-1] = _marked(content[-1])


def _marked(block: BlockWritten) -> BlockWritten:
    if isinstance(block, TextBlock | ImageBlock | DocumentBlock | ToolResultWritten):
        return structs.replace(block, cache_control=EPHEMERAL)
    return block
