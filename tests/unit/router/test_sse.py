"""Frames come out whole and in order, wherever the stream was cut."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge_router.sse import FRAME_BYTES_MAX, FrameSplitter, FrameTooLong, payloads

from .dialects.samples import cut, names, places, sample, with_line_ends

LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n"}


def fed(pieces: Any) -> list[bytes]:
    splitter = FrameSplitter()
    return [splitter.feed(piece) for piece in pieces]


class TestFrameSplitter:
    @pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS)
    @pytest.mark.parametrize("name", names())
    @settings(max_examples=25)
    @given(at=places())
    def test_any_cut_gives_the_same_bytes(self, name: str, line_end: bytes, at: list[int]) -> None:
        stream = with_line_ends(sample(name), line_end)

        assert stream == b"".join(fed(cut(stream, at)))

    @pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS)
    @pytest.mark.parametrize("name", names())
    def test_each_single_cut_ends_between_frames(self, name: str, line_end: bytes) -> None:
        """What comes out first is whole frames: as many as were complete at the cut."""
        stream = with_line_ends(sample(name), line_end)
        blank_line = line_end * 2
        for at in range(len(stream) + 1):
            first, rest = fed([stream[:at], stream[at:]])

            assert stream == first + rest
            assert stream[:at].rpartition(blank_line)[0] + blank_line == first or first == b""
            assert stream[:at].count(blank_line) == first.count(blank_line)

    @given(
        stream=st.lists(
            st.sampled_from([b"\n", b"\r\n", b"data: x", b"data:", b": c", b"event: e", b"y"])
        ).map(b"".join),
        at=places(),
    )
    def test_any_cut_of_anything_gives_the_same_payloads(
        self, stream: bytes, at: list[int]
    ) -> None:
        whole = list(payloads(b"".join(fed([stream]))))
        pieces = [payload for frames in fed(cut(stream, at)) for payload in payloads(frames)]

        assert whole == pieces

    def test_a_started_frame_is_held_back(self) -> None:
        splitter = FrameSplitter()

        assert splitter.feed(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
        assert splitter.held == b"data: 2\n"
        assert splitter.feed(b"\n") == b"data: 2\n\n"
        assert splitter.held == b""

    def test_line_ends_may_differ_between_frames(self) -> None:
        stream = b"data: 1\n\ndata: 2\r\n\r\ndata: 3\n\n"

        assert [stream] == fed([stream])

    def test_held_bytes_are_bounded(self) -> None:
        splitter = FrameSplitter()
        splitter.feed(b"data: 1\n\n" + b"x" * FRAME_BYTES_MAX)

        with pytest.raises(FrameTooLong):
            splitter.feed(b"x")

    def test_a_long_read_of_whole_frames_is_fine(self) -> None:
        stream = (b"data: " + b"x" * 1000 + b"\n\n") * 2000

        assert [stream] == fed([stream])


class TestPayloads:
    def test_one_a_frame_without_the_other_fields(self) -> None:
        frames = b'event: a\ndata: {"n":1}\nid: 7\n\n: comment\n\ndata: {"n":2}\n\n'

        assert list(payloads(frames)) == [b'{"n":1}', b'{"n":2}']

    def test_the_space_after_the_colon_may_be_missing(self) -> None:
        assert list(payloads(b"data:1\n\ndata:  2\n\n")) == [b"1", b" 2"]

    def test_many_data_lines_are_joined(self) -> None:
        assert list(payloads(b"data: {\r\ndata: }\r\n\r\n")) == [b"{\n}"]

    def test_an_empty_data_line_is_an_empty_payload(self) -> None:
        assert list(payloads(b"data:\n\n")) == [b""]

    def test_nothing_in_nothing(self) -> None:
        assert list(payloads(b"")) == []
        assert list(payloads(b": ping\n\n")) == []

    @pytest.mark.parametrize("name", names())
    def test_every_sample_carries_json(self, name: str) -> None:
        for payload in payloads(sample(name)):
            assert payload == b"[DONE]" or isinstance(json.loads(payload), dict)
