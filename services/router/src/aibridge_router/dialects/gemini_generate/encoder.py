"""Events to Google's streams: a chunk for each piece of text and for each whole call, and a last one with the reason.

Google has no index of blocks, so one block at a time is written, in order; what comes for later ones is held back.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import State, Text, Thinking, ToolCall
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
from aibridge_router.canonical.response import Stop
from aibridge_router.dialects.gemini_generate.arguments import NoObject
from aibridge_router.dialects.gemini_generate.errors import failure_to_wire
from aibridge_router.dialects.gemini_generate.ids import response_id
from aibridge_router.dialects.gemini_generate.parts import call_part
from aibridge_router.dialects.gemini_generate.response import usage_to_wire
from aibridge_router.dialects.gemini_generate.signature import packed_signature
from aibridge_router.dialects.gemini_generate.stops import FINISHES
from aibridge_router.sse import FrameTooLong

HELD_CHARACTERS_MAX = 4 << 20
"""What may be held back for calls that are not complete and blocks whose turn has not come."""

_encode = msgspec.json.encode
_FIRST = b'"candidates":[{"content":{"parts":['
_CLOSE = b'],"role":"model"},"index":0'
_EMPTY = b'{"text":""}'
_FRAME_END = b"}\r\n\r\n"


class _Slot:
    """A block that is not yet written to its end."""

    __slots__ = ("block", "pieces", "state", "stopped", "wire_head")

    def __init__(self, block: StreamedBlock) -> None:
        self.block = block
        self.pieces: list[str] = []
        self.state: State | None = (
            None if isinstance(block, Text) else getattr(block, "state", None)
        )
        self.stopped = False
        is_thought = isinstance(block, Thinking)
        self.wire_head = b'{"thought":true,"text":' if is_thought else b'{"text":'


class GeminiEncoder:
    """Writes one stream."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._head = b'data: {"provider":' + _encode(context.provider) + b"," + _FIRST
        self._tail = b""
        self._slots: dict[int, _Slot] = {}
        self._now = 0
        self._held_characters = 0
        self._usage: Usage | None = None
        self._stop = Stop(reason="end")
        self._over = False
        self._handlers: dict[type[Event], Callable[[Any], bytes]] = {
            TextDelta: self._text,
            ArgumentsDelta: self._arguments,
            StateSeen: self._state,
            BlockStarted: self._start,
            BlockStopped: self._stopped,
            UsageSeen: self._count,
            Stopped: self._remember,
            Started: self._begin,
            Ended: self._end,
            Failed: self._fail,
        }
        self._name(response_id("", context))

    def feed(self, event: Event) -> bytes:
        """Complete frames, possibly none yet. Raises `FrameTooLong` where too much would have to be held back."""
        if self._over:
            return b""
        return self._handlers[type(event)](event)

    def _name(self, identifier: str) -> None:
        names = {"modelVersion": self._context.model, "responseId": identifier}
        self._names = b"," + _encode(names)[1:-1] + _FRAME_END
        self._tail = _CLOSE + b"}]" + self._names

    def _text(self, event: TextDelta) -> bytes:
        slot = self._slots.get(event.index)
        if slot is None or not event.text:
            return b""
        if event.index == self._now and not isinstance(slot.block, ToolCall):
            return self._frame(slot.wire_head + _encode(event.text) + b"}")
        self._hold(slot, event.text)
        return b""

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        slot = self._slots.get(event.index)
        if slot is not None:
            self._hold(slot, event.text)
        return b""

    def _state(self, event: StateSeen) -> bytes:
        slot = self._slots.get(event.index)
        if slot is not None:
            slot.state = event.state
        return b""

    def _count(self, event: UsageSeen) -> bytes:
        self._usage = event.usage
        return b""

    def _remember(self, event: Stopped) -> bytes:
        self._stop = event.stop
        return b""

    def _begin(self, event: Started) -> bytes:
        """Google has no head; the vendor's id may be of its form."""
        self._name(response_id(event.id, self._context))
        return b""

    def _start(self, event: BlockStarted) -> bytes:
        block = event.block
        slot = self._slots[event.index] = _Slot(block)
        text = block.arguments if isinstance(block, ToolCall) else block.text
        if text:
            self._hold(slot, text)
        return self._write_held(slot) if event.index == self._now else b""

    def _stopped(self, event: BlockStopped) -> bytes:
        return self._stop_block(event.index)

    def _stop_block(self, index: int) -> bytes:
        """Ends a block; if it was the one being written, the next ones are written as far as they have come."""
        slot = self._slots.get(index)
        if slot is None:
            return b""
        slot.stopped = True
        frames = b""
        while (slot := self._slots.get(self._now)) is not None:
            frames += self._write_held(slot)
            if not slot.stopped:
                break
            try:
                frames += self._write_close(slot)
            except NoObject as error:
                if (
                    self._stop.reason != "max_tokens"
                ):  # else it was cut inside the call, and says so
                    message = f"the arguments of a call of {error} are no JSON object"
                    return frames + self._fail(Failed(kind="upstream_failed", message=message))
            del self._slots[self._now]
            self._now += 1
        return frames

    def _hold(self, slot: _Slot, text: str) -> None:
        self._held_characters += len(text)
        if self._held_characters > HELD_CHARACTERS_MAX:
            raise FrameTooLong
        slot.pieces.append(text)

    def _release(self, slot: _Slot) -> str:
        text = "".join(slot.pieces)
        self._held_characters -= len(text)
        slot.pieces.clear()
        return text

    def _write_held(self, slot: _Slot) -> bytes:
        """The text that was held back; a call is written when it is complete."""
        if not slot.pieces or isinstance(slot.block, ToolCall):
            return b""
        return self._frame(slot.wire_head + _encode(self._release(slot)) + b"}")

    def _write_close(self, slot: _Slot) -> bytes:
        """What ends a block: a whole call, or the signature of what was written."""
        block = slot.block
        if isinstance(block, ToolCall):
            call = msgspec.structs.replace(block, arguments=self._release(slot))
            return self._frame(_encode(call_part(call, slot.state, self._context)))
        if slot.state is None or (isinstance(block, Thinking) and block.redacted):
            return b""
        signature = b',"thoughtSignature":' + _encode(packed_signature(slot.state))
        return self._frame(slot.wire_head + b'""' + signature + b"}")

    def _frame(self, part: bytes) -> bytes:
        head, self._head = self._head, b"data: {" + _FIRST
        return head + part + self._tail

    def _end(self, _event: Ended) -> bytes:
        frames = b""
        for index in sorted(self._slots):
            frames += self._stop_block(index)
            if self._over:
                return frames
        self._over = True
        reason = b',"finishReason":' + _encode(FINISHES[self._stop.reason]) + b"}]"
        usage = b""
        if self._usage is not None:
            usage = b',"usageMetadata":' + _encode(usage_to_wire(self._usage))
        return frames + self._head + _EMPTY + _CLOSE + reason + usage + self._names

    def _fail(self, event: Failed) -> bytes:
        self._over = True
        return b"data: " + _encode(failure_to_wire(event.kind, event.message)) + b"\r\n\r\n"
