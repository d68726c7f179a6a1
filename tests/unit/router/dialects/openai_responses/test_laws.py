"""What holds for whatever is said in this dialect."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.codec import VendorError
from aibridge_router.canonical.content import Refusal, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    Ended,
    Event,
    Failed,
    TextDelta,
)
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.canonical.response import Answer, UnfinishedAnswer
from aibridge_router.dialects.openai_responses.codec import CODEC
from tests.unit.router.dialects.openai_responses import grammar
from tests.unit.router.dialects.openai_responses.strategies import (
    CONTEXT,
    PROFILE,
    answers,
    event_streams,
    json_values,
    requests,
)

WORDS = """
    model input instructions tools tool_choice reasoning text include stream user metadata type role content call_id
    output summary name parameters format schema id arguments store
"""
KIND_WORDS = """
    message function_call function_call_output reasoning input_text input_image input_file custom namespace function
    web_search json_schema additional_tools allowed_tools user
"""
MEMBERS = st.sampled_from(WORDS.split())
KINDS = st.sampled_from(KIND_WORDS.split())
shaped = st.recursive(
    json_values | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=5),
    max_leaves=20,
)


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
    body = CODEC.answer_to_wire(answer, CONTEXT)

    assert answer == CODEC.answer_from_wire(body, "openai")


@settings(max_examples=60, deadline=None)
@given(answers(echoed=True))
def test_what_a_client_echoes_comes_back_as_it_was(answer: Answer) -> None:
    """A client gives the items of an answer back as input: other providers' state is in them."""
    output = json.loads(CODEC.answer_to_wire(answer, CONTEXT))["output"]
    body = json.dumps({"model": "m", "input": output}).encode()

    expected = [Turn(role="assistant", blocks=answer.blocks)] if answer.blocks else []
    assert expected == CODEC.request_from_wire(body).turns


@settings(max_examples=80, deadline=None)
@given(event_streams())
def test_a_stream_keeps_the_grammar_and_loses_nothing(events: list[Event]) -> None:
    encoder = CODEC.encoder(CONTEXT)
    stream = b"".join(encoder.feed(event) for event in events)
    checked = grammar.check(stream)
    read = CODEC.decoder("openai").feed(stream)

    assert _texts(events) == _texts(read)
    assert _calls(events) == _calls(read)
    assert isinstance(read[-1], Ended)
    assert checked.end["response"]["model"] == CONTEXT.model
    assert checked.end["response"]["provider"] == CONTEXT.provider


@settings(max_examples=50, deadline=None)
@given(event_streams(), st.integers(0, 30))
def test_a_stream_may_fail_anywhere(events: list[Event], at: int) -> None:
    """An error event ends it, and nothing follows."""
    encoder = CODEC.encoder(CONTEXT)
    head = events[: at % len(events)]
    stream = b"".join(encoder.feed(event) for event in head)
    stream += encoder.feed(Failed(kind="upstream_failed", message="gone"))
    checked = grammar.check(stream)

    assert checked.end["type"] == "response.failed"
    assert checked.end["response"]["error"] == {"code": "server_error", "message": "gone"}
    assert b"".join(encoder.feed(event) for event in events) == b""


@settings(max_examples=15, deadline=None)
@given(event_streams())
def test_any_split_of_a_stream_is_the_same_stream(events: list[Event]) -> None:
    encoder = CODEC.encoder(CONTEXT)
    stream = b"".join(encoder.feed(event) for event in events)
    whole = CODEC.decoder("openai").feed(stream)
    decoder = CODEC.decoder("openai")
    pieces = [event for byte in stream for event in decoder.feed(bytes([byte]))]

    assert whole == pieces


@settings(max_examples=50, deadline=None)
@given(answers())
def test_a_whole_answer_and_its_stream_are_read_alike(answer: Answer) -> None:
    """A server that streams only its last event has still said everything."""
    response = json.loads(CODEC.answer_to_wire(answer, CONTEXT))
    event = {"type": f"response.{response['status']}", "response": response}
    read = CODEC.decoder("openai").feed(f"data: {json.dumps(event)}\n\n".encode())

    assert _texts(read) == [text for block in answer.blocks if (text := _text(block)) is not None]
    assert _calls(read) == [
        (block.name, block.arguments) for block in answer.blocks if isinstance(block, ToolCall)
    ]


@settings(max_examples=80, deadline=None)
@given(json_values | shaped)
def test_any_json_is_a_request_or_refused(body: object) -> None:
    _read_or_refuse(json.dumps(body).encode())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(MEMBERS, shaped, max_size=5), st.sampled_from(["input", "tools", "text"]))
def test_any_object_is_a_request_or_refused(body: dict[str, object], member: str) -> None:
    _read_or_refuse(json.dumps({"model": "m", **body}).encode())
    _read_or_refuse(json.dumps({"model": "m", member: [body]}).encode())


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    _read_or_refuse(body)
    _read_or_refuse(b'{"model":"m","input":"' + body + b'"}')


@settings(max_examples=50, deadline=None)
@given(shaped | st.dictionaries(st.just("output"), shaped))
def test_any_json_is_an_answer_or_none(body: object) -> None:
    try:
        answer = CODEC.answer_from_wire(json.dumps(body).encode(), "openai")
    except (msgspec.DecodeError, UnfinishedAnswer):
        return

    assert isinstance(answer, Answer)


@settings(max_examples=50, deadline=None)
@given(st.integers(400, 599), st.binary(max_size=30) | shaped.map(lambda x: json.dumps(x).encode()))
def test_any_body_is_an_error(status: int, body: bytes) -> None:
    assert isinstance(CODEC.error_from_wire(status, body), VendorError)


@settings(max_examples=50, deadline=None)
@given(shaped)
def test_any_payload_is_events_or_refused(payload: object) -> None:
    try:
        CODEC.decoder("openai").feed(b"data: " + json.dumps(payload).encode() + b"\n\n")
    except msgspec.DecodeError:
        return


def _read_or_refuse(body: bytes) -> None:
    try:
        request = CODEC.request_from_wire(body)
    except InvalidRequest:
        return

    assert isinstance(request, Request)


def _text(block: object) -> str | None:
    if isinstance(block, Text | Refusal | Thinking):
        return block.text or None
    return None


def _texts(events: list[Event]) -> list[str]:
    found: dict[int, str] = {}
    for event in events:
        if isinstance(event, BlockStarted) and not isinstance(event.block, ToolCall):
            found[event.index] = ""
        elif isinstance(event, TextDelta):
            found[event.index] += event.text
    return [text for text in found.values() if text]


def _calls(events: list[Event]) -> list[tuple[str, str]]:
    blocks: dict[int, ToolCall] = {}
    arguments: dict[int, str] = {}
    for event in events:
        if isinstance(event, BlockStarted) and isinstance(event.block, ToolCall):
            blocks[event.index] = event.block
            arguments[event.index] = ""
        elif isinstance(event, ArgumentsDelta):
            arguments[event.index] += event.text
    return [(call.name, _meant(call, arguments[index])) for index, call in blocks.items()]


def _meant(call: ToolCall, arguments: str) -> str:
    """No arguments are none, and a free-text tool's one string is its input."""
    if call.custom:
        return arguments
    if call.name == "patch":
        return json.loads(arguments)["input"]
    return arguments or "{}"
