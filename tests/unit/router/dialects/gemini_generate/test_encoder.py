"""Answers of any vendor as a Gemini client sees them."""

import json
from typing import Any

import msgspec
import pytest

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import (
    Block,
    Image,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
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
from aibridge_router.canonical.response import Answer, Stop, StopReason, UnfinishedAnswer
from aibridge_router.dialects.gemini_generate import encoder as encoding
from aibridge_router.dialects.gemini_generate.codec import CODEC
from aibridge_router.dialects.gemini_generate.signature import packed_signature
from aibridge_router.sse import FrameTooLong
from tests.unit.router.dialects.gemini_generate import grammar
from tests.unit.router.dialects.gemini_generate.strategies import CONTEXT

FOREIGN = State(provider="anthropic", data="EpM=")
RESPONSE_ID = "fOqXVBWePLVBs0GBpc9hUM"


def streamed(*events: Event, context: AnswerContext = CONTEXT) -> bytes:
    encoder = CODEC.encoder(context)
    return b"".join(map(encoder.feed, [Started(id="msg_01", model="claude"), *events]))


def parts(*events: Event) -> list[dict[str, Any]]:
    """All parts but the empty one that carries the reason."""
    return grammar.check(streamed(*events, Stopped(stop=Stop(reason="end")), Ended()))[:-1]


def begin(index: int, block: StreamedBlock) -> Event:
    return BlockStarted(index=index, block=block)


def more(index: int, text: str) -> Event:
    return TextDelta(index=index, text=text)


def stop(index: int) -> Event:
    return BlockStopped(index=index)


CALL = ToolCall(id="toolu_1", name="f", arguments="")


class TestStream:
    def test_frames(self) -> None:
        """The provider is named once; the last chunk has the reason and the usage."""
        usage = Usage(input=1, cache_read=2, cache_write_5m=3, output=4, reasoning=5)
        stream = streamed(
            begin(0, Text(text="")),
            more(0, "Hé"),
            stop(0),
            Stopped(stop=Stop(reason="max_tokens")),
            UsageSeen(usage=usage),
            Ended(),
        )
        first, last = grammar.frames(stream)
        names = {"modelVersion": "claude-x", "responseId": first["responseId"]}

        assert first == {
            "provider": "anthropic",
            "candidates": [{"content": {"parts": [{"text": "Hé"}], "role": "model"}, "index": 0}],
            **names,
        }
        assert last == {
            "candidates": [
                {
                    "content": {"parts": [{"text": ""}], "role": "model"},
                    "index": 0,
                    "finishReason": "MAX_TOKENS",
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 6,
                "candidatesTokenCount": 4,
                "totalTokenCount": 15,
                "cachedContentTokenCount": 2,
                "thoughtsTokenCount": 5,
            },
            **names,
        }

    def test_nothing_said_is_one_chunk(self) -> None:
        assert parts() == []

    def test_a_call_is_one_part(self) -> None:
        deltas = [ArgumentsDelta(index=0, text=text) for text in ('{"a":\n', " 1.10}")]

        assert parts(begin(0, CALL), *deltas, stop(0)) == [
            {"functionCall": {"name": "f", "args": {"a": 1.10}, "id": "toolu_1"}}
        ]

    def test_no_arguments_are_an_empty_object(self) -> None:
        (part,) = parts(begin(0, CALL), stop(0))

        assert part["functionCall"]["args"] == {}

    def test_free_text_is_one_argument(self) -> None:
        patch = ToolCall(id="c", name="p", arguments="", custom=True)
        (part,) = parts(begin(0, patch), ArgumentsDelta(index=0, text="***"), stop(0))

        assert part["functionCall"]["args"] == {"input": "***"}

    def test_a_shortened_name_is_the_clients_again(self) -> None:
        context = msgspec.structs.replace(CONTEXT, tool_names={"f": "f.long"})
        stream = streamed(begin(0, CALL), stop(0), Ended(), context=context)

        assert grammar.check(stream)[0]["functionCall"]["name"] == "f.long"

    def test_blocks_that_interleave_come_one_after_the_other(self) -> None:
        found = parts(
            begin(0, Thinking()),
            begin(1, Text(text="")),
            begin(2, CALL),
            begin(3, Text(text="")),
            more(1, "b"),
            more(0, "a"),
            ArgumentsDelta(index=2, text="{}"),
            more(3, "d"),
            stop(2),
            more(1, "c"),
            stop(1),
            stop(0),
            stop(3),
        )

        assert [(part.get("text"), "functionCall" in part) for part in found] == [
            ("a", False),
            ("bc", False),
            (None, True),
            ("d", False),
        ]

    def test_state_is_packed_behind_its_thoughts(self) -> None:
        found = parts(
            begin(0, Thinking()), more(0, "t"), StateSeen(index=0, state=FOREIGN), stop(0)
        )

        assert found == [
            {"thought": True, "text": "t"},
            {"thought": True, "text": "", "thoughtSignature": packed_signature(FOREIGN)},
        ]

    def test_state_of_a_call_is_its_signature(self) -> None:
        signed = msgspec.structs.replace(CALL, state=FOREIGN)

        assert parts(begin(0, signed), stop(0))[0]["thoughtSignature"] == packed_signature(FOREIGN)

    def test_a_redacted_thought_is_not_shown(self) -> None:
        """Its state would come back as a signature, which the vendor refuses."""
        assert parts(begin(0, Thinking(redacted=True, state=FOREIGN)), stop(0)) == []

    def test_a_block_may_start_with_text(self) -> None:
        assert parts(begin(0, Refusal(text="No")), stop(0)) == [{"text": "No"}]

    def test_blocks_left_open_are_written_at_the_end(self) -> None:
        assert len(parts(begin(0, Text(text="")), begin(1, CALL))) == 1

    def test_what_no_block_began_is_nothing(self) -> None:
        strays = [more(5, "x"), ArgumentsDelta(index=5, text="x"), stop(5)]

        assert parts(*strays, StateSeen(index=5, state=FOREIGN)) == []

    @pytest.mark.parametrize("closing", [[BlockStopped(index=0)], [Ended()]])
    def test_arguments_that_are_none_are_an_error(self, closing: list[Event]) -> None:
        stream = streamed(begin(0, CALL), ArgumentsDelta(index=0, text='{"a'), *closing, Ended())

        grammar.check(stream, failed=True)
        assert grammar.frames(stream)[-1]["error"]["status"] == "INTERNAL"

    def test_too_much_held_back_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(encoding, "HELD_CHARACTERS_MAX", 4)
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(begin(0, CALL))
        encoder.feed(ArgumentsDelta(index=0, text="1234"))
        with pytest.raises(FrameTooLong):
            encoder.feed(ArgumentsDelta(index=0, text="5"))

    def test_what_was_written_no_longer_counts_as_held(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(encoding, "HELD_CHARACTERS_MAX", 4)
        calls = [
            event
            for index in range(5)
            for event in (begin(index, CALL), ArgumentsDelta(index=index, text="{  }"), stop(index))
        ]

        assert len(parts(*calls)) == 5

    @pytest.mark.parametrize(
        ("kind", "code", "status"),
        [
            ("rate_limited", 429, "RESOURCE_EXHAUSTED"),
            ("unavailable", 503, "UNAVAILABLE"),
            ("upstream_timeout", 504, "DEADLINE_EXCEEDED"),
            ("upstream_failed", 500, "INTERNAL"),
            ("UNAVAILABLE", 503, "UNAVAILABLE"),
            ("whatever", 500, "INTERNAL"),
        ],
    )
    def test_failures(self, kind: str, code: int, status: str) -> None:
        stream = streamed(Failed(kind=kind, message="gone"), Ended())

        assert grammar.frames(stream) == [
            {"error": {"code": code, "message": "gone", "status": status}}
        ]


class TestIds:
    def test_one_of_googles_form_stays(self) -> None:
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(Started(id=RESPONSE_ID, model="x"))

        assert RESPONSE_ID.encode() in encoder.feed(Ended())

    @pytest.mark.parametrize("identifier", ["", "msg_0123456789abcdef0123", "chatcmpl-1"])
    def test_any_other_is_made_from_the_request(self, identifier: str) -> None:
        encoder = CODEC.encoder(CONTEXT)
        encoder.feed(Started(id=identifier, model="x"))
        (made,) = grammar.frames(encoder.feed(Ended()))

        assert made["responseId"] == grammar.frames(streamed(Ended()))[0]["responseId"]
        assert len(made["responseId"]) == 22


class TestWhole:
    def written(self, *blocks: Block, reason: StopReason = "end") -> dict[str, Any]:
        answer = Answer(id="x", model="m", blocks=list(blocks), stop=Stop(reason=reason))
        return json.loads(CODEC.answer_to_wire(answer, CONTEXT))

    @pytest.mark.parametrize(
        ("reason", "finish"),
        [
            ("end", "STOP"),
            ("tool_use", "STOP"),
            ("stop_sequence", "STOP"),
            ("pause", "STOP"),
            ("max_tokens", "MAX_TOKENS"),
            ("context_full", "MAX_TOKENS"),
            ("refusal", "SAFETY"),
        ],
    )
    def test_reasons(self, reason: StopReason, finish: str) -> None:
        assert self.written(reason=reason)["candidates"][0]["finishReason"] == finish

    def test_members(self) -> None:
        body = self.written(Text(text="a"))

        assert (body["modelVersion"], body["provider"]) == ("claude-x", "anthropic")
        assert "usageMetadata" not in body

    def test_blocks(self) -> None:
        call = ToolCall(id="i", name="f", arguments='{"a": 1}')
        body = self.written(
            Thinking(redacted=True, state=FOREIGN),
            Thinking(text="t", state=FOREIGN),
            Thinking(),
            Text(text=""),
            Text(text="a"),
            Refusal(text="r"),
            Image(source=Url(url="https://x")),
            call,
        )

        assert body["candidates"][0]["content"]["parts"] == [
            {"text": "t", "thought": True, "thoughtSignature": packed_signature(FOREIGN)},
            {"text": "a"},
            {"text": "r"},
            {"functionCall": {"name": "f", "args": {"a": 1}, "id": "i"}},
        ]

    def test_nothing_said_is_an_empty_text(self) -> None:
        assert self.written()["candidates"][0]["content"]["parts"] == [{"text": ""}]

    @pytest.mark.parametrize("arguments", ["{", "[]", '"x"', '{"a":\x01}'])
    def test_arguments_that_are_none_are_a_failure(self, arguments: str) -> None:
        with pytest.raises(UnfinishedAnswer):
            self.written(ToolCall(id="i", name="f", arguments=arguments))
