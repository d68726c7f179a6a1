"""Chat streams to events."""

import msgspec

from aibridge_router.canonical.content import Refusal, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Started,
    Stopped,
    StreamedBlock,
    TextDelta,
    UsageSeen,
)
from aibridge_router.dialects.openai_chat.errors import failure
from aibridge_router.dialects.openai_chat.response import stop_from_wire
from aibridge_router.dialects.openai_chat.wire import Chunk, ChunkChoice, ToolCallWire
from aibridge_router.sse import FrameSplitter, payloads

_decode = msgspec.json.Decoder(Chunk).decode
_DONE = b"[DONE]"


class ChatDecoder:
    """Text is one open block at a time; tool calls stay open until the end, since their pieces may interleave."""

    def __init__(self) -> None:
        self._frames = FrameSplitter()
        self._started = False
        self._blocks = 0
        self._text: tuple[type[StreamedBlock], int] | None = None
        self._calls: dict[int, int] = {}
        self._refused = False
        self._stopped = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `FrameTooLong` or `msgspec.DecodeError`."""
        events: list[Event] = []
        for payload in payloads(self._frames.feed(data)):
            if payload.strip() == _DONE:
                self._end(events)
                continue
            try:
                chunk = _decode(payload)
            except UnicodeDecodeError as error:
                raise msgspec.DecodeError(str(error)) from None
            self._read(chunk, events)
        return events

    def _read(self, chunk: Chunk, events: list[Event]) -> None:
        if chunk.error is not None:
            said = failure(chunk.error)
            events.append(Failed(kind=said.code, message=said.message))
            return
        if not self._started:
            self._started = True
            events.append(Started(id=chunk.id, model=chunk.model))
        for choice in chunk.choices or ():
            if choice.index == 0 and not self._stopped:
                self._read_choice(choice, events)
        if chunk.usage is not None:
            events.append(UsageSeen(usage=chunk.usage.to_usage(), final=True))

    def _read_choice(self, choice: ChunkChoice, events: list[Event]) -> None:
        delta = choice.delta
        if delta is not None:
            if delta.reasoning_content:
                self._say(Thinking, delta.reasoning_content, events)
            if delta.content:
                self._say(Text, delta.content, events)
            if delta.refusal:
                self._refused = True
                self._say(Refusal, delta.refusal, events)
            for call in delta.tool_calls or ():
                self._call(call, events)
        if choice.finish_reason is not None:
            self._finish(choice.finish_reason, events)

    def _say(self, kind: type[Text | Thinking | Refusal], text: str, events: list[Event]) -> None:
        current = self._text
        if current is None or current[0] is not kind:
            self._close_text(events)
            current = self._text = (kind, self._blocks)
            self._blocks += 1
            events.append(BlockStarted(index=current[1], block=kind(text="")))
        events.append(TextDelta(index=current[1], text=text))

    def _call(self, call: ToolCallWire, events: list[Event]) -> None:
        number = call.index
        if number is None:  # left out by servers that send each call whole
            number = len(self._calls) if call.id or not self._calls else max(self._calls)
        function, custom = call.function, call.custom
        if number not in self._calls:
            self._close_text(events)
            self._calls[number] = self._blocks
            name = (function and function.name) or (custom and custom.name) or ""
            block = ToolCall(
                id=call.id or f"call_{number}", name=name, arguments="", custom=custom is not None
            )
            events.append(BlockStarted(index=self._blocks, block=block))
            self._blocks += 1
        text = (function and function.arguments) or (custom and custom.input)
        if text:
            events.append(ArgumentsDelta(index=self._calls[number], text=text))

    def _finish(self, finish_reason: str, events: list[Event]) -> None:
        self._close_text(events)
        events += [BlockStopped(index=index) for index in self._calls.values()]
        self._stopped = True
        stop = stop_from_wire(finish_reason, calls=bool(self._calls), refuses=self._refused)
        events.append(Stopped(stop=stop))

    def _end(self, events: list[Event]) -> None:
        """What is open is closed, for servers that give no reason."""
        if self._started and not self._stopped:
            self._finish("stop", events)
        events.append(Ended())

    def _close_text(self, events: list[Event]) -> None:
        if self._text is not None:
            events.append(BlockStopped(index=self._text[1]))
            self._text = None
