"""What every dialect's tap promises, on every sample."""

import re

import msgspec
import pytest
from hypothesis import given, settings

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.dialects.anthropic_messages.passing import MessagesTap
from aibridge_router.dialects.gemini_generate.passing import GeminiTap
from aibridge_router.dialects.openai_chat.passing import ChatTap
from aibridge_router.dialects.openai_responses.passing import ResponsesTap
from aibridge_router.dialects.tap import StreamTap

from .samples import cut, names, places, sample, with_line_ends

ENDS = {
    # usage, final, terminal, failed
    "openai_chat/text": (
        Usage(input=56, cache_read=64, output=24, reasoning=10),
        (True, True, False),
    ),
    "openai_chat/tool_calls": (Usage(input=88, output=21), (True, True, False)),
    "openai_chat/traps": (Usage(input=40, output=50), (True, True, False)),
    "openai_chat/spaced": (Usage(input=9, output=3), (True, True, False)),
    "openai_chat/error": (None, (False, False, True)),
    "openai_responses/text": (
        Usage(input=43, cache_read=32, output=15, reasoning=25),
        (True, True, False),
    ),
    "openai_responses/incomplete": (Usage(input=50, output=16), (True, True, False)),
    "openai_responses/traps": (Usage(input=300, output=60), (True, True, False)),
    "openai_responses/failed": (None, (False, True, True)),
    "openai_responses/error": (None, (False, False, True)),
    "anthropic_messages/text": (
        Usage(input=25, cache_read=2000, cache_write_5m=60, cache_write_1h=40, output=15),
        (True, True, False),
    ),
    "anthropic_messages/thinking_and_tool": (
        Usage(input=410, output=40, reasoning=30),
        (True, True, False),
    ),
    "anthropic_messages/traps": (Usage(input=10, output=44), (True, True, False)),
    "anthropic_messages/error": (Usage(input=30, output=1), (False, False, True)),
    "anthropic_messages/error_at_once": (Usage(input=30, output=1), (False, False, True)),
    "gemini_generate/text": (
        Usage(input=25, cache_read=40, output=7, reasoning=20),
        (True, True, False),
    ),
    "gemini_generate/traps": (Usage(input=20, output=21), (True, True, False)),
    "gemini_generate/blocked": (Usage(input=11), (True, True, False)),
    "gemini_generate/error": (Usage(input=20, output=2), (False, False, True)),
    "gemini_generate/silent_end": (Usage(input=8, output=1), (True, True, False)),
}
END_MARK = {
    "openai_chat": rb"data: \[DONE\]",
    "openai_responses": rb"event: response\.(completed|incomplete|failed)",
    "anthropic_messages": rb"event: message_stop",
    "gemini_generate": rb'data: [^\r\n]*"(finishReason": "STOP", "index|index": 0, "finishReason|promptFeedback)',
}


def tap_for(name: str, provider: str | None = None, *, hide: bool = False) -> StreamTap:
    """The tap of a sample or of a dialect."""
    match name.partition("/")[0]:
        case "openai_chat":
            return ChatTap(provider=provider, hide_usage=hide)
        case "openai_responses":
            return ResponsesTap()
        case "anthropic_messages":
            return MessagesTap()
        case _:
            return GeminiTap()


def state(tap: StreamTap) -> tuple[Usage | None, tuple[bool, bool, bool]]:
    return tap.usage, (tap.usage_is_final, tap.terminal, tap.failed)


def test_every_sample_has_its_end_here() -> None:
    assert names() == sorted(ENDS)


