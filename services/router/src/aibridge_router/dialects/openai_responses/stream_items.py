"""How the items of a stream are written, from `added` to `done`."""

from typing import Any

from msgspec import Struct

from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import State, Thinking, ToolCall
from aibridge_router.dialects.openai_responses import stream_wire_out as on_wire
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.identity import Ids
from aibridge_router.dialects.openai_responses.output_items import (
    AnswerPart,
    call_item,
    call_state_item,
    free_text,
    is_free_text,
    message_item,
    reasoning_item,
)
from aibridge_router.sse import FrameTooLong

ANSWER_CHARACTERS_MAX = 32 << 20
"""An answer is kept whole until its end, since the last event repeats it."""


class Output:
    """Frames in their order, and the items that are complete."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.items: list[Any] = []
        self._sequence = 0
        self._characters = 0

    def say(self, event: Struct) -> bytes:
        """One frame."""
        name = str(event.__struct_config__.tag).encode()
        number, self._sequence = self._sequence, self._sequence + 1
        body = wire.encode(event)
        return b'event: %b\ndata: %b,"sequence_number":%d}\n\n' % (name, body[:-1], number)

    def delta(self, head: bytes, text: str) -> bytes:
        """One frame of a piece of text; `head` is all that stands before it. Raises `FrameTooLong`."""
        self._characters += len(text)
        if self._characters > ANSWER_CHARACTERS_MAX:
            raise FrameTooLong
        number, self._sequence = self._sequence, self._sequence + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (head, wire.encode(text), number)

    def add(self, item: wire.Item) -> bytes:
        """The next item begins."""
        return self.say(on_wire.ItemAddedOut(output_index=len(self.items), item=item))

    def finish(self, item: wire.Item) -> bytes:
        """The item that was added last is complete."""
        frame = self.say(on_wire.ItemDoneOut(output_index=len(self.items), item=item))
        self.items.append(item)
        return frame


def delta_head(kind: bytes, item_id: str, output_index: int, place: bytes = b"") -> bytes:
    """What stands before the text in each delta of an item; it is the same for all of them."""
    return (
        b'event: response.%b.delta\ndata: {"type":"response.%b.delta","item_id":"%b",'
        b'"output_index":%d,%b"delta":' % (kind, kind, item_id.encode(), output_index, place)
    )


class MessageWriter:
    """A message; each text or refusal in a row is a part of it. Nothing is written for empty ones."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._id = ""
        self._index = len(output.items)
        self._parts: list[AnswerPart] = []
        self._pieces: list[str] = []
        self._head = b""
        self._refuses = False

    def start(self, *, refuses: bool) -> None:
        """Another part, once it has text."""
        self._refuses = refuses
        self._head = b""

    def delta(self, text: str) -> bytes:
        """More text."""
        if not self._head:
            opening = self._open()
            self._pieces.append(text)
            return opening + self._output.delta(self._head, text)
        self._pieces.append(text)
        return self._output.delta(self._head, text)

    def stop(self) -> bytes:
        """The part is complete; the message may go on."""
        if not self._head:
            return b""
        text = "".join(self._pieces)
        part = self._part(text)
        number = len(self._parts)
        whole = on_wire.PartDoneOut(
            item_id=self._id, output_index=self._index, content_index=number, part=part
        )
        if self._refuses:
            said: Struct = on_wire.RefusalDoneOut(
                item_id=self._id, output_index=self._index, content_index=number, refusal=text
            )
        else:
            said = on_wire.TextDoneOut(
                item_id=self._id, output_index=self._index, content_index=number, text=text
            )
        self._parts.append(part)
        self._pieces = []
        self._head = b""
        return self._output.say(said) + self._output.say(whole)

    def close(self) -> bytes:
        """The message is complete."""
        if not self._parts:
            return b""
        return self._output.finish(message_item(self._id, self._parts))

    def _open(self) -> bytes:
        opening = b""
        if not self._id:
            self._id = self._output.ids.item("msg")
            empty = wire.Message(id=self._id, status="in_progress", role="assistant", content=[])
            opening = self._output.add(empty)
        number = len(self._parts)
        place = b'"content_index":%d,' % number
        kind = b"refusal"
        if not self._refuses:
            kind = b"output_text"
            place += b'"logprobs":[],'
        self._head = delta_head(kind, self._id, self._index, place)
        return opening + self._output.say(
            on_wire.PartAddedOut(
                item_id=self._id,
                output_index=self._index,
                content_index=number,
                part=self._part(""),
            )
        )

    def _part(self, text: str) -> AnswerPart:
        if self._refuses:
            return wire.RefusalText(refusal=text)
        return wire.OutputText(text=text, logprobs=[])


