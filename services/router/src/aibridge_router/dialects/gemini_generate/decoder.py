"""Google's streams, and its whole answers, to events: both are made of the same chunks."""

import msgspec

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
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.dialects.gemini_generate.arguments import arguments_from_wire
from aibridge_router.dialects.gemini_generate.errors import code_of
from aibridge_router.dialects.gemini_generate.ids import call_id
from aibridge_router.dialects.gemini_generate.signature import state_from_wire
from aibridge_router.dialects.gemini_generate.stops import FAILURES, UNSAID, reason_of
from aibridge_router.dialects.gemini_generate.usage import UsageMetadata
from aibridge_router.dialects.gemini_generate.wire import (
    Candidate,
    Chunk,
    FunctionCall,
    Part,
    PromptFeedback,
)
from aibridge_router.sse import FrameSplitter, payloads

_decode = msgspec.json.Decoder(Chunk).decode
_DONE = b"[DONE]"
"""Not Google's; some who speak its dialect write it."""


class ChunkReader:
    """Reads the chunks of one answer. Pieces of text in a row are one block; a call is one whole part.

    Google has no end of its own but the reason for it, after which only counts of tokens may follow.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._id: str | None = None
        self._next = 0
        self._open: type[Text | Thinking] | None = None
        self._calls = 0
        self._usage: UsageMetadata | None = None
        self._over = False
        self._failed = False

    def read(self, chunk: Chunk, events: list[Event]) -> None:
        """Adds what the chunk says to `events`."""
        if self._failed:
            return
        if chunk.error is not None:
            error = chunk.error
            self._failed = True
            status = error.code if isinstance(error.code, int) else 500
            events.append(
                Failed(kind=code_of(status, error), message=error.message or "the vendor failed")
            )
            return
        if self._id is None:
            self._id = chunk.response_id or ""
            events.append(Started(id=self._id, model=chunk.model_version or ""))
        usage = chunk.usage_metadata
        if usage is not None and (usage != self._usage or self._over):
            self._usage = usage
            events.append(UsageSeen(usage=usage.to_usage(), final=self._over))
        if self._over:
            return
        for candidate in chunk.candidates or ():
            if not candidate.index:
                self._read_candidate(candidate, events)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not self._over and not self._failed:
            self._refuse(feedback, events)

    def _read_candidate(self, candidate: Candidate, events: list[Event]) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if part.function_call is not None:
                    self._call(part.function_call, part.thought_signature, events)
                elif part.text is not None or part.thought_signature is not None:
                    self._say(part, events)
        finish = candidate.finish_reason
        if finish is None or finish == UNSAID:
            return
        self._close(events)
        if finish in FAILURES:
            self._failed = True
            message = candidate.finish_message or f"the model ended with {finish}"
            events.append(Failed(kind="upstream_failed", message=message))
            return
        self._end(Stop(reason=reason_of(finish, calls=self._calls > 0)), events)

    def _say(self, part: Part, events: list[Event]) -> None:
        text = part.text
        if text:
            kind = Thinking if part.thought else Text
            if self._open is not kind:
                self._close(events)
                self._open = kind
                events.append(BlockStarted(index=self._next, block=kind(text="")))
            events.append(TextDelta(index=self._next, text=text))
        if part.thought_signature is not None:
            state = state_from_wire(part.thought_signature, self._provider)
            if state is not None:
                self._sign(state, part, events)

    def _sign(self, state: State, part: Part, events: list[Event]) -> None:
        """The state of the thoughts before it, or of a thought that was not shown."""
        is_of_thoughts = self._open is Thinking and (part.thought or not part.text)
        if not is_of_thoughts:
            self._close(events)
            self._open = Thinking
            events.append(BlockStarted(index=self._next, block=Thinking()))
        events.append(StateSeen(index=self._next, state=state))
        self._close(events)

    def _call(self, call: FunctionCall, signature: str | None, events: list[Event]) -> None:
        self._close(events)
        index = self._next
        block = ToolCall(
            id=call.id or call_id(self._id or "", self._calls),
            name=call.name or "",
            arguments="",
            state=state_from_wire(signature, self._provider),
        )
        events.append(BlockStarted(index=index, block=block))
        events.append(ArgumentsDelta(index=index, text=arguments_from_wire(call.args)))
        events.append(BlockStopped(index=index))
        self._calls += 1
        self._next += 1

    def _refuse(self, feedback: PromptFeedback, events: list[Event]) -> None:
        """The prompt itself was refused: there is no candidate."""
        self._close(events)
        if feedback.block_reason_message:
            index = self._next
            self._next += 1
            events.append(BlockStarted(index=index, block=Refusal(text="")))
            events.append(TextDelta(index=index, text=feedback.block_reason_message))
            events.append(BlockStopped(index=index))
        self._end(Stop(reason="refusal"), events)

    def _end(self, stop: Stop, events: list[Event]) -> None:
        self._over = True
        if self._usage is not None:
            events.append(UsageSeen(usage=self._usage.to_usage(), final=True))
        events.append(Stopped(stop=stop))
        events.append(Ended())

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(BlockStopped(index=self._next))
            self._next += 1
            self._open = None


class GeminiDecoder:
    """Takes the stream's bytes, cut anywhere."""

    def __init__(self, provider: str) -> None:
        self._frames = FrameSplitter()
        self._reader = ChunkReader(provider)

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `FrameTooLong` or `msgspec.DecodeError`."""
        events: list[Event] = []
        for payload in payloads(self._frames.feed(data)):
            if payload and payload != _DONE:
                self._reader.read(_decode(payload), events)
        return events
