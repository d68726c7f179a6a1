"""Damage at the end of a segment costs what it hit, and never makes a record of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.spool.segment import (
    RECORD_BYTES_MAX,
    Position,
    SegmentName,
    frame,
    scan,
)

records = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def read(data: bytes) -> list[bytes]:
    return [record for _, record in scan(data)[0]]


@given(records)
def test_what_was_framed_is_read(framed: list[bytes]) -> None:
    data = b"".join(map(frame, framed))
    frames, end = scan(data)

    assert [record for _, record in frames] == framed
    assert end == len(data)
    assert all(scan(data, at)[0] == frames[number + 1 :] for number, (at, _) in enumerate(frames))


@given(records, st.data())
def test_any_cut_leaves_a_prefix(framed: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, framed))
    kept = whole[: data.draw(st.integers(0, len(whole)))]

    found, end = scan(kept)

    assert [record for _, record in found] == framed[: len(found)]
    assert end <= len(kept) < end + 8 + 41


@given(records.filter(bool), st.data())
def test_any_flipped_bit_leaves_a_prefix(framed: list[bytes], data: st.DataObject) -> None:
    """Nothing from the damaged record on is believed; all before it is."""
    whole = bytearray(b"".join(map(frame, framed)))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    ends = [sum(8 + len(record) for record in framed[: n + 1]) for n in range(len(framed))]
    sound = sum(end <= bit // 8 for end in ends)

    assert read(bytes(whole)) == framed[:sound]


@given(records, st.binary(max_size=100))
def test_garbage_after_the_end_is_no_record(framed: list[bytes], garbage: bytes) -> None:
    whole = b"".join(map(frame, framed))

    assert read(whole + garbage)[: len(framed)] == framed
    assert read(whole + b"\0" * 4096) == framed


@pytest.mark.parametrize("length", [0, RECORD_BYTES_MAX + 1, 2**32 - 1])
def test_a_length_that_cannot_be_ends_the_segment(length: int) -> None:
    assert read(frame(b"x") + length.to_bytes(4, "little") + b"\0" * 64) == [b"x"]


def test_names_sort_by_age_and_say_whose_they_are() -> None:
    names = [SegmentName(9, 10), SegmentName(10, 2), SegmentName(10, 11)]

    assert sorted(name.file_name for name in reversed(names)) == [n.file_name for n in names]
    assert [SegmentName.parse(name.file_name) for name in names] == names
    assert SegmentName.parse("lock") is None
    assert Position(names[0], 99) < Position(names[1], 0) < Position(names[1], 1)