class CallWriter:
    """A call. What a function was called with in place of a free-text tool is held until it is whole."""

    def __init__(self, output: Output, call: ToolCall, context: AnswerContext) -> None:
        self.state = call.state
        self._output = output
        self._call = call
        self._context = context
        self._free = is_free_text(call, context)
        self._held = self._free and not call.custom
        self._id = output.ids.item("ctc" if self._free else "fc")
        self._index = len(output.items)
        self._pieces: list[str] = []
        kind = b"custom_tool_call_input" if self._free else b"function_call_arguments"
        self._head = delta_head(kind, self._id, self._index)

    def open(self) -> bytes:
        """The call begins."""
        item = call_item(self._id, self._call, "", self._context, "in_progress")
        opening = self._output.add(item)
        return opening + (self.delta(self._call.arguments) if self._call.arguments else b"")

    def delta(self, text: str) -> bytes:
        """More arguments."""
        self._pieces.append(text)
        return b"" if self._held else self._output.delta(self._head, text)

    def stop(self) -> bytes:
        """The call is complete."""
        arguments = "".join(self._pieces)
        rest = b""
        if self._held:
            arguments = free_text(arguments)
            rest = self._output.delta(self._head, arguments) if arguments else b""
        elif not arguments and not self._free:
            arguments = "{}"
            rest = self._output.delta(self._head, arguments)
        item = call_item(self._id, self._call, arguments, self._context, "completed")
        done = (
            on_wire.InputDoneOut(item_id=self._id, output_index=self._index, input=arguments)
            if self._free
            else on_wire.ArgumentsDoneOut(
                item_id=self._id, output_index=self._index, name=item.name, arguments=arguments
            )
        )
        whole = rest + self._output.say(done) + self._output.finish(item)
        if self.state is None:
            return whole
        follower = call_state_item(self._output.ids.item("rs"), self.state)
        return whole + self._output.add(follower) + self._output.finish(follower)


class ThinkingWriter:
    """Reasoning, as a summary. Nothing is written where there is neither text nor state."""

    def __init__(self, output: Output, block: Thinking) -> None:
        self.state: State | None = block.state
        self._output = output
        self._redacted = block.redacted
        self._id = ""
        self._index = len(output.items)
        self._pieces: list[str] = []
        self._head = b""

    def delta(self, text: str) -> bytes:
        """More of the summary."""
        opening = b"" if self._head else self._open_summary()
        self._pieces.append(text)
        return opening + self._output.delta(self._head, text)

    def stop(self) -> bytes:
        """The reasoning is complete, with its state if it has one."""
        if not self._head and self.state is None:
            return b""
        closing = self._close_summary() if self._head else self._open()
        text = "".join(self._pieces)
        item = reasoning_item(self._id, text, self.state, redacted=self._redacted)
        return closing + self._output.finish(item)

    def _open(self) -> bytes:
        self._id = self._output.ids.item("rs")
        return self._output.add(wire.ReasoningItem(id=self._id))

    def _open_summary(self) -> bytes:
        opening = self._open()
        kind = b"reasoning_summary_text"
        self._head = delta_head(kind, self._id, self._index, b'"summary_index":0,')
        added = on_wire.SummaryPartAddedOut(
            item_id=self._id, output_index=self._index, part=wire.SummaryText()
        )
        return opening + self._output.say(added)

    def _close_summary(self) -> bytes:
        text = "".join(self._pieces)
        done = on_wire.SummaryTextDoneOut(item_id=self._id, output_index=self._index, text=text)
        part = on_wire.SummaryPartDoneOut(
            item_id=self._id, output_index=self._index, part=wire.SummaryText(text=text)
        )
        return self._output.say(done) + self._output.say(part)
