"""Whole answers of the vendor to the hub, and of any vendor to a client."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Block,
    Data,
    Image,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
)
from aibridge_router.canonical.response import Answer, Stop, StopReason, UnfinishedAnswer
from aibridge_router.canonical.state import pack
from aibridge_router.dialects.anthropic_messages.codec import CODEC
from aibridge_router.dialects.anthropic_messages.structured import ANSWER_TOOL
from tests.unit.router.dialects.anthropic_messages.strategies import answers

CONTEXT = AnswerContext(
    request_id="req_0199", model="gpt-sample", provider="openai", created_s=1_700_000_000
)
STATE = State(provider="google", data="s")


def answer(*blocks: Block, **members: Any) -> Answer:
    stop = members.pop("reason", "end")
    return Answer(
        id=members.pop("id", "msg_1"),
        model="m",
        blocks=list(blocks),
        stop=Stop(reason=stop),
        **members,
    )


def written(of: Answer, context: AnswerContext = CONTEXT) -> dict[str, Any]:
    return msgspec.json.decode(CODEC.answer_to_wire(of, context))


def read(**members: Any) -> Answer:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    return CODEC.answer_from_wire(msgspec.json.encode(body | members), "anthropic")


@settings(max_examples=120, deadline=None)
@given(answers())
def test_an_answer_comes_back_from_the_wire(of: Answer) -> None:
    context = msgspec.structs.replace(CONTEXT, model=of.model)

    assert of == CODEC.answer_from_wire(CODEC.answer_to_wire(of, context), "openai")


class TestRead:
    def test_one_of_the_vendor(self) -> None:
        assert Answer(
            id="msg_1",
            model="m",
            blocks=[
                Thinking(text="hm", state=State(provider="anthropic", data="EqQ=")),
                Text(text="I will look."),
                ToolCall(id="toolu_1", name="f", arguments='{"a":1}'),
                Opaque(
                    dialect=Dialect.ANTHROPIC_MESSAGES,
                    kind="novel",
                    raw=Raw(b'{"type":"novel","a":1}'),
                ),
            ],
            stop=Stop(reason="tool_use"),
            usage=Usage(input=5, cache_read=4, cache_write_5m=1, cache_write_1h=2, output=6),
        ) == read(
            content=[
                {"type": "thinking", "thinking": "hm", "signature": "EqQ="},
                {"type": "text", "text": "I will look.", "citations": None},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                {"type": "novel", "a": 1},
            ],
            stop_reason="tool_use",
            usage={
                "input_tokens": 5,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_1h_input_tokens": 2},
                "output_tokens": 6,
                "service_tier": "standard",
            },
        )

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("end_turn", "end"),
            ("max_tokens", "max_tokens"),
            ("stop_sequence", "stop_sequence"),
            ("refusal", "refusal"),
            ("model_context_window_exceeded", "context_full"),
            ("pause_turn", "pause"),
            ("tool_use", "end"),
            ("novelty", "end"),
            (None, "end"),
        ],
    )
    def test_why_it_ended(self, reason: str | None, expected: StopReason) -> None:
        assert Stop(reason=expected) == read(stop_reason=reason).stop

    def test_which_sequence_ended_it(self) -> None:
        assert (
            Stop(reason="stop_sequence", sequence="END")
            == read(stop_reason="stop_sequence", stop_sequence="END").stop
        )

    def test_a_refusal_in_words(self) -> None:
        details = {"type": "refusal", "category": "bio", "explanation": "No."}

        assert [Refusal(text="No.")] == read(stop_reason="refusal", stop_details=details).blocks

    def test_usage_that_is_not_said(self) -> None:
        assert read().usage is None

    def test_our_answer_tool_is_the_answer(self) -> None:
        call = {"type": "tool_use", "id": "t", "name": ANSWER_TOOL, "input": {"a": 1}}
        of = read(content=[call], stop_reason="tool_use")

        assert ([Text(text='{"a":1}')], Stop(reason="end")) == (of.blocks, of.stop)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b"[]",
            b"{}",
            b'{"type":"completion"}',
            b'{"type":"message","content":[{"type":"text","text":5}]}',
        ],
    )
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            CODEC.answer_from_wire(body, "anthropic")

    @pytest.mark.parametrize("error", [{"type": "api_error", "message": "Oh."}, None])
    def test_an_error_is_none(self, error: dict[str, str] | None) -> None:
        with pytest.raises(UnfinishedAnswer):
            read(type="error", error=error)


class TestWritten:
    def test_one_of_another_vendor(self) -> None:
        usage = Usage(input=5, cache_read=4, cache_write_5m=1, output=6, reasoning=2)
        of = answer(
            Thinking(text="hm", state=STATE),
            Text(text=""),
            Text(text="Hi."),
            ToolCall(id="call_1", name="f", arguments=""),
            id="chatcmpl-1",
            reason="tool_use",
            usage=usage,
        )

        assert {
            "id": "msg_0199",
            "type": "message",
            "role": "assistant",
            "model": "gpt-sample",
            "provider": "openai",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": pack(STATE)},
                {"type": "text", "text": "Hi."},
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 5,
                "cache_creation_input_tokens": 1,
                "cache_read_input_tokens": 4,
                "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 8,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        } == written(of)

    def test_state_alone_behind_the_answer_is_left_out(self) -> None:
        of = answer(Thinking(state=STATE), Text(text="A"), Thinking(state=STATE))

        assert [block["type"] for block in written(of)["content"]] == ["thinking", "text"]

    def test_thinking_without_state_has_an_empty_signature(self) -> None:
        assert written(answer(Thinking(text="hm")))["content"] == [
            {"type": "thinking", "thinking": "hm", "signature": ""}
        ]

    def test_what_has_no_place_is_left_out(self) -> None:
        picture = Image(source=Data(media_type="image/png", base64="AA"))
        foreign = Opaque(dialect=Dialect.GEMINI_GENERATE, kind="x", raw=Raw(b"{}"))
        of = answer(picture, foreign, Thinking(), Thinking(redacted=True), Refusal(text=""))

        assert written(of)["content"] == []

    def test_blocks_of_this_dialect_go_back(self) -> None:
        own = Opaque(dialect=Dialect.ANTHROPIC_MESSAGES, kind="x", raw=Raw(b'{"type":"x"}'))

        assert written(answer(own))["content"] == [{"type": "x"}]

    def test_a_refusal_is_a_text_and_a_reason(self) -> None:
        body = written(answer(Refusal(text="No.")))

        assert (
            body["content"],
            body["stop_reason"],
        ) == ([{"type": "text", "text": "No."}], "refusal")
        assert body["stop_details"]["type"] == "refusal"

    def test_names_are_the_clients_own(self) -> None:
        context = msgspec.structs.replace(CONTEXT, tool_names={"f": "a.f"})
        call = ToolCall(id="1", name="f", arguments="{}")

        assert written(answer(call), context)["content"][0]["name"] == "a.f"

    def test_free_text_is_a_member(self) -> None:
        call = ToolCall(id="1", name="f", arguments="*** a", custom=True)

        assert written(answer(call))["content"][0]["input"] == {"input": "*** a"}

    @pytest.mark.parametrize("broken", ['{"a":', "[1]", "sorry"])
    def test_arguments_that_are_no_object_are_a_failure(self, broken: str) -> None:
        with pytest.raises(UnfinishedAnswer):
            written(answer(ToolCall(id="1", name="f", arguments=broken)))

    def test_unless_they_were_cut_off(self) -> None:
        cut = answer(ToolCall(id="1", name="f", arguments='{"a":'), reason="max_tokens")
        body = written(cut)

        assert (body["content"][0]["input"], body["stop_reason"]) == ({}, "max_tokens")

    def test_usage_that_is_not_known_is_zero(self) -> None:
        assert written(answer())["usage"]["output_tokens"] == 0
