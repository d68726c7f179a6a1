"""The output items of one response, in the words of the Responses API."""

from typing import Any

import msgspec

from aibridge_sandbox.call import Call
from aibridge_sandbox.openai.responses.prompt import effort
from aibridge_sandbox.reply.answer import Answer, Decline, Invoke, Say, Thought
from aibridge_sandbox.shape import as_dict, as_list
from aibridge_sandbox.world.seal import seal

ENCRYPTED = "reasoning.encrypted_content"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One finished output item, and the text its stream spells out."""

    wire: dict[str, Any]
    text: str
    kind: str
    """`reasoning`, `text`, `refusal`, `function` or `custom`."""


def output_items(call: Call, answer: Answer) -> list[Item]:
    """The items in the order they are streamed."""
    items: list[Item] = []
    thought = next((block.text for block in answer.blocks if isinstance(block, Thought)), None)
    if thought is not None or effort(call) not in ("", "none"):
        items.append(_reasoning(call, thought or ""))
    for number, block in enumerate(answer.blocks):
        match block:
            case Thought():
                continue
            case Say():
                part = {
                    "type": "output_text",
                    "text": block.text,
                    "annotations": [],
                    "logprobs": [],
                }
                items.append(_message(call, number, part, block.text, "text", answer))
            case Decline():
                part = {"type": "refusal", "refusal": block.text}
                items.append(_message(call, number, part, block.text, "refusal", answer))
            case Invoke():
                items.append(_invocation(call, number, block, answer))
    return items


def shows_summary(call: Call) -> bool:
    """Whether reasoning comes with a summary or bare."""
    return as_dict(call.body.get("reasoning")).get("summary") not in (None, "none")


def _status(answer: Answer) -> str:
    return "incomplete" if answer.stop == "length" else "completed"


def _reasoning(call: Call, thought: str) -> Item:
    shown = shows_summary(call) and thought
    wire: dict[str, Any] = {
        "id": f"rs_{call.mint[:46]}00",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": thought}] if shown else [],
    }
    if ENCRYPTED in as_list(call.body.get("include")):
        wire["encrypted_content"] = seal("openai", call.mint)
    return Item(wire=wire, text=thought if shown else "", kind="reasoning")


def _message(
    call: Call, number: int, part: dict[str, Any], text: str, kind: str, answer: Answer
) -> Item:
    wire = {
        "id": f"msg_{call.mint[:46]}{number:02d}",
        "type": "message",
        "status": _status(answer),
        "role": "assistant",
        "content": [part],
    }
    return Item(wire=wire, text=text, kind=kind)


def _invocation(call: Call, number: int, invoke: Invoke, answer: Answer) -> Item:
    custom = invoke.kind == "custom"
    wire: dict[str, Any] = {
        "id": f"{'ctc' if custom else 'fc'}_{call.mint[:46]}{number:02d}",
        "type": "custom_tool_call" if custom else "function_call",
        "status": _status(answer),
        "call_id": f"call_{call.mint[:22]}{number:02d}",
        "name": invoke.name,
        "input" if custom else "arguments": invoke.arguments,
    }
    if invoke.namespace is not None:
        wire["namespace"] = invoke.namespace
    return Item(wire=wire, text=invoke.arguments, kind=invoke.kind)
