"""What is measured on a body before anything decodes it."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.dialects.body import nested_too_deep, repeats_top_level

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


def model_twice(body: bytes) -> bool:
    return repeats_top_level(body, b"model")


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


class TestRepeats:
    @given(value=st.dictionaries(st.text(alphabet='[]{}"\\model'), JSON, max_size=4))
    def test_an_encoder_never_repeats(self, value: dict[str, Any]) -> None:
        assert not model_twice(json.dumps(value).encode())

    @given(value=st.dictionaries(st.text(alphabet='[]{}"\\a'), JSON, min_size=1, max_size=4))
    def test_two_are_found_whatever_stands_between(self, value: dict[str, Any]) -> None:
        between = json.dumps(value).encode()[1:-1]

        assert model_twice(b'{"model":"a",' + between + b',"model":"b"}')

    def test_names_inside_tools_are_not_the_requests_own(self) -> None:
        tools = b'"tools":[{"model":{"model":1}},{"model":2}]'

        assert not model_twice(b"{" + tools + b',"model":"a","metadata":{"model":"b"}}')

    @pytest.mark.parametrize(
        "text",
        [
            b'\\"model\\":\\"b\\"',
            b'say \\"model',
            b"\\\\",
            b"\\\\\\\\",
            b'\\\\\\"model\\\\\\":',
            b"{{{[[[",
        ],
    )
    def test_names_inside_strings_are_text(self, text: bytes) -> None:
        once = b'{"a":"' + text + b'","model":"x","b":"' + text + b'"'

        assert not model_twice(once + b"}")
        assert model_twice(once + b',"model":"y"}')

    def test_a_value_is_not_a_name(self) -> None:
        assert not model_twice(b'{"model":"model","type":"model","x":["model","model"]}')

    def test_space_before_the_colon_hides_nothing(self) -> None:
        assert model_twice(b'{"model":"a","model"' + b" \n" * 200 + b':"b"}')

    @pytest.mark.parametrize("name", [rb"mod\u0065l", rb"\u006d\u006F\u0064\u0065\u006C"])
    def test_escapes_hide_nothing(self, name: bytes) -> None:
        assert model_twice(b'{"model":"a","' + name + b'":"b"}')
        assert model_twice(b'{"' + name + b'":"a","' + name + b'":"b"}')
        assert not model_twice(b'{"model":"a","x":{"' + name + b'":"b"}}')

    def test_many_names_cost_one_read(self) -> None:
        """Reading from the start for each took 0.9 s for 60 kB and grew with the square."""
        body = b'{"model":"a","x":[' + b'{"model":1},' * 100_000 + b"1]}"
        began = time.process_time()

        assert not model_twice(body)
        assert time.process_time() - began < 1
