"""Ids sort by the time they were made and read back as they were written."""

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.ids import parse_request_id, public_request_id, uuid7


class TestUuid7:
    def test_version_and_variant(self) -> None:
        made = [uuid7() for _ in range(100)]

        assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}

    def test_unique(self) -> None:
        assert len({uuid7() for _ in range(10_000)}) == 10_000

    def test_carries_the_time(self) -> None:
        """The first 48 bits are milliseconds since 1970."""
        before_ms = time.time_ns() // 1_000_000
        made_ms = uuid7().int >> 80
        after_ms = time.time_ns() // 1_000_000

        assert before_ms <= made_ms <= after_ms

    def test_order(self) -> None:
        """Ids of later milliseconds are greater, as numbers and as text."""
        made: list[UUID] = []
        for _ in range(5):
            made.append(uuid7())
            time.sleep(0.002)

        assert sorted(made) == made
        assert sorted(map(str, made)) == [str(each) for each in made]

    def test_every_other_bit_is_random(self) -> None:
        """All 74 bits beside time, version and variant take both values."""
        ones = zeros = 0
        for _ in range(200):
            value = uuid7().int & ((1 << 80) - 1)
            ones |= value
            zeros |= ~value
        fixed = (0xF << 76) | (0b11 << 62)

        assert (ones & zeros & ((1 << 80) - 1)) == ((1 << 80) - 1) & ~fixed


class TestRequestId:
    @given(st.uuids())
    def test_round_trip(self, request_id: UUID) -> None:
        assert parse_request_id(public_request_id(request_id)) == request_id

    def test_form(self) -> None:
        public = public_request_id(UUID(int=255))

        assert public == "req_000000000000000000000000000000ff"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "req_",
            "0" * 32,
            "req-" + "0" * 32,
            "req_" + "0" * 31,
            "req_" + "0" * 33,
            "req_" + "g" * 32,
            "req_" + "-" + "0" * 32,
            "req_" + "{" + "0" * 32 + "}",
            "req_urn:uuid:" + "0" * 32,
            "req_" + "0" * 15 + "_" + "0" * 16,
        ],
    )
    def test_anything_else(self, text: str) -> None:
        with pytest.raises(ValueError, match="request id"):
            parse_request_id(text)
