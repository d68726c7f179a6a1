"""What holds for whatever is said in this dialect."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.codec import VendorError
from aibridge_router.canonical.content import Refusal, Text, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    Ended,
    Event,
    Failed,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.request import Request
from aibridge_router.canonical.response import Answer, UnfinishedAnswer
from aibridge_router.dialects.openai_chat.codec import CODEC
from tests.unit.router.dialects.openai_chat import grammar
from tests.unit.router.dialects.openai_chat.strategies import (
    CONTEXT,
    PROFILE,
    answers,
    event_streams,
    requests,
    values,
)
from tests.unit.router.dialects.samples import names, sample, with_line_ends

WORDS = """
    model messages tools tool_choice response_format stop stream_options role content tool_calls function custom name
    arguments parameters format schema json_schema type text image_url id
"""
KIND_WORDS = "user tool system assistant text function custom json_schema allowed_tools image_url"
MEMBERS = st.sampled_from(WORDS.split())
KINDS = st.sampled_from(KIND_WORDS.split())
shaped = st.recursive(
    values | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=5),
    max_leaves=20,
)


def streamed(events: list[Event], *, show_usage: bool = True) -> bytes:
    encoder = CODEC.encoder(replace(CONTEXT, show_usage=show_usage))
    return b"".join(encoder.feed(event) for event in events)


@settings(max_examples=60, deadline=None)
@given(requests())
def test_a_request_comes_back_as_it_was(request: Request) -> None:
    losses = Losses()
    body = CODEC.request_to_wire(request, PROFILE, losses)

    assert request == CODEC.request_from_wire(body)
    assert losses.names == ()


@settings(max_examples=50, deadline=None)
@given(answers())
def test_an_answer_comes_back_as_it_was(answer: Answer) -> None:
    assert answer == CODEC.answer_from_wire(CODEC.answer_to_wire(answer, CONTEXT), "openai")


@settings(max_examples=80, deadline=None)
@given(event_streams(), st.booleans())
def test_a_stream_keeps_the_grammar_and_loses_nothing(
    events: list[Event], show_usage: bool
) -> None:
    stream = streamed(events, show_usage=show_usage)
    said = grammar.check(stream)

    assert said.provider == CONTEXT.provider
    assert (said.usage is not None) == show_usage
    assert said.text == _said(events, Text)
    assert said.refusal == _said(events, Refusal)
    assert [call["text"] for call in said.calls] == _arguments(events)
    assert (said.finish == "tool_calls") <= bool(said.calls)


@settings(max_examples=40, deadline=None)
@given(event_streams())
def test_a_stream_is_read_as_it_was_written(events: list[Event]) -> None:
    read = CODEC.decoder("openai").feed(streamed(events))

    assert _said(read, Text) == _said(events, Text)
    assert _said(read, Refusal) == _said(events, Refusal)
    assert _arguments(read) == _arguments(events)
    assert isinstance(read[-1], Ended)
    last = [event.usage for event in events if isinstance(event, UsageSeen)][-1:]
    assert [event.usage for event in read if isinstance(event, UsageSeen)][: len(last)] == last


@settings(max_examples=50, deadline=None)
@given(event_streams(), st.integers(0, 30))
def test_a_stream_may_fail_anywhere(events: list[Event], at: int) -> None:
    """An error ends it without the dialect's own end, and nothing follows."""
    encoder = CODEC.encoder(CONTEXT)
    stream = b"".join(encoder.feed(event) for event in events[: at % len(events)])
    stream += encoder.feed(Failed(kind="upstream_failed", message="gone"))
    said = grammar.check(stream)

    assert said.error is not None
    assert (said.error["code"], said.error["message"]) == ("upstream_failed", "gone")
    assert b"[DONE]" not in stream
    assert b"".join(encoder.feed(event) for event in events) == b""


