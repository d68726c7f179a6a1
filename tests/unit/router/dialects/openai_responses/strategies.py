"""What Responses can say, as the hub holds it: requests, answers and streams in the form that reading gives back."""

import base64
import itertools
import json

from hypothesis import strategies as st
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Block,
    Data,
    Document,
    FileId,
    Image,
    Opaque,
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

DIALECT = Dialect.OPENAI_RESPONSES
EFFORTS = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
PROFILE = Profile(
    provider="openai",
    upstream_model="gpt-test",
    context_tokens=400_000,
    max_output_tokens=128_000,
    capabilities=Capabilities(reasoning="effort", efforts=EFFORTS, audio=True),
)
CONTEXT = AnswerContext(
    request_id="req_018f",
    model="claude-x",
    provider="anthropic",
    created_s=1_763_000_000,
    custom_tools=frozenset({"patch"}),
)

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
names = st.from_regex(r"[A-Za-z0-9_-]{1,24}", fullmatch=True).filter(lambda name: name != "patch")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
properties = st.dictionaries(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    st.sampled_from([{"type": "string"}, {"type": "integer", "minimum": 1}]),
    max_size=3,
)


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def raw(value: object) -> Raw:
    return Raw(compact(value).encode())


json_objects = st.dictionaries(st.text(max_size=8), json_values, max_size=3).map(compact)
loose_schemas = properties.map(lambda found: raw({"type": "object", "properties": found}))
strict_schemas = properties.map(
    lambda found: raw(
        {
            "type": "object",
            "properties": found,
            "required": list(found),
            "additionalProperties": False,
        }
    )
)
base64_texts = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
states = base64_texts.map(lambda data: State(provider="openai", data=data))
any_states = states | st.builds(
    State, provider=st.sampled_from(["anthropic", "google"]), data=words
)

files = st.builds(FileId, dialect=st.just(DIALECT), id=st.just("file-abc"))
urls = st.builds(Url, url=st.just("https://example.com/a.png"))
pictures = st.builds(
    Image,
    source=st.builds(Data, media_type=st.just("image/png"), base64=base64_texts) | urls | files,
    detail=st.sampled_from([None, "low", "high", "original"]),
)
papers = st.builds(
    Document,
    source=st.builds(Data, media_type=st.just("application/pdf"), base64=base64_texts)
    | urls
    | files,
    title=st.just("a.pdf"),
)
texts = st.builds(Text, text=words)
refusals = st.builds(Refusal, text=words)
asked = st.lists(texts | pictures | papers, min_size=1, max_size=3)
searched = st.just(
    Opaque(
        dialect=DIALECT,
        kind="web_search_call",
        raw=raw({"type": "web_search_call", "id": "ws_1", "status": "completed"}),
    )
)


@st.composite
def thoughts(draw: st.DrawFn) -> Thinking:
    return Thinking(text=draw(st.just("") | words), state=draw(states))


@st.composite
def said(draw: st.DrawFn, identifiers: list[str]) -> list[Block]:
    blocks: list[Block] = draw(
        st.lists(texts | refusals | thoughts() | searched, min_size=1, max_size=4)
    )
    for identifier in identifiers:
        custom = draw(st.booleans())
        arguments = draw(words if custom else json_objects)
        call = ToolCall(id=identifier, name=draw(names), arguments=arguments, custom=custom)
        blocks.append(call)
    return blocks


@st.composite
def answered(draw: st.DrawFn, call: ToolCall) -> ToolResult:
    found: list[Text | Image | Document | Opaque] = list(draw(st.lists(texts, max_size=2)))
    found += draw(st.lists(pictures | papers, max_size=2))
    return ToolResult(call_id=call.id, blocks=found, custom=call.custom)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    turns = [Turn(role="user", blocks=list[Block](draw(asked)))]
    made = 0
    for _ in range(draw(st.integers(0, 3))):
        identifiers = [f"call_{made + number}" for number in range(draw(st.integers(0, 2)))]
        made += len(identifiers)
        blocks = draw(said(identifiers))
        turns.append(Turn(role="assistant", blocks=blocks))
        answers: list[Block] = [
            draw(answered(block)) for block in blocks if isinstance(block, ToolCall)
        ]
        if not answers or draw(st.booleans()):
            answers += draw(asked)
        turns.append(Turn(role="user", blocks=answers))
        if draw(st.booleans()):
            instructions = draw(st.lists(texts, min_size=1, max_size=2))
            turns.append(Turn(role="system", blocks=list[Block](instructions)))
    return turns


@st.composite
def tool_lists(draw: st.DrawFn) -> list[Tool]:
    found: list[Tool] = []
    for name in draw(st.lists(names, max_size=3, unique=True)):
        description = draw(st.none() | words)
        kind = draw(st.sampled_from(["loose", "strict", "custom", "grammar"]))
        if kind == "loose":
            schema = draw(loose_schemas)
            tool = Tool(name=name, description=description, schema=schema, strict=False)
        elif kind == "strict":
            schema = draw(strict_schemas)
            tool = Tool(name=name, description=description, schema=schema, strict=True)
        else:
            rules = {"syntax": "lark", "definition": "start: WORD"}
            grammar = raw(rules) if kind == "grammar" else None
            tool = Tool(name=name, description=description, custom=True, grammar=grammar)
        found.append(tool)
    return found


def choices_among(tools: list[Tool]) -> st.SearchStrategy[ToolChoice | None]:
    declared = [tool.name for tool in tools]
    some = st.lists(st.sampled_from(declared), min_size=1, max_size=3)
    plain = st.sampled_from(
        [
            None,
            ToolChoice(mode="auto"),
            ToolChoice(mode="any"),
            ToolChoice(mode="none"),
            ToolChoice(mode="tool", name=declared[0]),
        ]
    )
    return plain | st.builds(ToolChoice, mode=st.sampled_from(["auto", "any"]), allowed=some)


