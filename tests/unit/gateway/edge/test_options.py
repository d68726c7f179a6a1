"""What a client says in headers may take away from what its key allows, never add to it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.errors import InvalidRequest
from aibridge_common.routing import RoutingOptions
from aibridge_gateway.edge.options import TIMEOUT_MAX_S, TIMEOUT_MIN_S, read_options

OPTIONS = ["failover", "continuation", "larger_context"]
HEADERS = {name: f"x-aibridge-{name.replace('_', '-')}".encode() for name in OPTIONS}
ALL_ON = RoutingOptions(continuation=True, larger_context=True)
ALL_OFF = RoutingOptions(failover=False)


class TestRouting:
    @pytest.mark.parametrize("option", OPTIONS)
    @pytest.mark.parametrize(("allowed", "said"), list(product([True, False], [None, "on", "off"])))
    def test_on_is_what_the_key_allows_and_the_request_does_not_refuse(
        self, option: str, allowed: bool, said: str | None
    ) -> None:
        headers = [] if said is None else [(HEADERS[option], said.encode())]
        options = read_options(headers, ALL_ON if allowed else ALL_OFF)

        assert getattr(options.routing, option) == (allowed and said != "off")

    @pytest.mark.parametrize("option", OPTIONS)
    def test_each_header_means_its_own_option_only(self, option: str) -> None:
        routing = read_options([(HEADERS[option], b"off")], ALL_ON).routing

        assert [name for name in OPTIONS if not getattr(routing, name)] == [option]

    def test_of_two_that_disagree_off_counts(self) -> None:
        both = [(HEADERS["failover"], b"off"), (HEADERS["failover"], b"on")]

        assert not read_options(both, ALL_ON).routing.failover
        assert not read_options(both[::-1], ALL_ON).routing.failover

    @pytest.mark.parametrize("value", [b"On", b" OFF ", b"oN"])
    def test_case_and_spaces_do_not_matter(self, value: bytes) -> None:
        routing = read_options([(HEADERS["failover"], value)], ALL_ON).routing

        assert routing.failover == (value.strip().lower() == b"on")

    @pytest.mark.parametrize("option", OPTIONS)
    @pytest.mark.parametrize("value", [b"maybe", b"", b"true", b"1", b"off,on", b"\xff"])
    def test_anything_else_is_refused_by_name(self, option: str, value: bytes) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            read_options([(HEADERS[option], value)], ALL_ON)

        assert refusal.value.param == HEADERS[option].decode()
        assert HEADERS[option].decode() in refusal.value.message

    def test_where_nothing_is_said_nothing_is_made(self) -> None:
        assert read_options([(b"accept", b"*/*")], ALL_ON).routing is ALL_ON


class TestTimeout:
    @pytest.mark.parametrize("name", [b"x-stainless-timeout", b"x-stainless-read-timeout"])
    @pytest.mark.parametrize(
        ("value", "timeout_s"),
        [
            (b"60", 60.0),
            (b"59.5", 59.5),
            (b"1", TIMEOUT_MIN_S),
            (b"0.001", TIMEOUT_MIN_S),
            (b"600", None),
            (b"600.0", None),
            (b"86400", None),
            (b"inf", None),
            (b"nan", None),
            (b"0", None),
            (b"-5", None),
            (b"", None),
            (b"soon", None),
            (b"NOT_GIVEN", None),
            (b"\xff", None),
        ],
    )
    def test_values(self, name: bytes, value: bytes, timeout_s: float | None) -> None:
        assert read_options([(name, value)], ALL_ON).timeout_s == timeout_s

    def test_the_shorter_of_two_counts(self) -> None:
        said = [(b"x-stainless-timeout", b"90"), (b"x-stainless-read-timeout", b"30")]

        assert read_options(said, ALL_ON).timeout_s == 30

    @given(st.one_of(st.binary(max_size=12), st.floats().map(lambda value: str(value).encode())))
    def test_whatever_is_said_it_is_within_bounds(self, value: bytes) -> None:
        timeout_s = read_options([(b"x-stainless-timeout", value)], ALL_ON).timeout_s

        assert timeout_s is None or TIMEOUT_MIN_S <= timeout_s < TIMEOUT_MAX_S
