"""Whole answers to the hub and back."""

import msgspec

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Block, Refusal, State, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    Event,
    Failed,
    Started,
    StateSeen,
    Stopped,
    StreamedBlock,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Answer, Stop, UnfinishedAnswer
from aibridge_router.dialects.gemini_generate.arguments import NoObject
from aibridge_router.dialects.gemini_generate.decoder import ChunkReader
from aibridge_router.dialects.gemini_generate.ids import response_id
from aibridge_router.dialects.gemini_generate.parts import part_of
from aibridge_router.dialects.gemini_generate.stops import FINISHES
from aibridge_router.dialects.gemini_generate.wire import Chunk, Wire

_decode = msgspec.json.Decoder(Chunk | list[Chunk]).decode


def answer_from_wire(body: bytes, provider: str) -> Answer:
    """One answer, or the array of chunks that a stream without `alt=sse` is.

    Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for one that failed or has no end.
    """
    chunks = _decode(body)
    reader = ChunkReader(provider)
    events: list[Event] = []
    for chunk in chunks if isinstance(chunks, list) else (chunks,):
        reader.read(chunk, events)
    return _assembled(events)


def answer_to_wire(answer: Answer, context: AnswerContext) -> bytes:
    """The answer for a client. Raises `UnfinishedAnswer` where a model wrote arguments that are none."""
    try:
        parts = [part for block in answer.blocks if (part := part_of(block, context)) is not None]
    except NoObject as error:
        raise UnfinishedAnswer(f"the arguments of a call of {error} are no JSON object") from None
    candidate: Wire = {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": FINISHES[answer.stop.reason],
        "index": 0,
    }
    body: Wire = {"candidates": [candidate]}
    if answer.usage is not None:
        body["usageMetadata"] = usage_to_wire(answer.usage)
    body["modelVersion"] = context.model
    body["responseId"] = response_id(answer.id, context)
    body["provider"] = context.provider
    return msgspec.json.encode(body)


def usage_to_wire(usage: Usage) -> Wire:
    """The prompt includes what was cached, candidates exclude what was thought."""
    prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    counts: Wire = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.total,
    }
    if usage.cache_read:
        counts["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    return counts


def _assembled(events: list[Event]) -> Answer:
    """An answer from the events of all of its chunks: its blocks come one after the other."""
    identifier = model = ""
    usage: Usage | None = None
    stop: Stop | None = None
    opened: list[StreamedBlock] = []
    texts: list[list[str]] = []
    states: dict[int, State] = {}
    for event in events:
        match event:
            case Started():
                identifier, model = event.id, event.model
            case BlockStarted():
                opened.append(event.block)
                texts.append([])
            case TextDelta() | ArgumentsDelta():
                texts[event.index].append(event.text)
            case StateSeen():
                states[event.index] = event.state
            case UsageSeen():
                usage = event.usage
            case Stopped():
                stop = event.stop
            case Failed():
                raise UnfinishedAnswer(event.message)
            case _:
                pass
    if stop is None:
        raise UnfinishedAnswer("the answer has no end")
    blocks = [
        _whole(block, "".join(texts[index]), states.get(index))
        for index, block in enumerate(opened)
    ]
    return Answer(id=identifier, model=model, blocks=blocks, stop=stop, usage=usage)


def _whole(block: StreamedBlock, text: str, state: State | None) -> Block:
    match block:
        case Text():
            return Text(text=text)
        case Refusal():
            return Refusal(text=text)
        case Thinking():
            return Thinking(text=text, state=state)
        case ToolCall():
            return msgspec.structs.replace(block, arguments=text)
