"""A Messages stream says its input at the start and its output near the end."""

import msgspec
import pytest

from aibridge_common.usage import Usage
from aibridge_router.dialects.anthropic_messages.passing import MessagesTap, answer_usage


def event(kind: str, **more: object) -> bytes:
    data = msgspec.json.encode({"type": kind, **more})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def start(**usage: object) -> bytes:
    return event("message_start", message={"id": "msg", "usage": usage})


def delta(**usage: object) -> bytes:
    return event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)


class TestAnswer:
    def test_an_answer_may_say_none(self) -> None:
        assert answer_usage(b'{"type":"message"}') is None

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
    def test_what_is_no_answer_is_refused(self, body: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            answer_usage(body)


class TestUsage:
    def test_the_start_is_partial(self) -> None:
        tap = MessagesTap()
        tap.feed(start(input_tokens=9, output_tokens=1))

        assert (tap.usage, tap.usage_is_final) == (Usage(input=9, output=1), False)

    def test_the_delta_keeps_what_it_leaves_out(self) -> None:
        tap = MessagesTap()
        tap.feed(start(input_tokens=9, cache_read_input_tokens=4, output_tokens=1))
        tap.feed(delta(output_tokens=20))

        assert (tap.usage, tap.usage_is_final) == (
            Usage(input=9, cache_read=4, output=20),
            True,
        )

    def test_the_delta_may_correct_the_input_even_to_zero(self) -> None:
        tap = MessagesTap()
        tap.feed(start(input_tokens=9, cache_read_input_tokens=4, output_tokens=1))
        tap.feed(delta(input_tokens=11, cache_read_input_tokens=0, output_tokens=20))

        assert tap.usage == Usage(input=11, output=20)

    def test_two_deltas_are_not_added_up(self) -> None:
        tap = MessagesTap()
        tap.feed(start(input_tokens=9, output_tokens=1) + delta(output_tokens=5))
        tap.feed(delta(output_tokens=8))

        assert tap.usage == Usage(input=9, output=8)

    def test_a_stream_that_never_says_has_none(self) -> None:
        tap = MessagesTap()
        tap.feed(event("message_start", message={"id": "msg"}) + event("message_stop"))

        assert (tap.usage, tap.terminal) == (None, True)


class TestEnd:
    def test_a_tools_input_is_not_an_event(self) -> None:
        tap = MessagesTap()
        tap.feed(
            event(
                "content_block_start",
                index=0,
                content_block={"type": "tool_use", "input": {"type": "message_stop"}},
            )
        )

        assert not tap.terminal

    @pytest.mark.parametrize("line", [b"event: error", b"event:error"])
    def test_an_error_event_fails_it(self, line: bytes) -> None:
        tap = MessagesTap()
        tap.feed(line + b'\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n')

        assert (tap.failed, tap.terminal) == (True, False)
