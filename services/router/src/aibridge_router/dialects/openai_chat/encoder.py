"""Events to Chat streams: one role chunk, deltas, a finish chunk, usage if asked for, `[DONE]`."""

import msgspec

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Refusal, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    Ended,
    Event,
    Failed,
    Started,
    Stopped,
    StreamedBlock,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.dialects.openai_chat.conversation import call_to_wire
from aibridge_router.dialects.openai_chat.response import (
    completion_id,
    finish_reason,
    renamed,
    usage_to_wire,
)

_encode = msgspec.json.encode
_END = b',"logprobs":null,"finish_reason":null}]}\n\n'


class ChatEncoder:
    """Chat interleaves freely, so nothing is ever held back. Thinking has no slot in Chat and is left out."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        head = _encode(
            {
                "id": completion_id(context),
                "object": "chat.completion.chunk",
                "created": context.created_s,
                "model": context.model,
                "system_fingerprint": None,
            }
        )[:-1]
        self._head = b"data: " + head
        self._delta = self._head + b',"choices":[{"index":0,"delta":'
        self._blocks: dict[int, StreamedBlock] = {}
        self._calls: dict[int, int] = {}
        self._usage = Usage()
        self._stop: Stop | None = None
        self._refused = False
        self._over = False

    def feed(self, event: Event) -> bytes:
        """Complete frames, possibly none."""
        if self._over:
            return b""
        match event:
            case TextDelta():
                return self._text(event)
            case ArgumentsDelta():
                return self._arguments(event)
            case Started():
                return self._first()
            case BlockStarted():
                return self._start(event)
            case Stopped():
                self._stop = event.stop
                return b""
            case UsageSeen():
                self._usage = event.usage
                return b""
            case Ended():
                return self._last()
            case Failed():
                self._over = True
                error = {"message": event.message, "type": "server_error", "param": None}
                return b"data: " + _encode({"error": error | {"code": event.kind}}) + b"\n\n"
            case _:
                return b""

    def _first(self) -> bytes:
        provider = b',"provider":' + _encode(self._context.provider)
        delta = b'{"role":"assistant","content":"","refusal":null}'
        return self._head + provider + b',"choices":[{"index":0,"delta":' + delta + _END

    def _text(self, event: TextDelta) -> bytes:
        block = self._blocks.get(event.index)
        if isinstance(block, Text):
            return self._delta + b'{"content":' + _encode(event.text) + b"}" + _END
        if isinstance(block, Refusal):
            return self._delta + b'{"refusal":' + _encode(event.text) + b"}" + _END
        return b""

    def _start(self, event: BlockStarted) -> bytes:
        block = event.block
        if isinstance(block, ToolCall):
            block = renamed(block, self._context)
        self._blocks[event.index] = block
        match block:
            case ToolCall():
                number = self._calls[event.index] = len(self._calls)
                call = call_to_wire(block, arguments=block.arguments)
                return self._delta + _encode({"tool_calls": [{"index": number} | call]}) + _END
            case Text() | Refusal() if block.text:
                return self._text(TextDelta(index=event.index, text=block.text))
            case Thinking() | Text():
                return b""
            case Refusal():
                self._refused = True
                return b""

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        block, number = self._blocks.get(event.index), self._calls.get(event.index)
        if number is None or not isinstance(block, ToolCall):
            return b""
        kind, member = (b"custom", b"input") if block.custom else (b"function", b"arguments")
        return (
            self._delta
            + b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (number, kind, member)
            + _encode(event.text)
            + b"}}]}"
            + _END
        )

    def _last(self) -> bytes:
        self._over = True
        stop = self._stop or Stop(reason="end")
        reason = finish_reason(stop, calls=bool(self._calls), refused=self._refused)
        finish = self._delta + b'{},"logprobs":null,"finish_reason":' + _encode(reason) + b"}]}\n\n"
        usage = b""
        if self._context.show_usage:
            counts = _encode(usage_to_wire(self._usage))
            usage = self._head + b',"choices":[],"usage":' + counts + b"}\n\n"
        return finish + usage + b"data: [DONE]\n\n"
