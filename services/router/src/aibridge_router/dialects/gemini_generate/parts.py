"""The hub's blocks as parts of an answer."""

from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Block, Refusal, State, Text, Thinking, ToolCall
from aibridge_router.dialects.gemini_generate.arguments import arguments_to_wire
from aibridge_router.dialects.gemini_generate.signature import packed_signature
from aibridge_router.dialects.gemini_generate.wire import Wire


def part_of(block: Block, context: AnswerContext) -> Wire | None:
    """A block as one part, None where nothing is to be shown. Raises `NoObject` for arguments that are none.

    A redacted thought is left out: its state would come back as a signature, which its vendor refuses.
    """
    match block:
        case Text() | Refusal():
            return {"text": block.text} if block.text else None
        case Thinking(redacted=False):
            part: Wire = {"text": block.text, "thought": True}
            if block.state is not None:
                part["thoughtSignature"] = packed_signature(block.state)
            return part if block.text or block.state is not None else None
        case ToolCall():
            return call_part(block, block.state, context)
        case _:
            return None


def call_part(call: ToolCall, state: State | None, context: AnswerContext) -> Wire:
    """A call under the name that the client gave its tool. Raises `NoObject`."""
    name = context.tool_names.get(call.name, call.name)
    part: Wire = {"functionCall": {"name": name, "args": arguments_to_wire(call), "id": call.id}}
    if state is not None:
        part["thoughtSignature"] = packed_signature(state)
    return part
