"""The content blocks of one answer, in Anthropic's words."""

import json
from typing import Any

import msgspec

from aibridge_sandbox.anthropic.prompt import shows_thinking
from aibridge_sandbox.call import Call
from aibridge_sandbox.reply.answer import Answer, Decline, Invoke, Say, Thought
from aibridge_sandbox.shape import as_dict
from aibridge_sandbox.world.seal import seal

_STOPS = {
    "end": "end_turn",
    "tool": "tool_use",
    "length": "max_tokens",
    "sequence": "stop_sequence",
    "refusal": "refusal",
}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One content block, finished."""

    wire: dict[str, Any]
    text: str
    """What the stream spells out: shown thinking, text, or the tool's JSON."""
    named: str = ""
    """What the block's start already says, billed with its first delta."""


def content_blocks(call: Call, answer: Answer) -> list[Block]:
    """The blocks in the order they are streamed."""
    found: list[Block] = []
    for number, block in enumerate(answer.blocks):
        match block:
            case Thought():
                found.append(_thinking(call, block))
            case Say() | Decline():
                wire = {"type": "text", "text": block.text, "citations": None}
                found.append(Block(wire=wire, text=block.text))
            case Invoke():
                wire = {
                    "type": "tool_use",
                    "id": f"toolu_01{call.mint[:20]}{number:02d}",
                    "name": block.name,
                    "input": _input(block.arguments),
                }
                found.append(Block(wire=wire, text=block.arguments, named=block.name))
    return found


def stop_fields(answer: Answer) -> dict[str, Any]:
    """`stop_reason` and what belongs to it."""
    fields: dict[str, Any] = {
        "stop_reason": answer.stop_word or _STOPS[answer.stop],
        "stop_sequence": answer.stop_sequence if answer.stop == "sequence" else None,
    }
    if fields["stop_reason"] == "refusal":
        fields["stop_details"] = {
            "type": "refusal",
            "category": "general_harms",
            "explanation": "The sandbox was told to refuse.",
        }
    return fields


def _thinking(call: Call, thought: Thought) -> Block:
    if call.script.redacted:
        data = seal("anthropic", call.mint, "redacted")
        return Block(wire={"type": "redacted_thinking", "data": data}, text="")
    shown = thought.text if shows_thinking(call) else ""
    signature = seal("anthropic", call.mint, shown)
    wire = {"type": "thinking", "thinking": shown, "signature": signature}
    return Block(wire=wire, text=shown)


def _input(arguments: str) -> dict[str, Any]:
    """The arguments as an object; what a cap clipped to no JSON is an empty one."""
    try:
        return as_dict(json.loads(arguments))
    except ValueError:
        return {}
