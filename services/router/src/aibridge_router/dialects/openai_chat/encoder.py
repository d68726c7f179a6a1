"""Events to Chat streams: one role chunk, deltas, a finish chunk, usage if asked for, `[DONE]`."""

import msgspec

from aibridge_common.usage import Usage
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
    free_text,
    renamed,
    usage_to_wire,
)

_encode = msgspec.json.encode
_END = b',"logprobs":null,"finish_reason":null}]}\n\n'


class ChatEncoder:
    """Chat interleaves freely, so nothing is held back but what stands for free text, of which no part is readable.

    Thinking has no slot in Chat and is left out.
    """

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
        self._silent: set[int] = set()
        self._held: dict[int, list[str]] = {}
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
            case BlockStopped():
                return self._whole(event.index)
            case Ended():
                return self._last()
            case Failed():
                self._over = True
                error = {"message": event.message, "type": "server_error", "param": None}
                return b"data: " + _encode({"error": error | {"code": event.kind}}) + b"\n\n"
            case _:
                return self._note(event)

    def _note(self, event: Event) -> bytes:
        if isinstance(event, Stopped):
            self._stop = event.stop
        elif isinstance(event, UsageSeen):
            self._usage = event.usage
        return b""

    def _first(self) -> bytes:
        provider = b',"provider":' + _encode(self._context.provider)
        delta = b'{"role":"assistant","content":"","refusal":null}'
        return self._head + provider + b',"choices":[{"index":0,"delta":' + delta + _END

    def _text(self, event: TextDelta) -> bytes:
        block = self._blocks.get(event.index)
        if not event.text:
            return b""
        if isinstance(block, Text):
            return self._delta + b'{"content":' + _encode(event.text) + b"}" + _END
        if isinstance(block, Refusal):
            self._refused = True
            return self._delta + b'{"refusal":' + _encode(event.text) + b"}" + _END
        return b""

    def _start(self, event: BlockStarted) -> bytes:
        block = event.block
        if isinstance(block, ToolCall):
            return self._start_call(event.index, block)
        self._blocks[event.index] = block
        return self._text(TextDelta(index=event.index, text=block.text))

    def _start_call(self, index: int, block: ToolCall) -> bytes:
        mine = self._blocks[index] = renamed(block, self._context)
        number = self._calls[index] = len(self._calls)
        self._silent.add(index)
        if mine.custom and not block.custom:
            self._held[index] = []
        call = call_to_wire(mine, arguments="")
        start = self._delta + _encode({"tool_calls": [{"index": number} | call]}) + _END
        return start + self._arguments(ArgumentsDelta(index=index, text=block.arguments))

    def _whole(self, index: int) -> bytes:
        """The rest of a call: clients read arguments as JSON, also where there are none."""
        pieces = self._held.pop(index, None)
        if pieces is not None:
            return self._arguments(ArgumentsDelta(index=index, text=free_text("".join(pieces))))
        block = self._blocks.get(index)
        if index in self._silent and isinstance(block, ToolCall) and not block.custom:
            return self._arguments(ArgumentsDelta(index=index, text="{}"))
        return b""

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        block, number = self._blocks.get(event.index), self._calls.get(event.index)
        if number is None or not isinstance(block, ToolCall) or not event.text:
            return b""
        if event.index in self._held:
            self._held[event.index].append(event.text)
            return b""
        self._silent.discard(event.index)
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
