"""Messages streams to events."""

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
    StateSeen,
    Stopped,
    StreamedBlock,
    TextDelta,
    UsageSeen,
)
from aibridge_router.dialects.anthropic_messages.answer_wire import (
    Delta,
    ErrorWire,
    KindOnly,
    Kinds,
    StreamedBlockWire,
    StreamEvent,
)
from aibridge_router.dialects.anthropic_messages.errors import code_of
from aibridge_router.dialects.anthropic_messages.states import state_from_wire
from aibridge_router.dialects.anthropic_messages.stops import stop_from_wire
from aibridge_router.dialects.anthropic_messages.structured import ANSWER_TOOL
from aibridge_router.dialects.anthropic_messages.usage import MessagesUsage
from aibridge_router.dialects.anthropic_messages.wire import ABSENT
from aibridge_router.sse import FrameSplitter, payloads

_decode = msgspec.json.Decoder(StreamEvent).decode
_decode_block = msgspec.json.Decoder(StreamedBlockWire).decode
_decode_kind = msgspec.json.Decoder(KindOnly).decode
_decode_kinds = msgspec.json.Decoder(Kinds).decode

_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    }
)
_DELTAS = frozenset({"text_delta", "thinking_delta", "input_json_delta", "signature_delta"})
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_NOT_EVENTS = frozenset({b"", b"[DONE]"})
"""Data that some vendors of this dialect send beside its events."""

_UNNAMED = ErrorWire(message="the vendor ended the stream with an error")


