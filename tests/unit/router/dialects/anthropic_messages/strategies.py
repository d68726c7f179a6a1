"""What this dialect can say, generated: requests, answers, and every legal order of events."""

import string
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.content import (
    Block,
    CacheMark,
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
    Failed,
    Started,
    StateSeen,
    Stopped,
    StreamedBlock,
    TextDelta,
    UsageSeen,
)
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

MESSAGES = Dialect.ANTHROPIC_MESSAGES
SAYS_ALL: dict[str, Any] = {
    "reasoning": "adaptive",
    "efforts": ("off", "low", "medium", "high", "xhigh", "max"),
    "system_mid": True,
}
"""Capabilities of a model for which nothing has to be left out."""

_ID = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=20)
_NAME = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
_WORDS = st.text(max_size=30).map(lambda text: f"w{text}w")
_BASE64 = st.binary(min_size=1, max_size=12).map(lambda data: data.hex())
_MARK = st.sampled_from([None, CacheMark(), CacheMark(lifetime="1h")])
_ARGUMENTS = st.sampled_from(
    ["{}", '{"a":1}', '{ "a" : [1.10, null, {"b": "\\u00e9\\n"}] }', '{"a":"🦦","b":{"c":{}}}']
)
_SCHEMA = st.lists(_NAME, max_size=3, unique=True).map(
    lambda names: Raw(
        msgspec.json.encode(
            {
                "type": "object",
                "properties": {name: {"type": "string"} for name in names},
                "required": names,
                "additionalProperties": False,
            }
        )
    )
)
_STATE = _WORDS.map(lambda data: State(provider="anthropic", data=data))
_TEXT = _WORDS.map(lambda text: Text(text=text))
_IMAGE = st.builds(
    Image,
    source=st.builds(Data, media_type=st.sampled_from(["image/png", "image/webp"]), base64=_BASE64)
    | st.just(Url(url="https://pictures.example/1.png"))
    | st.builds(FileId, dialect=st.just(MESSAGES), id=_ID),
)
_DOCUMENT = st.builds(
    Document,
    source=st.builds(Data, media_type=st.just("application/pdf"), base64=_BASE64)
    | st.just(Url(url="https://papers.example/1.pdf")),
    title=st.none() | _WORDS,
) | st.builds(Document, text=_WORDS, title=st.none() | _WORDS)
_THINKING = st.builds(Thinking, text=st.text(max_size=20), state=_STATE) | st.builds(
    Thinking, redacted=st.just(True), state=_STATE
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """User and assistant in turns, instructions behind users, every call answered in the next turn."""
    turns: list[Turn] = []
    waiting: list[str] = []
    used = 0
    for _ in range(draw(st.integers(0, 3))):
        turns += draw(_user_turns(waiting))
        said: list[Block] = draw(st.lists(_TEXT | _THINKING, max_size=3))
        waiting = []
        for _ in range(draw(st.integers(0, 2))):
            waiting.append(f"{draw(_ID)}_{used}")
            used += 1
            said.append(ToolCall(id=waiting[-1], name=draw(_NAME), arguments=draw(_ARGUMENTS)))
        turns.append(Turn(role="assistant", blocks=said or [Text(text="Well.")]))
    return turns + draw(_user_turns(waiting))


@st.composite
def _user_turns(draw: st.DrawFn, waiting: list[str]) -> list[Turn]:
    blocks: list[Block] = [
        ToolResult(
            call_id=call_id,
            blocks=draw(st.lists(_TEXT | _IMAGE | _DOCUMENT, max_size=2)),
            is_error=draw(st.booleans()),
        )
        for call_id in waiting
    ]
    blocks += draw(st.lists(_TEXT | _IMAGE | _DOCUMENT, max_size=3))
    turns = [Turn(role="user", blocks=blocks or [Text(text="Go on.")])]
    if draw(st.booleans()):
        turns.append(Turn(role="system", blocks=[draw(_TEXT)]))
    return turns


_EXTRAS: list[dict[str, Any]] = [
    {},
    {"extras": {MESSAGES: {"container": Raw(b'"c1"')}}, "needs": ["container"]},
    {
        "extras": {
            MESSAGES: {"context_management": Raw(b'{"edits":[1]}'), "novelty": Raw(b"1.10")}
        },
        "drops": ["context_management", "extras"],
    },
]


_UNNAMED_CHOICES = [
    None,
    ToolChoice(mode="auto"),
    ToolChoice(mode="any"),
    ToolChoice(mode="none"),
]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Whatever a model that says all can be asked, with at least one cache marker."""
    turns = draw(conversations())
    called = any(isinstance(block, ToolCall) for turn in turns for block in turn.blocks)
    names = draw(st.lists(_NAME, min_size=int(called), max_size=3, unique=True))
    tools = [
        Tool(
            name=name,
            description=draw(st.none() | _WORDS),
            schema=draw(_SCHEMA),
            strict=draw(st.sampled_from([None, True])),
        )
        for name in names
    ]
    server_tools = [
        ServerTool(
            dialect=MESSAGES,
            kind="web_search_20250305",
            raw=Raw(b'{"type":"web_search_20250305","name":"web_search"}'),
        )
    ] * draw(st.integers(0, 1))
    choice = None
    if tools:
        choice = draw(
            st.sampled_from(_UNNAMED_CHOICES)
            | st.sampled_from(names).map(lambda name: ToolChoice(mode="tool", name=name))
        )
    alone = choice is not None and choice.mode != "none" and draw(st.booleans())
    forced = choice is not None and choice.mode in {"any", "tool"}
    reasoning = draw(_REASONING) if not forced else None
    thinks = reasoning is not None and reasoning.effort != "off"
    system = [Text(text=draw(_WORDS), cache=CacheMark())]
    system += [Text(text=draw(_WORDS), cache=draw(_MARK)) for _ in range(draw(st.integers(0, 2)))]
    return Request(
        model="claude-sample",
        turns=turns,
        system=system,
        tools=tools,
        server_tools=server_tools,
        tool_choice=choice,
        parallel_tools=False if alone else None,
        output_tokens_max=draw(st.integers(1, 64_000)),
        sampling=Sampling() if thinks else draw(_SAMPLING),
        stop=draw(st.lists(_WORDS, max_size=4)),
        reasoning=reasoning,
        output_format=draw(st.none() | st.builds(OutputFormat, schema=_SCHEMA)),
        stream=draw(st.booleans()),
        user=draw(st.none() | st.just("5" * 64)),
        **draw(st.sampled_from(_EXTRAS)),
    )


_REASONING = (
    st.none()
    | st.just(Reasoning(effort="off"))
    | st.builds(
        Reasoning,
        effort=st.sampled_from([None, "low", "medium", "high", "xhigh", "max"]),
        adaptive=st.just(True),
        show=st.sampled_from([None, True, False]),
    )
)
_UNIT = st.floats(0, 1)
_SAMPLING = st.builds(
    Sampling, temperature=st.none() | _UNIT, top_k=st.none() | st.integers(1, 99)
) | st.builds(Sampling, top_p=_UNIT)
_COUNT = st.integers(0, 999)
_USAGE = st.tuples(_COUNT, _COUNT, _COUNT, _COUNT, _COUNT, _COUNT).map(
    lambda counts: Usage(**dict(zip(Usage.__struct_fields__, counts, strict=True)))
)
_FOREIGN_STATE = st.text(max_size=20).map(
    lambda data: State(provider="google" if len(data) % 2 else "openai", data=data)
)


_SAID: st.SearchStrategy[Block] = (
    _TEXT
    | _WORDS.map(lambda text: Thinking(text=text))
    | st.tuples(st.text(max_size=9), _FOREIGN_STATE).map(
        lambda said: Thinking(text=said[0], state=said[1])
    )
    | _FOREIGN_STATE.map(lambda state: Thinking(redacted=True, state=state))
)


_REASONS_WITH_CALLS: list[StopReason] = ["tool_use", "max_tokens"]
_REASONS_WITHOUT: list[StopReason] = [
    "end",
    "max_tokens",
    "refusal",
    "context_full",
    "pause",
    "stop_sequence",
]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Answers of any vendor that this dialect can give back."""
    blocks: list[Block] = draw(st.lists(_SAID, max_size=4))
    calls = draw(st.integers(0, 2))
    blocks += [
        ToolCall(
            id=f"{draw(_ID)}_{number}",
            name=draw(_NAME),
            arguments=draw(_ARGUMENTS),
            state=draw(st.none() | _FOREIGN_STATE),
        )
        for number in range(calls)
    ]
    if blocks and isinstance(blocks[-1], Thinking):
        blocks.append(Text(text="Well."))
    reasons = _REASONS_WITH_CALLS if calls else _REASONS_WITHOUT
    reason = draw(st.sampled_from(reasons))
    sequence = draw(st.none() | _WORDS) if reason == "stop_sequence" else None
    return Answer(
        id=f"msg_{draw(st.integers(1, 999))}",
        model="claude-sample",
        blocks=blocks,
        stop=Stop(reason=reason, sequence=sequence),
        usage=draw(_USAGE),
    )


_STARTS: list[StreamedBlock] = [
    Text(text=""),
    Refusal(text=""),
    Thinking(),
    Thinking(redacted=True, state=State(provider="anthropic", data="hidden")),
    Thinking(redacted=True),
    ToolCall(id="call_1", name="look", arguments=""),
    ToolCall(id="not an id", name="look", arguments=""),
    ToolCall(id="call_2", name="look", arguments="", state=State(provider="google", data="s")),
    ToolCall(id="call_3", name="patch", arguments="", custom=True),
]


_WORDS_SAID = ("", "a", "\n", "é", "🦦", "</data>", '"', "\\n\\n")
_ARGUMENTS_SAID = ("", "{", '"a": ', "1", "}", "\n", '"é"', " ")
_STATES = (State(provider="google", data="s"), State(provider="openai", data="t"))
_REASONS = ("end", "max_tokens", "tool_use", "refusal", "context_full", "pause", "stop_sequence")
_FAILURES = ("unavailable", "server_error", "overloaded_error", "")


def streams(*, may_fail: bool = True) -> st.SearchStrategy[list[Event]]:
    """Any legal order of events: blocks open side by side, or say nothing, or the vendor fails anywhere."""
    return st.binary(max_size=70).map(lambda tape: _stream(tape, may_fail=may_fail))


def _stream(tape: bytes, *, may_fail: bool) -> list[Event]:
    """Reads each decision from the tape; when it runs out everything is brought to its end."""
    decisions = iter(tape)
    events: list[Event] = [Started(id="resp_1", model="other")]
    starts: list[StreamedBlock] = []
    living: list[int] = []
    for decision in decisions:
        step, pick = decision % 8, next(decisions, 0)
        if step < 2 and len(starts) < 6:
            living.append(len(starts))
            starts.append(_STARTS[pick % len(_STARTS)])
            events.append(BlockStarted(index=living[-1], block=starts[-1]))
        elif step == 2:
            events.append(UsageSeen(usage=Usage(input=pick, output=decision)))
        elif living:
            index = living[pick % len(living)]
            if step == 3:
                living.remove(index)
            events.append(_moment(index, starts[index], step, pick // 7))
    events += [BlockStopped(index=index) for index in reversed(living)]
    if may_fail and tape[:1] < b"\x55":
        kept = next(iter(tape[1:]), 0) % (len(events) + 1)
        kind = _FAILURES[len(tape) % len(_FAILURES)]
        return [*events[:kept], Failed(kind=kind, message="No more.")]
    events.append(Stopped(stop=Stop(reason=_REASONS[len(tape) % len(_REASONS)])))
    if len(tape) % 2:
        events.append(UsageSeen(usage=Usage(input=9, output=len(tape)), final=True))
    return [*events, Ended()]


def _moment(index: int, block: StreamedBlock, step: int, pick: int) -> Event:
    if step == 3:
        return BlockStopped(index=index)
    if step == 4 and isinstance(block, Thinking | ToolCall):
        return StateSeen(index=index, state=_STATES[pick % 2])
    if isinstance(block, ToolCall):
        return ArgumentsDelta(index=index, text=_ARGUMENTS_SAID[pick % len(_ARGUMENTS_SAID)])
    return TextDelta(index=index, text=_WORDS_SAID[pick % len(_WORDS_SAID)])
