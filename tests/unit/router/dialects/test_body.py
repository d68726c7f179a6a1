"""What is measured on a body before it is converted."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.dialects.body import nested_too_deep

JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\ a:,model'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[]{}"\\a'), inner, max_size=3)
    ),
    max_leaves=20,
)


def depth(value: Any) -> int:
    match value:
        case list():
            return 1 + max((depth(item) for item in value), default=0)
        case dict():
            return 1 + max((depth(item) for item in value.values()), default=0)
        case _:
            return 0


class TestDepth:
    @given(value=JSON, limit=st.integers(min_value=0, max_value=8))
    def test_it_is_what_a_decoder_meets(self, value: Any, limit: int) -> None:
        body = json.dumps(value).encode()

        assert nested_too_deep(body, limit) == (depth(value) > limit)

    @pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
    def test_64_levels_are_served_and_65_are_not(self, opening: bytes, closing: bytes) -> None:
        assert not nested_too_deep(opening * 64 + b"1" + closing * 64)
        assert nested_too_deep(opening * 65 + b"1" + closing * 65)

    def test_mixed_levels_count_each(self) -> None:
        assert not nested_too_deep(b'{"a":[' * 32 + b"]}" * 32)
        assert nested_too_deep(b'[{"a":[' + b'{"a":[' * 31 + b"]}" * 31 + b"]}]")

    def test_many_neighbours_are_not_depth(self) -> None:
        assert not nested_too_deep(b"[" + b'{"a":[]},' * 10_000 + b"{}]")

    @pytest.mark.parametrize(
        "text", [b"[" * 500, b'\\"' + b"[" * 500, b"\\\\\\" + b'"' + b"{" * 500, b'\\\\\\"[' * 100]
    )
    def test_brackets_inside_strings_are_text(self, text: bytes) -> None:
        assert not nested_too_deep(b'{"a":"' + text + b'","b":[[1]]}')

    def test_a_string_that_ends_with_a_backslash_ends(self) -> None:
        assert nested_too_deep(b'["\\\\",' + b"[" * 64 + b"]" * 64 + b"]")

    @pytest.mark.parametrize("unit", [b"[", b"{", b'{"a":', b'["x",'])
    def test_brackets_that_never_close_are_refused_fast(self, unit: bytes) -> None:
        body = unit * 200_000
        began = time.process_time()

        assert nested_too_deep(body)
        assert time.process_time() - began < 0.1

    def test_one_read_decides_about_a_body_of_brackets_only(self) -> None:
        """Peeling one level after the other took 11 s for 32 MiB."""
        body = (b"[" * 64 + b"]" * 64) * 2**15
        began = time.process_time()

        assert not nested_too_deep(body)
        assert time.process_time() - began < 1

    @pytest.mark.parametrize("junk", [b"", b"]" * 100, b'"' * 100, b"}{" * 100, b"\\" * 100])
    def test_what_is_no_json_is_left_to_the_decoder(self, junk: bytes) -> None:
        assert not nested_too_deep(junk)
