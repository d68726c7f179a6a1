"""One block of a stream that is being written: what of it waits, and its frames."""

import msgspec

from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Thinking, ToolCall
from aibridge_router.canonical.events import StreamedBlock
from aibridge_router.canonical.state import pack
from aibridge_router.dialects.anthropic_messages import frames
from aibridge_router.dialects.anthropic_messages.answering import call_id, tool_name
from aibridge_router.dialects.anthropic_messages.states import call_state_to_wire

_encode = msgspec.json.encode


class SpokenBlock:
    """A block of the hub on its way to the wire. Before `begin` its pieces wait in `held`."""

    def __init__(self, index: int, block: StreamedBlock, context: AnswerContext) -> None:
        self.block = block
        self.stopped = False
        self.held: list[str] = []
        self.state = block.state if isinstance(block, Thinking | ToolCall) else None
        self.delta_head = b""
        """A delta up to its text; empty where pieces cannot be written one by one."""
        self.next_number = 0
        """The first index behind it, once it has begun."""
        self._context = context
        self._call_id = call_id(block.id, index, context) if isinstance(block, ToolCall) else ""
        self._number = 0
        said = block.arguments if isinstance(block, ToolCall) else block.text
        if said and not self.is_redacted:
            self.held.append(said)

    @property
    def is_redacted(self) -> bool:
        """Whether it comes whole, as state."""
        return isinstance(self.block, Thinking) and self.block.redacted

    @property
    def says_something(self) -> bool:
        """Whether it is worth a block: an empty text is refused when the client sends it back."""
        if isinstance(self.block, ToolCall):
            return True
        return bool(self.held) or self.state is not None

    @property
    def has_call_state(self) -> bool:
        """Whether it is a call whose state is still to be written."""
        return isinstance(self.block, ToolCall) and self.state is not None

    @property
    def is_bare_state(self) -> bool:
        """Whether it is nothing but a vendor's state, so far.

        Behind an answer there is no place for it: clients take the last block for the answer, and Claude Code then
        shows none.
        """
        return isinstance(self.block, Thinking) and not self.held

    def begin(self, number: int) -> bytes:
        """The start, and what has waited; `number` is the first index that is free."""
        out = b""
        match self.block:
            case ToolCall():
                if self.has_call_state:
                    out = self.call_state(number)
                    number += 1
                block = {
                    "type": "tool_use",
                    "id": self._call_id,
                    "name": tool_name(self.block, self._context),
                    "input": {},
                }
                if not self.block.custom:
                    self.delta_head = frames.delta_head(number, frames.ARGUMENTS)
            case Thinking(redacted=True):
                data = pack(self.state) if self.state is not None else ""
                block = {"type": "redacted_thinking", "data": data}
            case Thinking():
                block = {"type": "thinking", "thinking": "", "signature": ""}
                self.delta_head = frames.delta_head(number, frames.THINKING)
            case _:
                block = {"type": "text", "text": ""}
                self.delta_head = frames.delta_head(number, frames.TEXT)
        self._number = number
        self.next_number = number + 1
        out += frames.start_frame(number, block)
        if self.held and self.delta_head:
            out += self.delta_head + _encode("".join(self.held)) + frames.DELTA_END
            self.held.clear()
        return out

    def end(self) -> bytes:
        """What only the end knows, and the stop."""
        out = b""
        block = self.block
        if isinstance(block, ToolCall):
            if block.custom:
                text = _encode({"input": "".join(self.held)}).decode()
                out = frames.delta_frame(self._number, frames.ARGUMENTS, text)
        elif isinstance(block, Thinking) and not block.redacted and self.state is not None:
            out = frames.delta_frame(self._number, frames.SIGNATURE, pack(self.state))
        return out + frames.stop_frame(self._number)

    def call_state(self, number: int) -> bytes:
        """The state of a call, in a block of its own."""
        assert self.state is not None
        signature = call_state_to_wire(self.state, self._call_id)
        self.state = None
        return frames.signed_block(number, signature)
