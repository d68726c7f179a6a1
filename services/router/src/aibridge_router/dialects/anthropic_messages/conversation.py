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


class _Placed(Struct, frozen=True):
    block: Block
    turn: int


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
        if run.role == "assistant":
            said = [writer.said_by_model(each.block, _place(each)) for each in run.blocks]
        else:
            said = [writer.write(each.block, _place(each)) for each in run.blocks]
        content = [block for block in said if block is not None]
        if content:
            messages.append(MessageWritten(role=run.role, content=content))
        instructions = [writer.write(each.block, _place(each)) for each in run.system]
        told = [block for block in instructions if block is not None]
        if told:
            messages.append(MessageWritten(role="system", content=told))
    if not messages or messages[0].role != "user":
        messages.insert(0, MessageWritten(role="user", content=[_NOTHING_SAID]))
    if messages[-1].role == "assistant":
        _check_prefill(messages, profile, len(turns) - 1)
    if markers.automatic:
        _mark_last_user(messages)
    return messages


def _place(each: _Placed) -> str:
    return f"messages.{each.turn}"


def _runs(turns: list[Turn], *, in_place: bool) -> list[_Run]:
    runs: list[_Run] = []
    for index, turn in enumerate(turns):
        role = "assistant" if turn.role == "assistant" else "user"
        if not runs or runs[-1].role != role:
            runs.append(_Run(role=role, blocks=[], system=[]))
        placed = [_Placed(block, index) for block in turn.blocks]
        (runs[-1].system if turn.role == "system" else runs[-1].blocks).extend(placed)
    for run in runs:
        if run.system and not (in_place and run.blocks):
            run.blocks += [_Placed(_reminder(each.block), each.turn) for each in run.system]
            run.system = []
    return runs


def _reminder(block: Block) -> Block:
    """Instructions as a user's text, in the tags that Claude's models know for them."""
    if not isinstance(block, Text) or not block.text.strip():
        return block
    text = f"<system-reminder>\n{block.text}\n</system-reminder>"
    return structs.replace(block, text=text)


def _repair(runs: list[_Run], losses: Losses) -> None:
    """Pair calls with results by ids of this dialect: answer what is unanswered, leave out results of no call."""
    used: set[str] = set()
    for number, run in enumerate(runs):
        if run.role == "user":
            if number == 0:
                _answer(run, {}, losses)
            continue
        waiting: dict[str, list[str]] = {}
        for position, each in enumerate(run.blocks):
            if isinstance(each.block, ToolCall):
                name = each.block.id
                call_id = fitting_id(name, CALL_ID, CALL_ID_PREFIX)
                if call_id in used:
                    call_id = fitting_id(f"{name} {len(used)}", CALL_ID, CALL_ID_PREFIX)
                used.add(call_id)
                waiting.setdefault(name, []).append(call_id)
                block = structs.replace(each.block, id=call_id)
                run.blocks[position] = _Placed(block, each.turn)
        if number + 1 < len(runs):
            _answer(runs[number + 1], waiting, losses)
        elif waiting:
            answers = _Run(role="user", blocks=[], system=[])
            _answer(answers, waiting, losses)
            runs.append(answers)
            return


def _answer(run: _Run, waiting: dict[str, list[str]], losses: Losses) -> None:
    results: list[_Placed] = []
    rest: list[_Placed] = []
    for each in run.blocks:
        if not isinstance(each.block, ToolResult):
            rest.append(each)
            continue
        call_ids = waiting.get(each.block.call_id)
        if call_ids:
            block = structs.replace(each.block, call_id=call_ids.pop(0))
            results.append(_Placed(block, each.turn))
        else:
            losses.drop("orphans")
    turn = run.blocks[0].turn if run.blocks else 0
    for call_ids in waiting.values():
        results += [
            _Placed(ToolResult(call_id=call_id, blocks=[_NO_OUTPUT]), turn) for call_id in call_ids
        ]
    run.blocks = results + rest


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