class TestEverySample:
    @pytest.mark.parametrize("name", ENDS)
    def test_its_end_is_read(self, name: str) -> None:
        tap = tap_for(name)

        assert tap.feed(sample(name)) == sample(name)
        assert state(tap) == ENDS[name]

    @pytest.mark.parametrize("name", ENDS)
    def test_the_other_line_ends_change_nothing(self, name: str) -> None:
        stream = sample(name)
        line_end = b"\n" if b"\r\n" in stream else b"\r\n"
        stream = with_line_ends(stream, line_end)
        tap = tap_for(name)

        assert tap.feed(stream) == stream
        assert state(tap) == ENDS[name]

    @pytest.mark.parametrize("name", ENDS)
    @settings(max_examples=15, deadline=None)
    @given(at=places())
    def test_any_cut_gives_the_same_answer(self, name: str, at: list[int]) -> None:
        tap = tap_for(name, "vendor", hide=True)
        whole = tap_for(name, "vendor", hide=True).feed(sample(name))
        pieces = b"".join(tap.feed(piece) for piece in cut(sample(name), at))

        assert pieces == whole
        assert state(tap) == ENDS[name]

    @pytest.mark.parametrize("name", ENDS)
    def test_single_bytes_give_the_same_answer(self, name: str) -> None:
        tap = tap_for(name, "vendor", hide=True)
        whole = tap_for(name, "vendor", hide=True).feed(sample(name))
        single = b"".join(tap.feed(bytes([byte])) for byte in sample(name))

        assert single == whole
        assert state(tap) == ENDS[name]

    @pytest.mark.parametrize("name", [n for n, (_, (_, terminal, _)) in ENDS.items() if terminal])
    def test_it_is_not_over_before_its_end(self, name: str) -> None:
        """Whatever the text says: only the vendor's own last word ends the stream."""
        frames = re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", sample(name))
        mark = END_MARK[name.partition("/")[0]]
        last = next(i for i, frame in enumerate(frames) if re.match(mark, frame))
        tap = tap_for(name)
        tap.feed(b"".join(frames[:last]))

        assert (tap.terminal, tap.failed) == (False, False)

        tap.feed(frames[last])

        assert tap.terminal

    @pytest.mark.parametrize("name", [n for n, (_, (_, _, failed)) in ENDS.items() if failed])
    def test_an_error_is_not_seen_before_it_came(self, name: str) -> None:
        frames = re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", sample(name))[:-1]
        tap = tap_for(name)
        tap.feed(b"".join(frames[:-1]))

        assert not tap.failed

        tap.feed(frames[-1])

        assert tap.failed


class TestEstimate:
    @pytest.mark.parametrize("name", ENDS)
    def test_nothing_passed_is_nothing(self, name: str) -> None:
        assert tap_for(name).output_estimate == 0

    @pytest.mark.parametrize(
        "name",
        [n for n in ENDS if n.endswith(("/text", "/traps", "/spaced", "/thinking_and_tool"))],
    )
    def test_it_counts_every_piece_and_stays_in_bounds(self, name: str) -> None:
        stream = sample(name)
        tap = tap_for(name)
        for frame in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", stream):
            tap.feed(frame)

        assert 3 <= tap.output_estimate <= len(stream) // 4

    def test_long_pieces_are_counted_by_their_bytes(self) -> None:
        tap = tap_for("openai_chat")
        head = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
        piece = b'data: {"choices":[{"delta":{"role":"assistant","content":"%s"}}]}\n\n'
        tap.feed(head)
        for _ in range(10):
            tap.feed(piece % (b"word" * 100))

        assert 1000 <= tap.output_estimate <= 1020

    def test_an_error_or_a_refusal_before_content_is_nothing(self) -> None:
        for name in ("anthropic_messages/error_at_once", "openai_responses/failed"):
            tap = tap_for(name)
            tap.feed(sample(name))

            assert tap.output_estimate == 0

    def test_an_end_that_came_with_the_last_piece_is_not_weighed(self) -> None:
        """The last event of Responses holds the whole answer and the request's tools; it is not an answer by itself."""
        tap = tap_for("openai_responses")
        piece = (
            b'data: {"type":"response.output_text.delta","sequence_number":1,"delta":"word"}\n\n'
        )
        end = b'data: {"type":"response.failed","response":{"error":{"code":"x"},"tools":[%s]}}\n\n'
        for _ in range(4):
            tap.feed(piece)
        tap.feed(piece + end % (b'"' + b"t" * 4000 + b'"'))

        assert tap.output_estimate == 5


class TestCommit:
    @pytest.mark.parametrize(
        "name", ["anthropic_messages/error_at_once", "openai_responses/failed"]
    )
    def test_a_failure_before_content_leaves_the_answer_to_another(self, name: str) -> None:
        tap = tap_for(name)
        tap.feed(sample(name))

        assert (tap.failed, tap.committed) == (True, False)


class TestStart:
    @pytest.mark.parametrize("dialect", list(Dialect))
    def test_comments_do_not_start_an_answer(self, dialect: Dialect) -> None:
        tap = tap_for(dialect)

        assert tap.feed(b": hello\n\n") == b": hello\n\n"
        assert not tap.started

    @pytest.mark.parametrize("dialect", list(Dialect))
    @pytest.mark.parametrize("junk", [b"data: <html>\n\n", b"data: {\n\n", b"data: [1]\n\n"])
    def test_a_first_frame_that_is_no_json_object_is_refused(
        self, dialect: Dialect, junk: bytes
    ) -> None:
        with pytest.raises(msgspec.DecodeError):
            tap_for(dialect).feed(junk)

    @pytest.mark.parametrize("dialect", list(Dialect))
    def test_half_a_frame_is_not_passed_on(self, dialect: Dialect) -> None:
        tap = tap_for(dialect)

        assert tap.feed(b'data: {"type":"x"}\n') == b""
        assert not tap.started
