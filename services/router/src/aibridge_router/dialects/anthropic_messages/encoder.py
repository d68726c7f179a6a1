"""Events to Messages streams.

The grammar that clients insist on: one head; blocks one after the other, counted from 0 without gaps, each with one
start, deltas of its own kind and one stop, and none of them empty; no state alone behind the last of them (see
`SpokenBlock.is_bare_state`); `message_delta`, `message_stop`; or an error event and nothing behind it.
"""

import msgspec

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Refusal, Thinking, ToolCall
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
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.dialects.anthropic_messages.answering import (
    answer_head,
    answer_stop,
    usage_to_wire,
)
from aibridge_router.dialects.anthropic_messages.frames import DELTA_END, frame
from aibridge_router.dialects.anthropic_messages.spoken_block import SpokenBlock
from aibridge_router.sse import FrameTooLong

_encode = msgspec.json.encode

_Rarer = Started | BlockStarted | BlockStopped | StateSeen | UsageSeen | Stopped | Ended | Failed

HELD_CHARACTERS_MAX = 8 << 20
"""What may wait for an earlier block to end."""

_ERROR_TYPES = {
    "invalid_request": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "insufficient_balance": "billing_error",
    "rate_limited": "rate_limit_error",
    "rate_limit_exceeded": "rate_limit_error",
    "upstream_timeout": "timeout_error",
    "unavailable": "overloaded_error",
    "server_is_overloaded": "overloaded_error",
    "UNAVAILABLE": "overloaded_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
}
"""Words for a failure, ours and vendors', in this dialect; its own pass, and everything else is an `api_error`."""
_ERROR_TYPES_OWN = frozenset(
    {
        "api_error",
        "authentication_error",
        "billing_error",
        "conflict_error",
        "invalid_request_error",
        "not_found_error",
        "overloaded_error",
        "permission_error",
        "rate_limit_error",
        "request_too_large",
        "timeout_error",
    }
)


class MessagesEncoder:
    """Writes one stream. Blocks that open while another is being written wait until it has ended."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._blocks: dict[int, SpokenBlock] = {}
        self._current: SpokenBlock | None = None
        self._late: list[SpokenBlock] = []
        """Calls whose state came when they had begun: it goes in front of what follows them."""
        self._next_number = 0
        self._held_characters = 0
        self._usage = Usage()
        self._stop = Stop(reason="end")
        self._calls = False
        self._refused = False
        self._answered = False
        self._started = False
        self._over = False

    def feed(self, event: Event) -> bytes:
        """Complete frames, possibly none yet. Raises `FrameTooLong` when too much waits for a block to end."""
        if self._over:
            return b""
        if isinstance(event, TextDelta | ArgumentsDelta):
            return self._delta(event.index, event.text)
        return self._feed_rarer(event)

    def _feed_rarer(self, event: _Rarer) -> bytes:
        match event:
            case BlockStarted():
                return self._head("") + self._start(event)
            case BlockStopped():
                return self._finish(event.index)
            case StateSeen():
                return self._see_state(event)
            case Started():
                return self._head(event.id)
            case UsageSeen():
                self._usage = event.usage
                return b""
            case Stopped():
                self._stop = event.stop
                return b""
            case Ended():
                return self._end()
            case _:
                return self._fail(event)

    def _head(self, source_id: str) -> bytes:
        if self._started:
            return b""
        self._started = True
        message = answer_head(source_id, self._context)
        message |= {"content": [], "stop_reason": None, "stop_sequence": None}
        message["usage"] = usage_to_wire(self._usage)
        return frame("message_start", {"message": message})

    def _start(self, event: BlockStarted) -> bytes:
        block = SpokenBlock(event.index, event.block, self._context)
        self._blocks[event.index] = block
        return self._go_on() if self._current is None and block.says_something else b""

    def _begin(self, block: SpokenBlock) -> bytes:
        self._current = block
        self._answered = self._answered or not isinstance(block.block, Thinking)
        if isinstance(block.block, ToolCall):
            self._calls = True
        elif isinstance(block.block, Refusal):
            self._refused = True
        out = b""
        for late in self._late:
            out += late.call_state(self._next_number)
            self._next_number += 1
        self._late.clear()
        out += block.begin(self._next_number)
        self._next_number = block.next_number
        return out

    def _delta(self, index: int, text: str) -> bytes:
        block = self._blocks.get(index)
        if block is None or not text or block.is_redacted:
            return b""
        if block is self._current and block.delta_head:
            return block.delta_head + _encode(text) + DELTA_END
        block.held.append(text)
        self._held_characters += len(text)
        if self._held_characters > HELD_CHARACTERS_MAX:
            raise FrameTooLong
        return self._go_on() if self._current is None else b""

    def _see_state(self, event: StateSeen) -> bytes:
        block = self._blocks.get(event.index)
        if block is None or not isinstance(block.block, Thinking | ToolCall):
            return b""
        block.state = event.state
        return self._go_on() if self._current is None else b""

    def _finish(self, index: int) -> bytes:
        block = self._blocks.get(index)
        if block is None:
            return b""
        block.stopped = True
        if block is not self._current:
            if not block.says_something:
                del self._blocks[index]
            return b""
        return self._end_current() + self._go_on()

    def _end_current(self) -> bytes:
        block = self._current
        if block is None:
            return b""
        out = block.end()
        if block.has_call_state:
            self._late.append(block)
        self._current = None
        self._blocks = {index: each for index, each in self._blocks.items() if each is not block}
        return out

    def _go_on(self) -> bytes:
        """Write what has waited: finished blocks whole, then what there is of the first that is still open."""
        out: list[bytes] = []
        waiting = [block for block in self._blocks.values() if block.says_something]
        while waiting and not (self._answered and all(block.is_bare_state for block in waiting)):
            block = waiting.pop(0)
            out.append(self._begin(block))
            if not block.stopped:
                break
            out.append(self._end_current())
        self._held_characters = sum(
            len(piece) for block in self._blocks.values() for piece in block.held
        )
        return b"".join(out)

    def _end(self) -> bytes:
        head = self._head("")
        for block in self._blocks.values():
            block.stopped = True
        rest = self._end_current() + self._go_on()
        self._over = True
        delta = answer_stop(self._stop, calls=self._calls, refused=self._refused)
        usage = usage_to_wire(self._usage)
        last = frame("message_delta", {"delta": delta, "usage": usage})
        return head + rest + last + frame("message_stop", {})

    def _fail(self, event: Failed) -> bytes:
        self._over = True
        kind = event.kind
        if kind not in _ERROR_TYPES_OWN:
            kind = _ERROR_TYPES.get(kind, "api_error")
        return frame("error", {"error": {"type": kind, "message": event.message}})