formats = st.none() | st.builds(
    OutputFormat,
    schema=strict_schemas,
    name=names,
    strict=st.booleans(),
    description=st.none() | words,
)
reasonings = st.none() | st.builds(
    Reasoning, effort=st.sampled_from(EFFORTS), show=st.sampled_from([None, True])
)
numbers = st.none() | st.floats(0, 2)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
EXTRAS = {"service_tier": Raw(b'"flex"'), "metadata": Raw(b'{"a":"b"}'), "new": Raw(b"[1,2.50]")}
SEARCH = ServerTool(dialect=DIALECT, kind="web_search", raw=Raw(b'{"type":"web_search"}'))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    tools = draw(tool_lists())
    has_extras = draw(st.booleans())
    return Request(
        model=PROFILE.upstream_model,
        turns=draw(conversations()),
        system=draw(st.lists(texts, max_size=3)),
        tools=tools,
        server_tools=draw(st.sampled_from([[], [SEARCH]])),
        tool_choice=draw(choices_among(tools)) if tools else None,
        parallel_tools=draw(st.sampled_from([None, True, False])) if tools else None,
        output_tokens_max=draw(st.none() | st.integers(16, PROFILE.max_output_tokens)),
        sampling=draw(st.builds(Sampling, temperature=numbers, top_p=numbers)),
        reasoning=draw(reasonings),
        output_format=draw(formats),
        verbosity=draw(st.sampled_from([None, "low", "high"])),
        stream=draw(st.booleans()),
        user=draw(st.none() | digests),
        session=draw(st.none() | names),
        extras={DIALECT: EXTRAS} if has_extras else {},
        drops=["service_tier", "metadata", "extras"] if has_extras else [],
    )


usages = st.builds(
    Usage,
    input=st.integers(0, 1000),
    cache_read=st.integers(0, 1000),
    cache_write_5m=st.integers(0, 1000),
    output=st.integers(0, 1000),
    reasoning=st.integers(0, 1000),
)


def reason_for(blocks: list[Block]) -> StopReason:
    if any(isinstance(block, ToolCall) for block in blocks):
        return "tool_use"
    return "refusal" if any(isinstance(block, Refusal) for block in blocks) else "end"


@st.composite
def answers(draw: st.DrawFn, echoed: bool = False) -> Answer:
    """`echoed` ones may hold what only a client's echo brings back: other providers' state, and that of calls."""
    blocks: list[Block] = []
    for kind in draw(
        st.lists(st.sampled_from(["text", "refusal", "thought", "call", "custom"]), max_size=5)
    ):
        state = draw(any_states if echoed else states)
        number = len(blocks)
        if kind == "text":
            blocks.append(draw(texts))
        elif kind == "refusal":
            blocks.append(draw(refusals))
        elif kind == "thought":
            redacted = echoed and draw(st.booleans())
            text = "" if redacted else draw(st.just("") | words)
            blocks.append(Thinking(text=text, state=state, redacted=redacted))
        else:
            custom = kind == "custom"
            blocks.append(
                ToolCall(
                    id=f"call_{number}",
                    name=draw(names),
                    arguments=draw(words if custom else json_objects),
                    custom=custom,
                    state=draw(st.none() | st.just(state)) if echoed else None,
                )
            )
    reasons: list[StopReason] = [reason_for(blocks), "max_tokens"]
    reason = draw(st.sampled_from(reasons))
    return Answer(
        id=draw(st.from_regex(r"resp_[A-Za-z0-9]{22}", fullmatch=True)),
        model=CONTEXT.model,
        blocks=blocks,
        stop=Stop(reason=reason),
        usage=draw(st.none() | usages),
    )


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    places = [0, *at, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


_KINDS = ["text", "thinking", "redacted", "refusal", "call", "custom", "wrapped", "silent call"]


@st.composite
def _block_events(draw: st.DrawFn, index: int) -> list[Event]:
    kind = draw(st.sampled_from(_KINDS))
    stop = BlockStopped(index=index)
    if kind in {"call", "custom", "wrapped", "silent call"}:
        block = ToolCall(
            id=f"toolu_{index}",
            name="patch" if kind == "wrapped" else draw(names),
            arguments="",
            custom=kind == "custom",
            state=draw(st.none() | any_states),
        )
        arguments = {
            "call": draw(json_objects),
            "custom": draw(words),
            "wrapped": compact({"input": draw(words)}),
            "silent call": "",
        }[kind]
        deltas = [ArgumentsDelta(index=index, text=piece) for piece in _pieces(draw, arguments)]
        return [BlockStarted(index=index, block=block), *deltas, stop]
    if kind == "redacted":
        block = Thinking(redacted=True, state=draw(any_states))
        return [BlockStarted(index=index, block=block), stop]
    block = {"text": Text(text=""), "thinking": Thinking(), "refusal": Refusal(text="")}[kind]
    pieces = _pieces(draw, draw(st.text(st.characters(codec="utf-8"), max_size=12)))
    deltas = [TextDelta(index=index, text=piece) for piece in pieces]
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
    reasons: list[StopReason] = [
        "end",
        "max_tokens",
        "tool_use",
        "refusal",
        "pause",
        "context_full",
    ]
    stop = Stop(reason=draw(st.sampled_from(reasons)))
    events = [Started(id="msg_1", model="m"), *events, Stopped(stop=stop), Ended()]
    for usage in draw(st.lists(usages, max_size=2)):
        at = draw(st.integers(1, len(events) - 1))
        events.insert(at, UsageSeen(usage=usage, final=draw(st.booleans())))
    return events
