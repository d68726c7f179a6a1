"""Whole answers, both ways."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Block,
    Image,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
    Url,
)
from aibridge_router.canonical.response import Answer, Stop, StopReason, UnfinishedAnswer
from aibridge_router.dialects.openai_responses.codec import CODEC

CONTEXT = AnswerContext(
    request_id="req_018f",
    model="claude-x",
    provider="anthropic",
    created_s=1_763_000_000,
    tool_names={"short": "ns.own"},
    custom_tools=frozenset({"patch"}),
)
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
REFUSAL = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "refusal", "refusal": "no"}],
}


def read(**members: object) -> Answer:
    body = {"id": "resp_1", "model": "gpt", "status": "completed", "output": [], **members}
    return CODEC.answer_from_wire(json.dumps(body).encode(), "openai")


def written(*blocks: Block, reason: StopReason = "end", **members: Any) -> dict[str, Any]:
    answer = Answer(id="msg_1", model="m", blocks=list(blocks), stop=Stop(reason=reason))
    return json.loads(CODEC.answer_to_wire(replace(answer, **members), CONTEXT))


class TestReading:
    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            ({}, "end"),
            ({"output": [CALL]}, "tool_use"),
            ({"output": [REFUSAL]}, "refusal"),
            (
                {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
                "max_tokens",
            ),
            (
                {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
                "refusal",
            ),
            ({"status": "incomplete", "incomplete_details": {"reason": "of tomorrow"}}, "end"),
            ({"status": "incomplete", "incomplete_details": None}, "max_tokens"),
            ({"status": "incomplete", "output": [CALL]}, "max_tokens"),
            ({"status": None}, "end"),
        ],
    )
    def test_why_it_ended(self, members: dict[str, object], reason: StopReason) -> None:
        assert Stop(reason=reason) == read(**members).stop

    @pytest.mark.parametrize("status", ["failed", "cancelled", "queued", "in_progress"])
    def test_an_answer_that_failed_is_none(self, status: str) -> None:
        with pytest.raises(UnfinishedAnswer, match=r"boom|the answer is"):
            read(status=status, error={"code": "server_error", "message": "boom"})

    def test_why_it_failed_may_be_unsaid(self) -> None:
        with pytest.raises(UnfinishedAnswer, match="the answer is failed"):
            read(status="failed")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            b'{"error":{"message":"x"}}',
            b'{"id":"\xff","output":[]}',
            b'{"output":[{"type":"message"}]}',
            b'{"output":[5]}',
        ],
    )
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            CODEC.answer_from_wire(body, "openai")

    @pytest.mark.parametrize(
        ("item", "blocks"),
        [
            ({"type": "message", "role": "assistant", "content": "x"}, [Text(text="x")]),
            (
                {"type": "reasoning", "summary": [], "encrypted_content": "g"},
                [Thinking(state=State(provider="openai", data="g"))],
            ),
            (
                {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
                [Thinking(text="hm")],
            ),
            ({**CALL, "arguments": ""}, [ToolCall(id="call_1", name="f", arguments="{}")]),
            (
                {"type": "image_generation_call", "id": "ig_1"},
                [
                    Opaque(
                        dialect=Dialect.OPENAI_RESPONSES,
                        kind="image_generation_call",
                        raw=Raw(b'{"type": "image_generation_call", "id": "ig_1"}'),
                    )
                ],
            ),
            ({"type": "function_call_output", "call_id": "c", "output": ""}, []),
        ],
    )
    def test_an_item_is_blocks(self, item: dict[str, object], blocks: list[Block]) -> None:
        assert blocks == read(output=[item]).blocks

    def test_usage_is_in_exclusive_kinds(self) -> None:
        usage = {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 20},
        }

        expected = Usage(input=30, cache_read=60, cache_write_5m=10, output=30, reasoning=20)
        assert expected == read(usage=usage).usage
        assert read(usage=None).usage is None


class TestWriting:
    def test_the_object_names_who_answered(self) -> None:
        body = written(Text(text="hi"), usage=None)

        assert {
            "id": "resp_018f",
            "object": "response",
            "created_at": 1_763_000_000,
            "status": "completed",
            "model": "claude-x",
            "provider": "anthropic",
            "error": None,
            "incomplete_details": None,
            "usage": None,
        }.items() <= body.items()
        assert body["output"] == [
            {
                "type": "message",
                "id": "msg_018f00",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}
                ],
            }
        ]

    def test_its_own_id_is_kept(self) -> None:
        assert written(id="resp_abc")["id"] == "resp_abc"

    @pytest.mark.parametrize(
        ("reason", "blocks", "status", "details"),
        [
            ("end", [], "completed", None),
            ("tool_use", [], "completed", None),
            ("stop_sequence", [], "completed", None),
            ("pause", [], "completed", None),
            ("max_tokens", [], "incomplete", {"reason": "max_output_tokens"}),
            ("context_full", [], "incomplete", {"reason": "max_output_tokens"}),
            ("refusal", [], "incomplete", {"reason": "content_filter"}),
            ("refusal", [Refusal(text="no")], "completed", None),
        ],
    )
    def test_why_it_ended(
        self, reason: StopReason, blocks: list[Block], status: str, details: object
    ) -> None:
        body = written(*blocks, reason=reason)

        assert (status, details) == (body["status"], body["incomplete_details"])

    def test_usage_is_in_totals(self) -> None:
        usage = Usage(
            input=1, cache_read=2, cache_write_5m=4, cache_write_1h=8, output=16, reasoning=32
        )

        assert written(usage=usage)["usage"] == {
            "input_tokens": 15,
            "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 12},
            "output_tokens": 48,
            "output_tokens_details": {"reasoning_tokens": 32},
            "total_tokens": 63,
        }

    def test_texts_in_a_row_are_one_message(self) -> None:
        body = written(Text(text="a"), Refusal(text="b"), Thinking(text="c"), Text(text="d"))

        assert [item["type"] for item in body["output"]] == ["message", "reasoning", "message"]
        assert [part["type"] for part in body["output"][0]["content"]] == ["output_text", "refusal"]

    @pytest.mark.parametrize(
        ("block", "items"),
        [
            (
                ToolCall(id="call_1", name="f", arguments=""),
                [
                    {
                        "type": "function_call",
                        "id": "fc_018f00",
                        "status": "completed",
                        "call_id": "call_1",
                        "name": "f",
                        "arguments": "{}",
                    }
                ],
            ),
            (
                ToolCall(id="call_1", name="short", arguments='{"a":1}'),
                [
                    {
                        "type": "function_call",
                        "id": "fc_018f00",
                        "status": "completed",
                        "call_id": "call_1",
                        "namespace": "ns",
                        "name": "own",
                        "arguments": '{"a":1}',
                    }
                ],
            ),
            (
                ToolCall(id="call_1", name="patch", arguments='{"input":"*** Begin"}'),
                [
                    {
                        "type": "custom_tool_call",
                        "id": "ctc_018f00",
                        "status": "completed",
                        "call_id": "call_1",
                        "name": "patch",
                        "input": "*** Begin",
                    }
                ],
            ),
            (
                ToolCall(id="call_1", name="patch", arguments="*** Begin"),
                [
                    {
                        "type": "custom_tool_call",
                        "id": "ctc_018f00",
                        "status": "completed",
                        "call_id": "call_1",
                        "name": "patch",
                        "input": "*** Begin",
                    }
                ],
            ),
            (
                Thinking(text="hm", state=State(provider="anthropic", data="sig")),
                [
                    {
                        "type": "reasoning",
                        "id": "rs_018f00",
                        "summary": [{"type": "summary_text", "text": "hm"}],
                        "encrypted_content": "aib1.anthropic.c2ln",
                    }
                ],
            ),
            (
                Thinking(state=State(provider="anthropic", data="sig"), redacted=True),
                [
                    {
                        "type": "reasoning",
                        "id": "rs_018f00",
                        "summary": [],
                        "encrypted_content": "aib1.anthropic.c2ln.redacted",
                    }
                ],
            ),
            (
                Opaque(dialect=Dialect.OPENAI_RESPONSES, kind="x", raw=Raw(b'{"type":"x","a":1}')),
                [{"type": "x", "a": 1}],
            ),
            (Opaque(dialect=Dialect.ANTHROPIC_MESSAGES, kind="x", raw=Raw(b"{}")), []),
            (Image(source=Url(url="https://a")), []),
        ],
    )
    def test_a_block_is_an_item(self, block: Block, items: list[object]) -> None:
        assert items == written(block)["output"]

    def test_the_state_of_a_call_follows_it(self) -> None:
        state = State(provider="google", data="sig")
        body = written(ToolCall(id="call_1", name="f", arguments="{}", state=state))

        assert [item["type"] for item in body["output"]] == ["function_call", "reasoning"]
        assert body["output"][1]["encrypted_content"] == "aib1.google.c2ln.call"

    def test_a_foreign_call_gets_an_id_of_this_dialect(self) -> None:
        """The same one wherever it is written, so that the client's result finds it."""
        ids = {
            written(ToolCall(id="toolu_01A", name="f", arguments="{}"))["output"][0]["call_id"]
            for _ in range(2)
        }

        (call_id,) = ids
        assert call_id.startswith("call_")
        assert len(call_id) <= 64
