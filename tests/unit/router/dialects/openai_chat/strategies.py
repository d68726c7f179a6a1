"""What Chat can say, as the hub holds it: requests, answers and streams in the form that reading gives back."""

import itertools
import json

from hypothesis import strategies as st
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Audio,
    Block,
    Data,
    Document,
    FileId,
    Image,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Started,
    StateSeen,
    Stopped,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
)
from aibridge_router.canonical.response import Answer, Stop, StopReason
from tests.unit.router.dialects.openai_chat.asking import EFFORTS, target

PROFILE = target(reasoning="effort", efforts=EFFORTS, audio=True)
CONTEXT = AnswerContext(
    request_id="req_018f",
    model="claude-x",
    provider="anthropic",
    created_s=1_763_000_000,
    custom_tools=frozenset({"patch"}),
)
REASONS: list[StopReason] = ["end", "max_tokens", "tool_use", "refusal", "pause", "context_full"]

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.from_regex(r"[A-Za-z0-9_-]{1,24}", fullmatch=True).filter(lambda name: name != "patch")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=8), values, max_size=3).map(json.dumps)
schemas = st.sampled_from([Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')])
strict = Raw(b'{"type":"object","properties":{},"required":[],"additionalProperties":false}')

texts = st.builds(Text, text=words)
png = st.just(Data(media_type="image/png", base64="AA=="))
pdf = st.just(Data(media_type="application/pdf", base64="AA=="))
own_files = st.just(FileId(dialect=Dialect.OPENAI_CHAT, id="file-1"))
pictures = st.builds(
    Image,
    source=png | st.builds(Url, url=st.just("https://example.com/a.png")),
    detail=st.sampled_from([None, "low", "high"]),
)
papers = st.builds(Document, source=pdf, title=st.just("a.pdf")) | st.builds(
    Document, source=own_files
)
sounds = st.sampled_from(["audio/wav", "audio/mpeg"]).map(
    lambda kind: Audio(source=Data(media_type=kind, base64="AA=="))
)
asked = st.lists(texts | pictures | papers | sounds, min_size=1, max_size=3)


@st.composite
def calls(draw: st.DrawFn, identifier: str) -> ToolCall:
    custom = draw(st.booleans())
    arguments = draw(words if custom else objects)
    return ToolCall(id=identifier, name=draw(names), arguments=arguments, custom=custom)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    turns = [Turn(role="user", blocks=list[Block](draw(asked)))]
    for at in range(draw(st.integers(0, 3))):
        blocks: list[Block] = list(draw(st.lists(texts, max_size=2)))
        blocks += draw(st.lists(st.builds(Refusal, text=words), max_size=1))
        made = [draw(calls(f"call_{at}_{number}")) for number in range(draw(st.integers(0, 2)))]
        turns.append(Turn(role="assistant", blocks=[*blocks, *made]))
        said: list[Block] = [
            ToolResult(call_id=call.id, blocks=[draw(texts)])
            for call in draw(st.permutations(made))
        ]
        if not said or draw(st.booleans()):
            said += draw(asked)
        turns.append(Turn(role="user", blocks=said))
        if draw(st.booleans()):
            turns.append(Turn(role="system", blocks=[draw(texts)]))
    return turns


@st.composite
def tool_lists(draw: st.DrawFn) -> list[Tool]:
    found: list[Tool] = []
    for name in draw(st.lists(names, max_size=3, unique=True)):
        description = draw(st.none() | words)
        if draw(st.booleans()):
            closed = draw(st.booleans())
            tool = Tool(
                name=name,
                description=description,
                schema=strict if closed else draw(schemas),
                strict=True if closed else draw(st.sampled_from([None, False])),
            )
        else:
            rules = Raw(b'{"syntax":"lark","definition":"start: WORD"}')
            grammar = draw(st.sampled_from([None, rules]))
            tool = Tool(name=name, description=description, custom=True, grammar=grammar)
        found.append(tool)
    return found


def choices_among(tools: list[Tool]) -> st.SearchStrategy[ToolChoice | None]:
    declared = [tool.name for tool in tools]
    some = st.lists(st.sampled_from(declared), min_size=1, max_size=3)
    named = st.builds(ToolChoice, mode=st.just("tool"), name=st.sampled_from(declared))
    plain = st.builds(ToolChoice, mode=st.sampled_from(["auto", "any", "none"]))
    narrow = st.builds(ToolChoice, mode=st.sampled_from(["auto", "any"]), allowed=some)
    return st.none() | plain | named | narrow


numbers = st.none() | st.floats(0, 2)
penalties = st.none() | st.floats(0.5, 2)
formats = st.none() | st.builds(
    OutputFormat,
    schema=st.just(strict),
    name=names,
    strict=st.sampled_from([None, True, False]),
    description=st.none() | words,
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    tools = draw(tool_lists())
    has_extras = draw(st.booleans())
    extras = {"metadata": Raw(b'{"a":"b"}'), "new": Raw(b"[1,2.50]")}
    streams = draw(st.booleans())
    return Request(
        model=PROFILE.upstream_model,
        turns=draw(conversations()),
        system=draw(st.lists(texts, max_size=3)),
        tools=tools,
        tool_choice=draw(choices_among(tools)) if tools else None,
        parallel_tools=draw(st.sampled_from([None, True, False])) if tools else None,
        output_tokens_max=draw(st.none() | st.integers(1, PROFILE.max_output_tokens)),
        sampling=draw(
            st.builds(
                Sampling,
                temperature=numbers,
                top_p=numbers,
                seed=st.none() | st.integers(0, 9),
                presence_penalty=penalties,
                frequency_penalty=penalties,
            )
        ),
        stop=draw(st.lists(words, max_size=4)),
        choices=draw(st.integers(1, 3)),
        logprobs=draw(st.none() | st.integers(0, 20)),
        reasoning=draw(
            st.none() | st.builds(Reasoning, effort=st.sampled_from(["off", *EFFORTS[1:]]))
        ),
        output_format=draw(formats),
        verbosity=draw(st.sampled_from([None, "low"])),
        stream=streams,
        user=draw(st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
        session=draw(st.none() | names),
        extras={Dialect.OPENAI_CHAT: extras} if has_extras else {},
        drops=["metadata"] if has_extras else [],
    )


counts = st.integers(0, 1000)
usages = st.builds(
    Usage, input=counts, cache_read=counts, cache_write_5m=counts, output=counts, reasoning=counts
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    said: list[Block] = list(draw(st.lists(texts, max_size=1)))
    refusals = draw(st.lists(st.builds(Refusal, text=words), max_size=1))
    made = [draw(calls(f"call_{number}")) for number in range(draw(st.integers(0, 2)))]
    usual: StopReason = "tool_use" if made else "refusal" if refusals else "end"
    reasons: list[StopReason] = [usual, "max_tokens"]
    return Answer(
        id="chatcmpl-018f",
        model=CONTEXT.model,
        blocks=[*said, *refusals, *made],
        stop=Stop(reason=draw(st.sampled_from(reasons))),
        usage=draw(usages),
    )


@st.composite
def _block_events(draw: st.DrawFn, index: int) -> list[Event]:
    kinds = ["text", "thinking", "refusal", "call", "custom", "wrapped", "silent"]
    kind = draw(st.sampled_from(kinds))
    plain = {"text": Text(text=""), "thinking": Thinking(), "refusal": Refusal(text="")}
    text = draw(st.just("") | words)
    if kind in {"call", "wrapped"}:
        text = draw(objects) if kind == "call" else json.dumps({"input": text})
    text = "" if kind == "silent" else text
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=2)))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *at, len(text)])]
    if kind in plain:
        deltas: list[Event] = [TextDelta(index=index, text=piece) for piece in pieces]
        block = plain[kind]
    else:
        name = "patch" if kind == "wrapped" else draw(names)
        block = ToolCall(id=f"toolu_{index}", name=name, arguments="", custom=kind == "custom")
        deltas = [ArgumentsDelta(index=index, text=piece) for piece in pieces]
    if draw(st.booleans()):
        deltas.append(StateSeen(index=index, state=State(provider="google", data="x")))
    return [BlockStarted(index=index, block=block), *deltas, BlockStopped(index=index)]


@st.composite
def event_streams(draw: st.DrawFn) -> list[Event]:
    """Any legal order: blocks begin in turn and may all be open at once, usage may come anywhere or never."""
    queues = [draw(_block_events(index)) for index in range(draw(st.integers(0, 4)))]
    events: list[Event] = []
    begun = 0
    while any(queues):
        ready = [at for at, queue in enumerate(queues) if queue and at <= begun]
        at = draw(st.sampled_from(ready))
        begun = max(begun, at + 1)
        events.append(queues[at].pop(0))
    stop = Stop(reason=draw(st.sampled_from(REASONS)))
    events = [Started(id="msg_1", model="m"), *events, Stopped(stop=stop), Ended()]
    for usage in draw(st.lists(usages, max_size=2)):
        events.insert(draw(st.integers(1, len(events) - 1)), UsageSeen(usage=usage))
    return events