class MessagesDecoder:
    """Reads one stream. Blocks of types that the hub does not stream are passed over, and the rest counted anew.

    `provider` is whose state a signature is.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._frames = FrameSplitter()
        self._usage = MessagesUsage()
        self._open: dict[int, tuple[int, type[StreamedBlock]]] = {}
        self._whole_inputs: dict[int, str] = {}
        self._blocks = 0
        self._calls = False
        self._started = False
        self._stopped = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `FrameTooLong` or `msgspec.DecodeError`."""
        events: list[Event] = []
        for payload in payloads(self._frames.feed(data)):
            if self._over:
                break
            try:
                event = _decode(payload)
            except msgspec.DecodeError:
                if _is_unknown(payload):
                    continue
                raise
            self._read(event, events)
        return events

    def _read(self, event: StreamEvent, events: list[Event]) -> None:
        kind = event.type
        if kind == "content_block_delta":
            if event.delta is not None:
                self._delta(event.index, event.delta, events)
        elif kind == "content_block_start":
            self._start(event.index, event.content_block, events)
        elif kind == "content_block_stop":
            self._close(event.index, events)
        elif kind == "message_start":
            self._head(event, events)
        elif kind == "message_delta":
            self._see_usage(event.usage, events, final=True)
            if event.delta is not None and event.delta.stop_reason is not None:
                self._stop(event.delta, events)
        elif kind == "message_stop":
            self._stop(Delta(), events)
            self._over = True
            events.append(Ended())
        elif kind == "error" or event.error is not None:
            self._over = True
            error = event.error or _UNNAMED
            message = error.message or _UNNAMED.message
            events.append(Failed(kind=code_of(error.type), message=message))

    def _head(self, event: StreamEvent, events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        message = event.message
        if message is None:
            events.append(Started(id="", model=""))
            return
        events.append(Started(id=message.id, model=message.model))
        self._see_usage(message.usage, events, final=False)

    def _start(self, number: int, raw: msgspec.Raw, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(Started(id="", model=""))
        if self._stopped:
            return
        self._close(number, events)
        wire = _streamed_block(raw)
        if wire is None:
            return
        index = self._blocks
        self._blocks += 1
        block = self._block(wire)
        self._open[number] = (index, type(block))
        events.append(BlockStarted(index=index, block=block))
        # What a block should only get in deltas may stand in its start.
        if wire.type in {"text", "thinking"} and (said := wire.text or wire.thinking):
            events.append(TextDelta(index=index, text=said))
        if wire.signature and (state := state_from_wire(wire.signature, self._provider)):
            events.append(StateSeen(index=index, state=state))
        if wire.type == "tool_use" and bytes(wire.input) not in ABSENT:
            self._whole_inputs[number] = bytes(wire.input).decode()

    def _block(self, wire: StreamedBlockWire) -> StreamedBlock:
        if wire.type == "tool_use":
            if wire.name == ANSWER_TOOL:
                return Text(text="")
            self._calls = True
            return ToolCall(id=wire.id, name=wire.name, arguments="")
        if wire.type == "redacted_thinking":
            return Thinking(redacted=True, state=state_from_wire(wire.data, self._provider))
        return Thinking() if wire.type == "thinking" else Text(text="")

    def _delta(self, number: int, delta: Delta, events: list[Event]) -> None:
        opened = self._open.get(number)
        if opened is None:
            return
        index, block = opened
        kind = delta.type
        if kind == "text_delta" and block is Text:
            if delta.text:
                events.append(TextDelta(index=index, text=delta.text))
        elif kind == "thinking_delta" and block is Thinking:
            if delta.thinking:
                events.append(TextDelta(index=index, text=delta.thinking))
        elif kind == "input_json_delta" and delta.partial_json:
            self._whole_inputs.pop(number, None)
            events.append(_arguments(index, block, delta.partial_json))
        elif kind == "signature_delta" and block is Thinking:
            state = state_from_wire(delta.signature, self._provider)
            if state is not None:
                events.append(StateSeen(index=index, state=state))

    def _close(self, number: int, events: list[Event]) -> None:
        opened = self._open.pop(number, None)
        if opened is None:
            return
        index, block = opened
        whole = self._whole_inputs.pop(number, None)
        if whole is not None:
            events.append(_arguments(index, block, whole))
        events.append(BlockStopped(index=index))

    def _see_usage(self, said: MessagesUsage | None, events: list[Event], *, final: bool) -> None:
        if said is not None:
            self._usage = self._usage.merged(said)
            events.append(UsageSeen(usage=self._usage.to_usage(), final=final))

    def _stop(self, delta: Delta, events: list[Event]) -> None:
        if self._stopped:
            return
        if not self._started:
            self._started = True
            events.append(Started(id="", model=""))
        self._stopped = True
        for number in list(self._open):
            self._close(number, events)
        if delta.stop_details is not None and delta.stop_details.explanation:
            index = self._blocks
            events.append(BlockStarted(index=index, block=Refusal(text="")))
            events.append(TextDelta(index=index, text=delta.stop_details.explanation))
            events.append(BlockStopped(index=index))
        stop = stop_from_wire(delta.stop_reason, delta.stop_sequence, calls=self._calls)
        events.append(Stopped(stop=stop))


def _arguments(index: int, block: type[StreamedBlock], text: str) -> Event:
    """Arguments of our own answer tool are the answer's text."""
    if block is ToolCall:
        return ArgumentsDelta(index=index, text=text)
    return TextDelta(index=index, text=text)


def _streamed_block(raw: msgspec.Raw) -> StreamedBlockWire | None:
    """A block as it starts, None for one of a type that the hub does not stream."""
    try:
        block = _decode_block(raw)
    except msgspec.ValidationError:
        if _decode_kind(raw).type in _BLOCKS:
            raise
        return None
    return block if block.type in _BLOCKS else None


def _is_unknown(payload: bytes) -> bool:
    """Whether what could not be read as an event is of a type that we do not know, or a delta of one."""
    if payload.strip() in _NOT_EVENTS:
        return True
    try:
        if _decode_kind(payload).type not in _EVENTS:
            return True
        delta = _decode_kinds(payload).delta
    except msgspec.DecodeError:
        return False
    return delta is not None and delta.type not in _DELTAS
