"""A vendor's stream, read as events."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from aibridge_router.canonical.events import Ended, Event, Failed, Stopped, UsageSeen
from aibridge_router.dialects.openai_responses import stream_wire_in as on_wire
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.answer_in import ErrorBody, stop_from_wire
from aibridge_router.dialects.openai_responses.errors import code_of
from aibridge_router.dialects.openai_responses.invalid import Malformed
from aibridge_router.dialects.openai_responses.stream_blocks import Blocks
from aibridge_router.sse import FrameSplitter, payloads

_NO_EVENT = frozenset({b"", b"[DONE]"})


class Decoder:
    """See `canonical.codec.StreamDecoder`."""

    def __init__(self, provider: str) -> None:
        self._frames = FrameSplitter()
        self._blocks = Blocks(provider)
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `FrameTooLong` or `msgspec.DecodeError`."""
        for payload in payloads(self._frames.feed(data)):
            if self._over:
                break
            try:
                event = on_wire.decode_event(payload)
            except Malformed as error:
                self._read_unknown(payload, error)
            else:
                _READERS[type(event)](self, event)
        events, self._blocks.events = self._blocks.events, []
        return events

    def _read_unknown(self, payload: bytes, error: Exception) -> None:
        """An event that we do not know is none of our business; one that we know must be right."""
        if payload.strip() in _NO_EVENT:
            return
        try:
            event = on_wire.decode_untagged(payload)
        except Malformed:
            raise msgspec.DecodeError(str(error)) from None
        if event.type is None and event.error is not None:
            self._fail(event.error)
        elif event.type in on_wire.KNOWN:
            raise msgspec.DecodeError(str(error)) from None

    def start(self, event: on_wire.Created | on_wire.InProgress | on_wire.Queued) -> None:
        """Whichever comes first."""
        self._blocks.start(event.response.id, event.response.model)

    def text(self, event: on_wire.TextPiece) -> None:
        """The frequent one."""
        self._blocks.text(event.output_index, event.content_index, event.delta)

    def whole_text(self, event: on_wire.TextWhole) -> None:
        """Repeats the pieces, or stands in for them."""
        self._blocks.whole_text(event.output_index, event.content_index, event.text)

    def refusal(self, event: on_wire.RefusalPiece) -> None:
        """A piece of refusal."""
        self._blocks.refusal(event.output_index, event.content_index, event.delta)

    def arguments(self, event: on_wire.ArgumentsPiece | on_wire.InputPiece) -> None:
        """JSON or free text."""
        self._blocks.arguments(event.output_index, event.delta)

    def summary(self, event: on_wire.SummaryPiece) -> None:
        """What hosted models show of their reasoning."""
        self._blocks.thought(event.output_index, ("summary", event.summary_index), event.delta)

    def thought(self, event: on_wire.ThoughtPiece) -> None:
        """What open models show of theirs."""
        self._blocks.thought(event.output_index, ("content", event.content_index), event.delta)

    def add_item(self, event: on_wire.ItemAdded) -> None:
        """An item begins."""
        self._blocks.add_item(event.output_index, _item(event.item))

    def add_part(self, event: on_wire.PartAdded) -> None:
        """A part begins."""
        self._blocks.add_part(event.output_index, event.content_index, event.part.type)

    def finish_part(self, event: on_wire.PartDone) -> None:
        """A part ends."""
        self._blocks.finish_part(event.output_index, event.content_index)

    def finish_item(self, event: on_wire.ItemDone) -> None:
        """An item ends."""
        self._blocks.finish_item(event.output_index, _item(event.item))

    def end(self, event: on_wire.Completed | on_wire.StoppedShort) -> None:
        """The response as a whole; a server that streams nothing says all of it here."""
        blocks, response = self._blocks, event.response
        blocks.start(response.id, response.model)
        if blocks.empty and isinstance(response.output, list):
            for index, raw in enumerate(response.output):
                blocks.finish_item(index, _item(raw))
        blocks.stop_all()
        self._count(response)
        status = "incomplete" if isinstance(event, on_wire.StoppedShort) else "completed"
        ending = msgspec.structs.replace(response, status=status)
        stop = stop_from_wire(ending, calls=blocks.calls, refuses=blocks.refuses)
        blocks.events += [Stopped(stop=stop), Ended()]
        self._over = True

    def give_up(self, event: on_wire.GaveUp | on_wire.Cancelled) -> None:
        """The response failed; its tokens may still be counted."""
        self._count(event.response)
        self._fail(event.response.error or ErrorBody())

    def error(self, event: on_wire.ErrorEvent) -> None:
        """The stream failed."""
        self._fail(event.error or ErrorBody(code=event.code, message=event.message))

    def _count(self, response: on_wire.Terminal) -> None:
        if response.usage is not None:
            usage = response.usage.to_usage()
            self._blocks.events.append(UsageSeen(usage=usage, final=True))

    def _fail(self, error: ErrorBody) -> None:
        message = error.message or "the vendor ended the stream with an error"
        kind = code_of(error.code, None, message)
        self._blocks.events.append(Failed(kind=kind, message=message))
        self._over = True


def _item(raw: Raw) -> wire.Item | None:
    """None for an item that the hub has no block for."""
    try:
        return wire.decode_item(raw)
    except Malformed as error:
        try:
            kind = wire.decode_kind(raw).type
        except Malformed:
            return None
        if kind in wire.ITEM_KINDS:
            raise msgspec.DecodeError(str(error)) from None
        return None


_READERS: dict[type, Callable[[Decoder, Any], None]] = {
    on_wire.TextPiece: Decoder.text,
    on_wire.ArgumentsPiece: Decoder.arguments,
    on_wire.InputPiece: Decoder.arguments,
    on_wire.SummaryPiece: Decoder.summary,
    on_wire.ThoughtPiece: Decoder.thought,
    on_wire.RefusalPiece: Decoder.refusal,
    on_wire.Created: Decoder.start,
    on_wire.InProgress: Decoder.start,
    on_wire.Queued: Decoder.start,
    on_wire.ItemAdded: Decoder.add_item,
    on_wire.ItemDone: Decoder.finish_item,
    on_wire.PartAdded: Decoder.add_part,
    on_wire.PartDone: Decoder.finish_part,
    on_wire.TextWhole: Decoder.whole_text,
    on_wire.Completed: Decoder.end,
    on_wire.StoppedShort: Decoder.end,
    on_wire.GaveUp: Decoder.give_up,
    on_wire.Cancelled: Decoder.give_up,
    on_wire.ErrorEvent: Decoder.error,
}