def test_every_split_of_a_sample_is_the_same_stream() -> None:
    for name in names("openai_chat"):
        for line_end in (b"\n", b"\r\n"):
            stream = with_line_ends(sample(name), line_end)
            whole = CODEC.decoder("openai").feed(stream)
            bytewise = CODEC.decoder("openai")
            assert whole == [event for byte in stream for event in bytewise.feed(bytes([byte]))]
            for at in range(0, len(stream), 41):
                decoder = CODEC.decoder("openai")
                assert whole == [*decoder.feed(stream[:at]), *decoder.feed(stream[at:])]


@settings(max_examples=80, deadline=None)
@given(values | shaped)
def test_any_json_is_a_request_or_refused(body: object) -> None:
    _read_or_refuse(json.dumps(body).encode())


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(MEMBERS, shaped, max_size=5), st.sampled_from(["messages", "tools"]))
def test_any_object_is_a_request_or_refused(body: dict[str, object], member: str) -> None:
    hi = [{"role": "user", "content": "hi"}]
    _read_or_refuse(json.dumps({"model": "m", "messages": hi, **body}).encode())
    _read_or_refuse(json.dumps({"model": "m", "messages": hi, member: [body]}).encode())


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    _read_or_refuse(body)
    _read_or_refuse(b'{"model":"m","messages":[{"role":"user","content":"' + body + b'"}]}')


@settings(max_examples=50, deadline=None)
@given(shaped | st.fixed_dictionaries({"choices": shaped}), st.binary(max_size=9))
def test_any_json_is_an_answer_or_none(body: object, junk: bytes) -> None:
    for payload in (json.dumps(body).encode(), b'{"choices":[],"id":"' + junk + b'"}'):
        try:
            answer = CODEC.answer_from_wire(payload, "openai")
        except (msgspec.DecodeError, UnfinishedAnswer):
            continue
        assert isinstance(answer, Answer)


@settings(max_examples=50, deadline=None)
@given(st.integers(400, 599), st.binary(max_size=30) | shaped.map(lambda x: json.dumps(x).encode()))
def test_any_body_is_an_error(status: int, body: bytes) -> None:
    assert isinstance(CODEC.error_from_wire(status, body), VendorError)


@settings(max_examples=50, deadline=None)
@given(shaped | st.fixed_dictionaries({"error": shaped}), st.binary(max_size=9))
def test_any_payload_is_events_or_refused(payload: object, junk: bytes) -> None:
    for data in (json.dumps(payload).encode(), b'{"id":"' + junk + b'"}'):
        try:
            CODEC.decoder("openai").feed(b"data: " + data + b"\n\n")
        except msgspec.DecodeError:
            continue


def _read_or_refuse(body: bytes) -> None:
    try:
        request = CODEC.request_from_wire(body)
    except InvalidRequest:
        return
    assert isinstance(request, Request)
    try:
        CODEC.request_to_wire(request, PROFILE, Losses())
    except InvalidRequest:
        return


def _said(events: list[Event], kind: type[Text | Refusal]) -> str:
    mine = {
        event.index
        for event in events
        if isinstance(event, BlockStarted) and isinstance(event.block, kind)
    }
    return "".join(e.text for e in events if isinstance(e, TextDelta) and e.index in mine)


def _arguments(events: list[Event]) -> list[str]:
    """No arguments are none, and a free-text tool's one string is its input."""
    found: dict[int, tuple[ToolCall, str]] = {}
    for event in events:
        if isinstance(event, BlockStarted) and isinstance(event.block, ToolCall):
            found[event.index] = (event.block, "")
        elif isinstance(event, ArgumentsDelta):
            call, text = found[event.index]
            found[event.index] = (call, text + event.text)
    return [_meant(call, text) for call, text in found.values()]


def _meant(call: ToolCall, text: str) -> str:
    if call.custom:
        return text
    if call.name == "patch":
        return json.loads(text)["input"] if text else ""
    return text or "{}"
