"""A vendor's stream, read as events."""

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from aibridge_router.canonical.content import Refusal, State, Text, Thinking, ToolCall
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
from aibridge_router.dialects.openai_responses import stream_wire as on_wire
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.errors import code_of
from aibridge_router.dialects.openai_responses.invalid import Malformed
from aibridge_router.dialects.openai_responses.reasoning import text_of
from aibridge_router.dialects.openai_responses.response import (
    ErrorBody,
    call_of,
    stop_from_wire,
)
from aibridge_router.sse import FrameSplitter, FrameTooLong, payloads

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCKS_MAX = 4096
"""More blocks than any answer has."""

_WHOLE = -1
"""In place of a part's number, for items that are one block."""

_Key = tuple[int, int]


class _Block:
    """A block of the answer: its number, and what of it was sent."""

    __slots__ = ("index", "open", "piece", "sent")

    def __init__(self, index: int) -> None:
        self.index = index
        self.open = True
        self.sent = False
        self.piece: object = None


class Decoder:
    """See `canonical.codec.StreamDecoder`.

    Servers that leave out events between the first and the last are understood: a block begins with its first sign and
    is complete with its item, and text that only the `done` events bring is sent then.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._frames = FrameSplitter()
        self._events: list[Event] = []
        self._blocks: dict[_Key, _Block] = {}
        self._started = False
        self._over = False
        self._calls = False
        self._refuses = False
        self._readers: dict[type, Callable[[Any], None]] = {
            on_wire.Created: self._start,
            on_wire.InProgress: self._start,
            on_wire.Queued: self._start,
            on_wire.ItemAdded: self._add_item,
            on_wire.ItemDone: self._finish_item,
            on_wire.PartAdded: self._add_part,
            on_wire.PartDone: self._finish_part,
            on_wire.TextPiece: self._text,
            on_wire.TextWhole: self._whole_text,
            on_wire.RefusalPiece: self._refusal,
            on_wire.ArgumentsPiece: self._arguments,
            on_wire.InputPiece: self._arguments,
            on_wire.SummaryPiece: self._summary,
            on_wire.ThoughtPiece: self._thought,
            on_wire.Completed: self._end,
            on_wire.StoppedShort: self._end,
            on_wire.GaveUp: self._give_up,
            on_wire.Cancelled: self._give_up,
            on_wire.ErrorEvent: self._error,
        }

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `FrameTooLong` or `msgspec.DecodeError`."""
        events = self._events = []
        for payload in payloads(self._frames.feed(data)):
            if self._over:
                break
            try:
                event = on_wire.decode_event(payload)
            except Malformed as error:
                self._unknown(payload, error)
                continue
            self._readers[type(event)](event)
        return events

    def _unknown(self, payload: bytes, error: Exception) -> None:
        """An event that we do not know is none of our business; one that we know must be right."""
        if payload.strip() in {b"", b"[DONE]"}:
            return
        try:
            event = on_wire.decode_untagged(payload)
        except Malformed:
            raise msgspec.DecodeError(str(error)) from None
        if event.type is None and event.error is not None:
            self._fail(event.error)
        elif event.type in on_wire.KNOWN:
            raise msgspec.DecodeError(str(error)) from None

    def _begin(self, head: on_wire.Head | on_wire.Terminal) -> None:
        if not self._started:
            self._started = True
            self._events.append(Started(id=head.id, model=head.model))

    def _start(self, event: on_wire.Created | on_wire.InProgress | on_wire.Queued) -> None:
        self._begin(event.response)

    def _open(self, key: _Key, block: StreamedBlock) -> _Block:
        self._begin(on_wire.Head())
        if len(self._blocks) >= BLOCKS_MAX:
            raise FrameTooLong
        opened = self._blocks[key] = _Block(len(self._blocks))
        self._calls = self._calls or isinstance(block, ToolCall)
        self._refuses = self._refuses or isinstance(block, Refusal)
        self._events.append(BlockStarted(index=opened.index, block=block))
        return opened

    def _stop(self, block: _Block) -> None:
        if block.open:
            block.open = False
            self._events.append(BlockStopped(index=block.index))

    def _say(self, block: _Block, text: str) -> None:
        if text and block.open:
            block.sent = True
            self._events.append(TextDelta(index=block.index, text=text))

    def _text(self, event: on_wire.TextPiece) -> None:
        key = (event.output_index, event.content_index)
        self._say(self._blocks.get(key) or self._open(key, Text(text="")), event.delta)

    def _whole_text(self, event: on_wire.TextWhole) -> None:
        self._complete((event.output_index, event.content_index), Text(text=""), event.text)

    def _refusal(self, event: on_wire.RefusalPiece) -> None:
        key = (event.output_index, event.content_index)
        self._say(self._blocks.get(key) or self._open(key, Refusal(text="")), event.delta)

    def _complete(self, key: _Key, block: Text | Refusal, text: str) -> None:
        """Sends `text` where no piece of it came."""
        opened = self._blocks.get(key)
        if opened is None and text:
            opened = self._open(key, block)
        if opened is not None and not opened.sent:
            self._say(opened, text)

    def _summary(self, event: on_wire.SummaryPiece) -> None:
        self._think(event.output_index, ("summary", event.summary_index), event.delta)

    def _thought(self, event: on_wire.ThoughtPiece) -> None:
        self._think(event.output_index, ("content", event.content_index), event.delta)

    def _think(self, output_index: int, piece: tuple[str, int], delta: str) -> None:
        key = (output_index, _WHOLE)
        block = self._blocks.get(key) or self._open(key, Thinking())
        if block.sent and block.piece != piece:
            delta = "\n\n" + delta
        block.piece = piece
        self._say(block, delta)

    def _arguments(self, event: on_wire.ArgumentsPiece | on_wire.InputPiece) -> None:
        block = self._blocks.get((event.output_index, _WHOLE))
        if block is not None and block.open and event.delta:
            block.sent = True
            self._events.append(ArgumentsDelta(index=block.index, text=event.delta))

    def _add_item(self, event: on_wire.ItemAdded) -> None:
        key = (event.output_index, _WHOLE)
        match self._item(event.item):
            case wire.FunctionCall() | wire.CustomToolCall() as item if key not in self._blocks:
                call = msgspec.structs.replace(call_of(item), arguments="")
                self._open(key, call)
            case wire.ReasoningItem() if key not in self._blocks:
                self._open(key, Thinking())
            case _:
                pass

    def _add_part(self, event: on_wire.PartAdded) -> None:
        key = (event.output_index, event.content_index)
        if key in self._blocks:
            return
        if event.part.type == "output_text":
            self._open(key, Text(text=""))
        elif event.part.type == "refusal":
            self._open(key, Refusal(text=""))

    def _finish_part(self, event: on_wire.PartDone) -> None:
        block = self._blocks.get((event.output_index, event.content_index))
        if block is not None and block.sent:
            self._stop(block)

    def _finish_item(self, event: on_wire.ItemDone) -> None:
        self._finish(event.output_index, event.item)

    def _finish(self, output_index: int, raw: Raw) -> None:
        match self._item(raw):
            case wire.Message(content=list(content)):
                for index, part in enumerate(content):
                    self._finish_said((output_index, index), part)
            case wire.FunctionCall() | wire.CustomToolCall() as item:
                self._finish_call((output_index, _WHOLE), item)
            case wire.ReasoningItem() as item:
                self._finish_thinking((output_index, _WHOLE), item)
            case _:
                pass

    def _finish_said(self, key: _Key, part: wire.Part) -> None:
        if isinstance(part, wire.OutputText):
            self._complete(key, Text(text=""), part.text)
        elif isinstance(part, wire.RefusalText):
            self._complete(key, Refusal(text=""), part.refusal)
        if key in self._blocks:
            self._stop(self._blocks[key])

    def _finish_call(self, key: _Key, item: wire.FunctionCall | wire.CustomToolCall) -> None:
        call = call_of(item)
        block = self._blocks.get(key)
        if block is None:
            block = self._open(key, msgspec.structs.replace(call, arguments=""))
        if block.open and not block.sent and call.arguments:
            self._events.append(ArgumentsDelta(index=block.index, text=call.arguments))
        self._stop(block)

    def _finish_thinking(self, key: _Key, item: wire.ReasoningItem) -> None:
        block = self._blocks.get(key) or self._open(key, Thinking())
        if not block.sent:
            self._say(block, text_of(item))
        if item.encrypted_content and block.open:
            state = State(provider=self._provider, data=item.encrypted_content)
            self._events.append(StateSeen(index=block.index, state=state))
        self._stop(block)

    def _item(self, raw: Raw) -> wire.Item | None:
        """None for an item that the hub has no block for."""
        try:
            return wire.decode_item(raw)
        except Malformed as error:
            kind = None if bytes(raw) == b"null" else wire.decode_kind(raw).type
            if kind in wire.ITEM_KINDS:
                raise msgspec.DecodeError(str(error)) from None
            return None

    def _end(self, event: on_wire.Completed | on_wire.StoppedShort) -> None:
        response = event.response
        self._begin(response)
        if not self._blocks and isinstance(response.output, list):
            for index, raw in enumerate(response.output):
                self._finish(index, raw)
        for block in self._blocks.values():
            self._stop(block)
        self._count(response)
        status = "incomplete" if isinstance(event, on_wire.StoppedShort) else "completed"
        ending = msgspec.structs.replace(response, status=status)
        stop = stop_from_wire(ending, calls=self._calls, refuses=self._refuses)
        self._events.append(Stopped(stop=stop))
        self._events.append(Ended())
        self._over = True

    def _count(self, response: on_wire.Terminal) -> None:
        if response.usage is not None:
            self._events.append(UsageSeen(usage=response.usage.to_usage(), final=True))

    def _give_up(self, event: on_wire.GaveUp | on_wire.Cancelled) -> None:
        self._count(event.response)
        self._fail(event.response.error or ErrorBody())

    def _error(self, event: on_wire.ErrorEvent) -> None:
        self._fail(event.error or ErrorBody(code=event.code, message=event.message))

    def _fail(self, error: ErrorBody) -> None:
        message = error.message or "the vendor ended the stream with an error"
        self._events.append(Failed(kind=code_of(error.code, None, message), message=message))
        self._over = True
