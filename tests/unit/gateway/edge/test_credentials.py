"""One function finds the key, wherever a client puts it; nothing of it travels on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_gateway.edge.credentials import CREDENTIAL_HEADERS, find_key, without_key
from aibridge_gateway.edge.headers import inward

API_KEY = (b"x-api-key", b"ab-1")
BEARER = (b"authorization", b"Bearer ab-2")
GOOG = (b"x-goog-api-key", b"ab-3")
QUERY = b"alt=sse&key=ab-4"


class TestFindKey:
    @pytest.mark.parametrize(
        ("header", "key"), [(API_KEY, "ab-1"), (BEARER, "ab-2"), (GOOG, "ab-3")]
    )
    def test_each_header_is_a_way(self, header: tuple[bytes, bytes], key: str) -> None:
        assert find_key([(b"accept", b"*/*"), header], b"") == key

    def test_the_query_is_a_way(self) -> None:
        assert find_key([], QUERY) == "ab-4"
        assert find_key([], b"key=ab%2D4") == "ab-4"

    @pytest.mark.parametrize("value", [b"Bearer  ab-2 ", b"bearer ab-2", b"BEARER ab-2"])
    def test_a_bearer_may_be_written_in_any_case(self, value: bytes) -> None:
        assert find_key([(b"authorization", value)], b"") == "ab-2"

    @pytest.mark.parametrize(
        ("headers", "query", "key"),
        [
            ([GOOG, BEARER, API_KEY], QUERY, "ab-1"),
            ([API_KEY, BEARER], b"", "ab-1"),
            ([GOOG, BEARER], QUERY, "ab-2"),
            ([GOOG], QUERY, "ab-3"),
            ([(b"x-api-key", b""), BEARER], b"", "ab-2"),
            ([(b"x-api-key", b""), (b"authorization", b"Bearer ")], QUERY, "ab-4"),
            ([(b"authorization", b"Basic YTpi"), GOOG], b"", "ab-3"),
        ],
        ids=repr,
    )
    def test_the_first_way_that_says_something_wins(
        self, headers: list[tuple[bytes, bytes]], query: bytes, key: str
    ) -> None:
        assert find_key(headers, query) == key
        assert find_key(reversed(headers), query) == key

    @pytest.mark.parametrize(
        ("headers", "query"),
        [
            ([], b""),
            ([(b"authorization", b"Basic YTpi")], b""),
            ([(b"authorization", b"ab-2")], b""),
            ([(b"cookie", b"key=ab-1")], b""),
            ([], b"monkey=ab-4"),
            ([], b"key="),
            ([], b"x=key"),
        ],
        ids=repr,
    )
    def test_elsewhere_there_is_none(
        self, headers: list[tuple[bytes, bytes]], query: bytes
    ) -> None:
        assert find_key(headers, query) is None

    @given(value=st.binary(max_size=40), query=st.binary(max_size=40))
    def test_no_bytes_break_it(self, value: bytes, query: bytes) -> None:
        find_key([(b"x-api-key", value), (b"authorization", b"Bearer " + value)], query)
        find_key([], b"key=" + query)


class TestWithoutKey:
    @pytest.mark.parametrize(
        ("query", "left"),
        [
            (b"", b""),
            (b"alt=sse", b"alt=sse"),
            (b"key=ab-4", b""),
            (b"key=ab-4&alt=sse", b"alt=sse"),
            (b"alt=sse&key=ab-4", b"alt=sse"),
            (b"a=1&key=x&b=2&key=y", b"a=1&b=2"),
            (b"monkey=1&x=key=2", b"monkey=1&x=key=2"),
        ],
    )
    def test_the_key_is_taken_out_and_nothing_else(self, query: bytes, left: bytes) -> None:
        assert without_key(query) == left


def test_no_credential_header_travels_inward() -> None:
    assert inward([(name, b"ab-1") for name in CREDENTIAL_HEADERS]) == []
