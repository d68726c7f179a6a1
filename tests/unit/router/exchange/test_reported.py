"""A receipt shows the provider's own usage objects, as they came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.exchange.reported import Reported

from .scene import Scene, answering, sample, streaming

FIRST = b'{"input_tokens":25,"output_tokens":1}'
LAST = b'{"output_tokens": 15,"details":{"x":1}}'


def found(*reads: bytes) -> list[bytes]:
    reported = Reported()
    for read in reads:
        reported.see(read)
    return [bytes(each) for each in reported.objects()]


def test_the_first_and_the_last_are_kept() -> None:
    between = b'data: {"usage":{"output_tokens":7}}'

    assert found(b'{"usage":' + FIRST + b"}", between, b'{"usage": ' + LAST + b"}") == [FIRST, LAST]


def test_one_that_comes_alone_is_there_once() -> None:
    assert found(b'{"usageMetadata":' + FIRST + b"}") == [FIRST]


@pytest.mark.parametrize(
    "read", [b"", b'{"usage":null}', b'{"usage":{"a":', b'"usage" is a word', b'{"usage":{oops}}']
)
def test_what_is_no_whole_object_is_left_out(read: bytes) -> None:
    assert found(read) == []


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_taken(reads: list[bytes]) -> None:
    found(*reads)


@pytest.mark.anyio
class TestRecorded:
    async def test_a_stream_records_what_the_vendor_said(self, scene: Scene) -> None:
        stream = sample("anthropic_messages/text")
        scene.vendor.script = streaming(*[frame + b"\n\n" for frame in stream.split(b"\n\n")[:-1]])
        await scene.serve("anthropic_messages")
        first, last = scene.events[0].reported

        assert b'"input_tokens"' in bytes(first)
        assert bytes(first) in stream
        assert bytes(last) in stream
        assert stream.rindex(bytes(last)) > stream.index(bytes(first))

    async def test_every_attempt_is_named(self, scene: Scene) -> None:
        scene.vendor.script = answering(
            200, b'{"id":"x","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4}}'
        )
        await scene.serve("openai_chat", b'{"model":"gpt-a","max_tokens":90}')
        (event,) = scene.events
        (attempt,) = event.attempts

        assert (attempt.model, attempt.provider, attempt.ended) == ("gpt-a", "openai", "answered")
        assert [bytes(each) for each in event.reported] == [
            b'{"prompt_tokens":10,"completion_tokens":4}'
        ]
