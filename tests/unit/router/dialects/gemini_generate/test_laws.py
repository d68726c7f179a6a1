"""The laws of every dialect, for Gemini."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.codec import VendorError
from aibridge_router.canonical.content import ToolCall
from aibridge_router.canonical.events import BlockStarted, Event, Failed, TextDelta
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.request import Request
from aibridge_router.canonical.response import Answer, UnfinishedAnswer
from aibridge_router.dialects.gemini_generate.codec import CODEC
from tests.unit.router.dialects.gemini_generate import grammar
from tests.unit.router.dialects.gemini_generate.strategies import (
    CONTEXT,
    GEMINI_3,
    answers,
    event_streams,
    json_values,
    requests,
)

WORDS = [
    *("contents", "parts", "role", "text", "inlineData", "inline_data", "mimeType", "data", "args"),
    *("functionCall", "functionResponse", "name", "response", "tools", "functionDeclarations"),
    *("generationConfig", "thinkingConfig", "thinkingLevel", "thinkingBudget", "toolConfig"),
    *("functionCallingConfig", "mode", "systemInstruction", "thoughtSignature", "parameters"),
    *("responseSchema", "responseMimeType", "candidates", "content", "finishReason", "error"),
    *("fileData", "fileUri", "promptFeedback", "blockReason", "usageMetadata", "details"),
]
wild = st.recursive(
    json_values | st.sampled_from(["model", "user", "image/png", "text/x", "STOP", "ANY", "HIGH"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def shaped(kinds: object) -> bytes:
    """A body whose one content has these parts."""
    return json.dumps({"contents": [{"parts": kinds}]}).encode()


@settings(deadline=None)
@given(requests())
def test_a_request_comes_back_as_it_was(request: Request) -> None:
    losses = Losses()
    wire = CODEC.request_to_wire(request, GEMINI_3, losses)

    assert (request, ()) == (CODEC.request_from_wire(wire), losses.names)


@settings(deadline=None)
@given(answers())
def test_an_answer_comes_back_as_it_was(answer: Answer) -> None:
    assert answer == CODEC.answer_from_wire(CODEC.answer_to_wire(answer, CONTEXT), CONTEXT.provider)


@settings(deadline=None)
@given(event_streams())
def test_a_stream_keeps_the_grammar_and_loses_nothing(events: list[Event]) -> None:
    encoder = CODEC.encoder(CONTEXT)
    stream = b"".join(map(encoder.feed, events))
    parts = grammar.check(stream)
    read = CODEC.decoder(CONTEXT.provider).feed(stream)

    assert "".join(part.get("text", "") for part in parts) == _texts(events)
    assert _texts(read) == _texts(events)
    assert [call.id for call in _calls(read)] == [call.id for call in _calls(events)]


@settings(deadline=None)
@given(event_streams(), st.integers(0, 30))
def test_a_stream_may_fail_anywhere(events: list[Event], at: int) -> None:
    encoder = CODEC.encoder(CONTEXT)
    before = [encoder.feed(event) for event in events[: min(at, len(events) - 1)]]
    failure = encoder.feed(Failed(kind="unavailable", message="gone"))
    after = [encoder.feed(event) for event in [*events, Failed(kind="x", message="again")]]

    grammar.check(b"".join([*before, failure]), failed=True)
    assert b"".join(after) == b""


@settings(deadline=None)
@given(wild | wild.map(lambda parts: json.loads(shaped(parts))))
def test_any_json_is_a_request_or_refused(body: object) -> None:
    try:
        request = CODEC.request_from_wire(json.dumps(body).encode())
    except InvalidRequest:
        return
    assert isinstance(request, Request)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    try:
        CODEC.request_from_wire(body)
    except InvalidRequest:
        return


@settings(deadline=None)
@given(wild)
def test_any_json_is_an_answer_or_none(body: object) -> None:
    try:
        answer = CODEC.answer_from_wire(json.dumps(body).encode(), "google")
    except (msgspec.DecodeError, UnfinishedAnswer):
        return
    assert isinstance(answer, Answer)


@settings(deadline=None)
@given(st.integers(100, 599), st.binary(max_size=20) | wild.map(lambda v: json.dumps(v).encode()))
def test_any_body_is_an_error(status: int, body: bytes) -> None:
    assert isinstance(CODEC.error_from_wire(status, body), VendorError)


def _texts(events: list[Event]) -> str:
    """All text by block, as one block after the other would say it."""
    found: dict[int, str] = {}
    for event in events:
        if isinstance(event, TextDelta):
            found[event.index] = found.get(event.index, "") + event.text
    return "".join(text for _, text in sorted(found.items()))


def _calls(events: list[Event]) -> list[ToolCall]:
    started = [event for event in events if isinstance(event, BlockStarted)]
    calls = [(event.index, event.block) for event in started if isinstance(event.block, ToolCall)]
    return [call for _, call in sorted(calls, key=lambda pair: pair[0])]
