"""What Gemini can say, as the hub holds it: requests, answers and streams in the one form that reading gives back."""

import base64
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
    Image,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
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
from aibridge_router.canonical.profile import Capabilities, Profile
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
    Turn,
)
from aibridge_router.canonical.response import Answer, Stop, StopReason

GEMINI_3 = Profile(
    provider="google",
    upstream_model="gemini-3.5-pro",
    context_tokens=1_000_000,
    max_output_tokens=65_536,
    capabilities=Capabilities(
        reasoning="level",
        efforts=("minimal", "low", "medium", "high", "xhigh"),
        audio=True,
        stop_max=5,
    ),
)
CONTEXT = AnswerContext(
    request_id="req_018f", model="claude-x", provider="anthropic", created_s=1_763_000_000
)

words = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:-]{0,20}", fullmatch=True)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=8), json_values, max_size=3)


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


json_objects = objects.map(compact)
schemas = objects.map(lambda found: Raw(compact({"type": "object", **found}).encode()))
base64_texts = st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())
states = base64_texts.filter(bool).map(lambda data: State(provider="google", data=data))
any_states = st.builds(State, provider=st.sampled_from(["google", "openai"]), data=words)

pictures = st.builds(
    Image, source=st.builds(Data, media_type=st.just("image/png"), base64=base64_texts)
)
papers = st.builds(
    Document, source=st.builds(Data, media_type=st.just("application/pdf"), base64=base64_texts)
)
sounds = st.builds(
    Audio, source=st.builds(Data, media_type=st.just("audio/wav"), base64=base64_texts)
)
codes = st.builds(
    Opaque,
    dialect=st.just(Dialect.GEMINI_GENERATE),
    kind=st.just("executableCode"),
    raw=words.map(lambda code: Raw(compact({"executableCode": {"code": code}}).encode())),
)
texts = st.builds(Text, text=words)
asked = st.lists(texts | pictures | papers | sounds, min_size=1, max_size=3)


@st.composite
def said(draw: st.DrawFn, identifiers: list[str]) -> list[Block]:
    """What a model says: no two texts in a row, and a bare signature never before a call, whose it would be."""
    blocks: list[Block] = []
    for kind in draw(st.lists(st.sampled_from(["text", "thought", "bare", "code"]), max_size=4)):
        if kind == "text":
            if not (blocks and isinstance(blocks[-1], Text)):
                blocks.append(draw(texts))
        elif kind == "code":
            blocks.append(draw(codes))
        else:
            text = draw(words) if kind == "thought" else ""
            blocks.append(Thinking(text=text, state=draw(states)))
    if blocks and identifiers and isinstance(blocks[-1], Thinking):
        blocks.append(draw(texts))
    for identifier in identifiers:
        state = draw(st.none() | states)
        arguments = draw(json_objects)
        blocks.append(ToolCall(id=identifier, name=draw(names), arguments=arguments, state=state))
    return blocks or [draw(texts)]


@st.composite
def answered(draw: st.DrawFn, identifier: str) -> ToolResult:
    found: list[Text | Image | Document | Opaque] = list(draw(st.lists(texts, max_size=1)))
    found += draw(st.lists(pictures | papers, max_size=2))
    return ToolResult(call_id=identifier, blocks=found, is_error=draw(st.booleans()))


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    turns = [Turn(role="user", blocks=list[Block](draw(asked)))]
    made = 0
    for _ in range(draw(st.integers(0, 3))):
        identifiers = [f"id-{made + number}" for number in range(draw(st.integers(0, 2)))]
        made += len(identifiers)
        turns.append(Turn(role="assistant", blocks=draw(said(identifiers))))
        if identifiers:
            results = [draw(answered(identifier)) for identifier in identifiers]
            turns.append(Turn(role="user", blocks=list[Block](results)))
        if not identifiers or draw(st.booleans()):
            turns.append(Turn(role="user", blocks=list[Block](draw(asked))))
    return turns


@st.composite
def choices_among(draw: st.DrawFn, declared: list[str]) -> ToolChoice | None:
    some = st.lists(st.sampled_from(declared), min_size=2, max_size=3)
    return draw(
        st.sampled_from(
            [
                None,
                ToolChoice(mode="auto"),
                ToolChoice(mode="any"),
                ToolChoice(mode="none"),
                ToolChoice(mode="tool", name=declared[0]),
            ]
        )
        | st.builds(ToolChoice, mode=st.sampled_from(["auto", "any"]), allowed=some)
    )


