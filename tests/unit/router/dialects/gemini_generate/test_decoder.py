"""Google's streams and whole answers as events."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from aibridge_common.usage import Usage
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
from aibridge_router.canonical.response import Answer, Stop, UnfinishedAnswer
from aibridge_router.dialects.gemini_generate.codec import CODEC
from aibridge_router.sse import FRAME_BYTES_MAX, FrameTooLong
from tests.unit.router.dialects.samples import cut, names, places, sample, with_line_ends

SIGNED = State(provider="google", data="c2ln")
SAMPLES = names("gemini_generate")


def chunk(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x", **more}


def framed(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(each) + b"\r\n\r\n" for each in chunks)


def events(*chunks: dict[str, Any]) -> list[Event]:
    """Everything behind `Started`."""
    first, *rest = CODEC.decoder("google").feed(framed(*chunks))
    assert first == Started(id="r1", model="gemini-x")
    return rest


def ended(reason: Any) -> list[Event]:
    return [Stopped(stop=Stop(reason=reason)), Ended()]


def text_block(index: int, *texts: str, block: Any = None) -> list[Event]:
    return [
        BlockStarted(index=index, block=block or Text(text="")),
        *(TextDelta(index=index, text=text) for text in texts),
        BlockStopped(index=index),
    ]


class TestBlocks:
    def test_texts_in_a_row_are_one_block(self) -> None:
        found = events(chunk({"text": "a"}), chunk({"text": "b"}, {"text": ""}, finish="STOP"))

        assert found == [*text_block(0, "a", "b"), *ended("end")]

    def test_thoughts_come_first(self) -> None:
        found = events(chunk({"text": "t", "thought": True}), chunk({"text": "a"}, finish="STOP"))

        assert found == [
            *text_block(0, "t", block=Thinking()),
            *text_block(1, "a"),
            *ended("end"),
        ]

    @pytest.mark.parametrize("closing", [{"text": ""}, {"text": "", "thought": True}, {}])
    def test_a_bare_signature_is_the_open_thoughts(self, closing: dict[str, Any]) -> None:
        thought = {"text": "t", "thought": True}
        found = events(chunk(thought), chunk({**closing, "thoughtSignature": "c2ln"}))

        assert found == [
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="t"),
            StateSeen(index=0, state=SIGNED),
            BlockStopped(index=0),
        ]

    def test_the_signature_of_a_text_follows_it(self) -> None:
        """A text has no place for state, so a thought that is not shown carries it."""
        found = events(chunk({"text": "a", "thoughtSignature": "c2ln"}, finish="STOP"))

        assert found == [
            *text_block(0, "a"),
            BlockStarted(index=1, block=Thinking()),
            StateSeen(index=1, state=SIGNED),
            BlockStopped(index=1),
            *ended("end"),
        ]

    def test_a_word_in_place_of_a_signature_is_none(self) -> None:
        skip = {"text": "a", "thoughtSignature": "skip_thought_signature_validator"}

        assert events(chunk(skip, finish="STOP")) == [*text_block(0, "a"), *ended("end")]

    def test_a_call_comes_whole_and_signed(self) -> None:
        call = {"functionCall": {"name": "f", "args": {"a": 1.5}, "id": "x"}}
        found = events(chunk({**call, "thoughtSignature": "c2ln"}, finish="STOP"))

        assert found == [
            BlockStarted(index=0, block=ToolCall(id="x", name="f", arguments="", state=SIGNED)),
            ArgumentsDelta(index=0, text='{"a":1.5}'),
            BlockStopped(index=0),
            *ended("tool_use"),
        ]

    def test_calls_without_ids_get_some_that_no_other_answer_has(self) -> None:
        call = {"functionCall": {"name": "f"}}

        def made(response_id: str) -> list[str]:
            found = events(chunk(call, call, responseId=response_id))
            started = [e.block for e in found if isinstance(e, BlockStarted)]
            return [block.id for block in started if isinstance(block, ToolCall)]

        def events(*chunks: dict[str, Any]) -> list[Event]:
            return CODEC.decoder("google").feed(framed(*chunks))

        assert len({*made("r1"), *made("r2")}) == 4
        assert made("r1") == made("r1")

    def test_what_the_hub_has_no_word_for_is_left_out(self) -> None:
        parts: list[dict[str, Any]] = [
            {"executableCode": {"code": "x"}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ]

        assert events(chunk(*parts, finish="STOP")) == ended("end")

    def test_only_the_first_candidate_counts(self) -> None:
        second = {"content": {"parts": [{"text": "b"}]}, "index": 1, "finishReason": "STOP"}
        both = chunk({"text": "a"}, finish="STOP")
        both["candidates"].append(second)

        assert events(both) == [*text_block(0, "a"), *ended("end")]


class TestEnd:
    @pytest.mark.parametrize(
        ("finish", "reason"),
        [
            ("STOP", "end"),
            ("MAX_TOKENS", "max_tokens"),
            ("SAFETY", "refusal"),
            ("PROHIBITED_CONTENT", "refusal"),
            ("BLOCKLIST", "refusal"),
            ("SPII", "refusal"),
            ("RECITATION", "refusal"),
            ("IMAGE_SAFETY", "refusal"),
            ("MODEL_ARMOR", "refusal"),
            ("LANGUAGE", "end"),
            ("SOMETHING_NEW", "end"),
        ],
    )
    def test_reasons(self, finish: str, reason: str) -> None:
        assert events(chunk(finish=finish)) == ended(reason)

    def test_max_tokens_after_a_call_stays(self) -> None:
        found = events(chunk({"functionCall": {"name": "f", "id": "x"}}, finish="MAX_TOKENS"))

        assert found[-2:] == ended("max_tokens")

    @pytest.mark.parametrize(
        "finish",
        [
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "MALFORMED_RESPONSE",
            "MISSING_THOUGHT_SIGNATURE",
            "TOO_MANY_TOOL_CALLS",
        ],
    )
    def test_an_answer_that_failed(self, finish: str) -> None:
        found = events(chunk({"text": "a"}, finish=finish), chunk({"text": "b"}))

        message = f"the model ended with {finish}"
        assert found == [
            *text_block(0, "a"),
            Failed(kind="upstream_failed", message=message),
        ]

    def test_a_blocked_prompt_is_a_refusal_in_its_words(self) -> None:
        feedback = {"blockReason": "SAFETY", "blockReasonMessage": "No."}
        found = events({"promptFeedback": feedback, "responseId": "r1", "modelVersion": "gemini-x"})

        assert found == [*text_block(0, "No.", block=Refusal(text="")), *ended("refusal")]

    def test_a_refused_answer_may_have_no_content(self) -> None:
        refused = {"candidates": [{"finishReason": "SAFETY"}]}

        assert CODEC.decoder("google").feed(framed(refused))[1:] == ended("refusal")

    def test_no_reason_is_no_end(self) -> None:
        unsaid = chunk({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED")

        assert not any(isinstance(event, Ended | Stopped) for event in events(unsaid))

    def test_an_error_is_the_last_thing(self) -> None:
        error = {"error": {"code": 429, "message": "Slow.", "status": "RESOURCE_EXHAUSTED"}}
        decoder = CODEC.decoder("google")

        assert decoder.feed(framed(error)) == [Failed(kind="rate_limited", message="Slow.")]
        assert decoder.feed(framed(error, chunk({"text": "a"}))) == []

    def test_an_error_without_words(self) -> None:
        assert CODEC.decoder("google").feed(framed({"error": {"code": "x"}})) == [
            Failed(kind="upstream_failed", message="the vendor failed")
        ]


class TestUsage:
    def test_every_new_count_is_told_and_the_last_is_final(self) -> None:
        first = {"promptTokenCount": 10, "cachedContentTokenCount": 4}
        last = {**first, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}
        found = events(
            chunk({"text": "a"}, usageMetadata=first),
            chunk({"text": "b"}, usageMetadata=first),
            chunk(finish="STOP", usageMetadata=last),
        )
        seen = [event for event in found if isinstance(event, UsageSeen)]
        told = Usage(input=6, cache_read=4, output=3, reasoning=2)

        assert seen == [
            UsageSeen(usage=Usage(input=6, cache_read=4)),
            UsageSeen(usage=told),
            UsageSeen(usage=told, final=True),
        ]

    def test_a_count_behind_the_end_replaces_it(self) -> None:
        found = events(
            chunk({"text": "a"}, finish="STOP", usageMetadata={"promptTokenCount": 1}),
            chunk({"text": "more"}, usageMetadata={"promptTokenCount": 1}),
        )

        assert found[-1] == UsageSeen(usage=Usage(input=1), final=True)

    def test_none_is_fine(self) -> None:
        assert not any(isinstance(e, UsageSeen) for e in events(chunk(finish="STOP")))


class TestBytes:
    @pytest.mark.parametrize("name", SAMPLES)
    @given(at=places())
    @settings(deadline=None, max_examples=40)
    def test_any_cut_gives_the_same_events(self, name: str, at: list[int]) -> None:
        stream = sample(name)
        whole, pieces = CODEC.decoder("google"), CODEC.decoder("google")

        assert whole.feed(stream) == [e for piece in cut(stream, at) for e in pieces.feed(piece)]

    @pytest.mark.parametrize("name", SAMPLES)
    def test_byte_by_byte_and_either_line_end(self, name: str) -> None:
        stream = sample(name)
        expected = CODEC.decoder("google").feed(stream)
        single, plain = CODEC.decoder("google"), CODEC.decoder("google")

        assert expected == [e for byte in stream for e in single.feed(bytes([byte]))]
        assert expected == plain.feed(with_line_ends(stream, b"\n"))

    def test_comments_events_and_unknown_members_are_passed_over(self) -> None:
        noise = b": ping\r\n\r\nevent: x\r\nid: 1\r\n\r\ndata: [DONE]\r\n\r\ndata:\r\n\r\n"
        found = CODEC.decoder("google").feed(noise + framed(chunk(finish="STOP", newThing=[1])))

        assert found[1:] == ended("end")

    def test_an_endless_frame_is_refused(self) -> None:
        decoder = CODEC.decoder("google")
        with pytest.raises(FrameTooLong):
            decoder.feed(b"data: " + b"x" * (FRAME_BYTES_MAX + 1))

    def test_what_is_no_stream_is_refused(self) -> None:
        with pytest.raises(msgspec.DecodeError):
            CODEC.decoder("google").feed(b"data: <html>\r\n\r\n")


class TestWhole:
    def test_an_answer(self) -> None:
        body = chunk(
            {"text": "t", "thought": True},
            {"text": "a"},
            {
                "functionCall": {"name": "f", "args": {"x": 1}, "id": "i"},
                "thoughtSignature": "c2ln",
            },
            finish="STOP",
            usageMetadata={"promptTokenCount": 7},
        )

        assert CODEC.answer_from_wire(json.dumps(body).encode(), "google") == Answer(
            id="r1",
            model="gemini-x",
            blocks=[
                Thinking(text="t"),
                Text(text="a"),
                ToolCall(id="i", name="f", arguments='{"x": 1}', state=SIGNED),
            ],
            stop=Stop(reason="tool_use"),
            usage=Usage(input=7),
        )

    def test_an_array_of_chunks_is_one_answer(self) -> None:
        """`streamGenerateContent` without `alt=sse`."""
        chunks = [
            chunk({"text": "t", "thought": True}),
            chunk({"text": "", "thoughtSignature": "c2ln"}),
            chunk({"text": "a"}),
            chunk({"text": "b"}, finish="MAX_TOKENS"),
        ]

        assert CODEC.answer_from_wire(json.dumps(chunks).encode(), "google") == Answer(
            id="r1",
            model="gemini-x",
            blocks=[Thinking(text="t", state=SIGNED), Text(text="ab")],
            stop=Stop(reason="max_tokens"),
        )

    def test_a_blocked_prompt(self) -> None:
        feedback = {"blockReason": "SAFETY", "blockReasonMessage": "No."}
        answer = CODEC.answer_from_wire(json.dumps({"promptFeedback": feedback}).encode(), "google")

        assert answer == Answer(
            id="", model="", blocks=[Refusal(text="No.")], stop=Stop(reason="refusal")
        )

    @pytest.mark.parametrize(
        "body",
        [{}, [], [{}], chunk({"text": "a"}), chunk(finish="MALFORMED_RESPONSE"), {"error": {}}],
    )
    def test_an_answer_without_an_end_is_unfinished(self, body: Any) -> None:
        with pytest.raises(UnfinishedAnswer):
            CODEC.answer_from_wire(json.dumps(body).encode(), "google")

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"candidates":1}'])
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            CODEC.answer_from_wire(body, "google")
