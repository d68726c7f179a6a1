"""Three spellings of one header, and everything else that comes in it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.failover.retry_after import LONGEST_S, retry_after_s

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def read(*headers: tuple[bytes, bytes]) -> float | None:
    return retry_after_s(headers, NOON)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b"7", 7.0),
        (b"1.5", 1.5),
        (b"999999", LONGEST_S),
        (b"Wed, 25 Nov 2026 12:00:09 GMT", 9.0),
        (b"Wednesday, 25-Nov-26 12:00:09 GMT", 9.0),
        (b"Wed Nov 25 12:00:09 2026", 9.0),
        (b"Wed, 25 Nov 2026 13:00:09 +0100", 9.0),
        (b"Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        (b"Wed, 25 Nov 2099 12:00:00 GMT", LONGEST_S),
    ],
)
def test_seconds_and_dates_are_understood(value: bytes, seconds: float) -> None:
    assert read((b"retry-after", value)) == seconds


def test_milliseconds_are_finer_and_win_wherever_they_stand() -> None:
    fine, coarse = (b"retry-after-ms", b"1250"), (b"retry-after", b"2")

    assert read(fine, coarse) == read(coarse, fine) == 1.25
    assert read((b"retry-after-ms", b"9e12")) == LONGEST_S


def test_milliseconds_that_are_none_leave_the_seconds() -> None:
    assert read((b"retry-after-ms", b"soon"), (b"retry-after", b"2")) == 2.0


NONSENSE = [
    b"",
    b"soon",
    b"-1",
    b"nan",
    b"inf",
    b"-inf",
    b"1,5",
    b"Wed, 99 Nov 2026 12:00:00 GMT",
    b"Wed, 25 Nov 99999999999999999999 12:00:00 GMT",
    b"Wed, 25 Nov 2026 99999999999999999999:00:00 GMT",
    b"Wed, 25 Nov 2026 12:00:00 +99999999999999999999",
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"\xff\xfe",
    b"\x00",
]


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_says_nothing(value: bytes) -> None:
    assert read((b"retry-after", value)) in {None, 0.0}


def test_where_nothing_is_said_nothing_is_read() -> None:
    assert read() is None
    assert read((b"content-type", b"text/plain")) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"retry-after", b"retry-after-ms"]),
            st.binary(max_size=40)
            | st.text("0123456789 ,:+-.eGMTWdNov", max_size=40).map(str.encode)
            | st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()),
        ),
        max_size=3,
    )
)
def test_anything_gives_a_bounded_wait_or_none(headers: list[tuple[bytes, bytes]]) -> None:
    seconds = read(*headers)

    assert seconds is None or 0 <= seconds <= LONGEST_S