tools = st.builds(
    Tool, name=names, description=st.none() | st.text(max_size=20), schema=st.none() | schemas
)
searches = st.just(
    ServerTool(
        dialect=Dialect.GEMINI_GENERATE, kind="googleSearch", raw=Raw(b'{"googleSearch":{}}')
    )
)
numbers = st.none() | st.floats(0, 2)
samplings = st.builds(
    Sampling,
    temperature=numbers,
    top_p=numbers,
    top_k=st.none() | st.integers(1, 100),
    seed=st.none() | st.integers(0, 2**31),
    presence_penalty=numbers,
    frequency_penalty=numbers,
)
reasonings = st.none() | st.builds(
    Reasoning,
    effort=st.sampled_from(["minimal", "low", "medium", "high", "xhigh"]),
    show=st.none() | st.booleans(),
)
EXTRAS = {
    "safetySettings": Raw(b'[{"category":"X","threshold":"Y"}]'),
    "generationConfig.mediaResolution": Raw(b'"LOW"'),
    "toolConfig.retrievalConfig": Raw(b'{"languageCode":"zh"}'),
}


output_formats = st.builds(OutputFormat, schema=st.none() | schemas)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    declared = draw(st.lists(tools, max_size=3))
    choice = draw(choices_among([tool.name for tool in declared])) if declared else None
    has_extras = draw(st.booleans())
    return Request(
        model="",
        turns=draw(conversations()),
        system=draw(st.lists(texts, max_size=2)),
        tools=declared,
        server_tools=draw(st.lists(searches, max_size=1)),
        tool_choice=choice,
        output_tokens_max=draw(st.none() | st.integers(1, 65_536)),
        sampling=draw(samplings),
        stop=draw(st.lists(words, max_size=5)),
        reasoning=draw(reasonings),
        output_format=draw(st.none() | output_formats),
        extras={Dialect.GEMINI_GENERATE: EXTRAS} if has_extras else {},
        drops=["extras", "image_detail", "safety_settings"] if has_extras else [],
    )


usages = st.builds(
    Usage,
    input=st.integers(0, 1000),
    cache_read=st.integers(0, 1000),
    output=st.integers(0, 1000),
    reasoning=st.integers(0, 1000),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    blocks: list[Block] = []
    for kind in draw(st.lists(st.sampled_from(["text", "thought", "bare", "call"]), max_size=5)):
        last = blocks[-1] if blocks else None
        if kind == "text" and not isinstance(last, Text):
            blocks.append(draw(texts))
        elif kind == "call":
            blocks.append(
                ToolCall(
                    id=draw(words),
                    name=draw(names),
                    arguments=draw(json_objects),
                    state=draw(st.none() | any_states),
                )
            )
        elif kind in {"thought", "bare"} and not (isinstance(last, Thinking) and not last.state):
            is_bare = kind == "bare"
            state = draw(any_states if is_bare else st.none() | any_states)
            blocks.append(Thinking(text="" if is_bare else draw(words), state=state))
    reasons: list[StopReason] = ["end", "max_tokens", "refusal"]
    if any(isinstance(block, ToolCall) for block in blocks):
        reasons[0] = "tool_use"
    return Answer(
        id=draw(st.from_regex(r"[A-Za-z0-9]{22}", fullmatch=True)),
        model=CONTEXT.model,
        blocks=blocks,
        stop=Stop(reason=draw(st.sampled_from(reasons))),
        usage=draw(st.none() | usages),
    )


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    places = [0, *at, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


@st.composite
def _block_events(draw: st.DrawFn, index: int) -> list[Event]:
    kind = draw(st.sampled_from(["text", "thinking", "redacted", "refusal", "call", "silent call"]))
    stop = BlockStopped(index=index)
    if kind in {"call", "silent call"}:
        block = ToolCall(
            id=f"toolu_{index}", name=draw(names), arguments="", state=draw(st.none() | any_states)
        )
        pieces = _pieces(draw, draw(json_objects)) if kind == "call" else []
        deltas = [ArgumentsDelta(index=index, text=piece) for piece in pieces]
        return [BlockStarted(index=index, block=block), *deltas, stop]
    if kind == "redacted":
        block = Thinking(redacted=True, state=draw(any_states))
        return [BlockStarted(index=index, block=block), stop]
    block = {"text": Text(text=""), "thinking": Thinking(), "refusal": Refusal(text="")}[kind]
    deltas = [
        TextDelta(index=index, text=piece) for piece in _pieces(draw, draw(st.text(max_size=12)))
    ]
    seen: list[Event] = []
    if kind == "thinking" and draw(st.booleans()):
        seen = [StateSeen(index=index, state=draw(any_states))]
    return [BlockStarted(index=index, block=block), *deltas, *seen, stop]


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
    stop = Stop(reason=draw(st.sampled_from(["end", "max_tokens", "tool_use", "refusal", "pause"])))
    events = [Started(id="msg_1", model="m"), *events, Stopped(stop=stop), Ended()]
    for usage in draw(st.lists(usages, max_size=2)):
        at = draw(st.integers(1, len(events) - 1))
        events.insert(at, UsageSeen(usage=usage, final=draw(st.booleans())))
    return events
