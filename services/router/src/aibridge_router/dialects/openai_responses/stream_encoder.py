"""Events, written as a client's stream."""

from typing import TYPE_CHECKING

from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Refusal, Text, ToolCall
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
from aibridge_router.dialects.openai_responses import stream_wire_out as on_wire
from aibridge_router.dialects.openai_responses.answer_out import (
    ResponseOut,
    ending_to_wire,
    usage_to_wire,
)
from aibridge_router.dialects.openai_responses.identity import Ids
from aibridge_router.dialects.openai_responses.in_order import BlockEvent, InOrder
from aibridge_router.dialects.openai_responses.stream_items import (
    CallWriter,
    MessageWriter,
    Output,
    ThinkingWriter,
)

if TYPE_CHECKING:
    from msgspec import Struct

    from aibridge_common.usage import Usage

_DELTAS = (TextDelta, ArgumentsDelta)

_FAILURES: dict[str, str] = {
    "context_length_exceeded": "context_length_exceeded",
    "insufficient_quota": "insufficient_quota",
    "insufficient_balance": "insufficient_quota",
    "rate_limited": "rate_limit_exceeded",
    "rate_limit_exceeded": "rate_limit_exceeded",
    "invalid_request": "invalid_prompt",
    "invalid_request_error": "invalid_prompt",
    "cannot_convert": "invalid_prompt",
    "payload_too_large": "invalid_prompt",
}
"""What a failure is called here; a client that reads `server_error`, the word for all others, tries again."""


class Encoder:
    """See `canonical.codec.StreamEncoder`."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._ids = Ids(context.request_id)
        self._id = ""
        self._output = Output(self._ids)
        self._order = InOrder()
        self._message: MessageWriter | None = None
        self._block: MessageWriter | CallWriter | ThinkingWriter | None = None
        self._usage: Usage | None = None
        self._stop = Stop(reason="end")
        self._refuses = False
        self._over = False

    def feed(self, event: Event) -> bytes:
        """Complete frames, possibly none yet. Raises `FrameTooLong`."""
        if self._over:
            return b""
        if isinstance(event, _DELTAS) and event.index == self._order.current:
            return self._block.delta(event.text) if self._block is not None and event.text else b""
        match event:
            case TextDelta() | ArgumentsDelta() | StateSeen() | BlockStarted() | BlockStopped():
                return b"".join(map(self._write, self._order.pass_on(event)))
            case Started(id=source):
                return self._start(source)
            case UsageSeen(usage=usage):
                self._usage = usage
                return b""
            case Stopped(stop=stop):
                self._stop = stop
                return self._stop_block() + self._close_message()
            case Ended():
                return self._end()
            case _:
                return self._fail(event)

    def _start(self, source: str) -> bytes:
        if self._id:
            return b""
        self._id = self._ids.response(source)
        response = self._response("in_progress")
        return self._output.say(on_wire.CreatedOut(response=response)) + self._output.say(
            on_wire.InProgressOut(response=response)
        )

    def _write(self, event: BlockEvent) -> bytes:
        match event:
            case TextDelta(text=text) | ArgumentsDelta(text=text):
                return self._block.delta(text) if self._block is not None and text else b""
            case BlockStarted(block=block):
                return self._open(block)
            case StateSeen(state=state):
                if isinstance(self._block, CallWriter | ThinkingWriter):
                    self._block.state = state
                return b""
            case _:
                return self._stop_block()

    def _open(self, block: StreamedBlock) -> bytes:
        if isinstance(block, Text | Refusal):
            self._refuses = self._refuses or isinstance(block, Refusal)
            if self._message is None:
                self._message = MessageWriter(self._output)
            self._block = self._message
            self._message.start(refuses=isinstance(block, Refusal))
            return self._block.delta(block.text) if block.text else b""
        closing = self._close_message()
        if isinstance(block, ToolCall):
            self._block = CallWriter(self._output, block, self._context)
            return closing + self._block.open()
        self._block = ThinkingWriter(self._output, block)
        return closing + (self._block.delta(block.text) if block.text else b"")

    def _stop_block(self) -> bytes:
        block, self._block = self._block, None
        return block.stop() if block is not None else b""

    def _close_message(self) -> bytes:
        message, self._message = self._message, None
        return message.close() if message is not None else b""

    def _end(self) -> bytes:
        opening = self._start("") + self._stop_block() + self._close_message()
        incomplete = ending_to_wire(self._stop, refuses=self._refuses)
        if incomplete is None:
            ending: Struct = on_wire.CompletedOut(response=self._response("completed"))
        else:
            response = self._response("incomplete", incomplete_details=incomplete)
            ending = on_wire.IncompleteOut(response=response)
        self._over = True
        return opening + self._output.say(ending)

    def _fail(self, event: Failed) -> bytes:
        opening = self._start("")
        error = {"code": _FAILURES.get(event.kind, "server_error"), "message": event.message}
        response = self._response("failed", error=error)
        self._over = True
        return opening + self._output.say(on_wire.FailedOut(response=response))

    def _response(
        self,
        status: str,
        *,
        incomplete_details: dict[str, str] | None = None,
        error: dict[str, str] | None = None,
    ) -> ResponseOut:
        return ResponseOut(
            id=self._id,
            created_at=self._context.created_s,
            status=status,
            error=error,
            incomplete_details=incomplete_details,
            model=self._context.model,
            output=list(self._output.items),
            provider=self._context.provider,
            usage=usage_to_wire(self._usage) if status != "in_progress" else None,
        )
