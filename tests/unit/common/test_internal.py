"""What the gateway tells the router comes out as it went in; the common case says nothing."""

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.internal import (
    DEADLINE_DEFAULT_MS,
    decode_deadline,
    decode_limits,
    decode_routing,
    encode_deadline,
    encode_limits,
    encode_routing,
)
from aibridge_common.limits import KeyLimits
from aibridge_common.routing import RoutingOptions

EVERY = [
    RoutingOptions(failover=failover, continuation=continuation, larger_context=larger_context)
    for failover, continuation, larger_context in product([True, False], repeat=3)
]


class TestRouting:
    @pytest.mark.parametrize("options", EVERY)
    def test_round_trip(self, options: RoutingOptions) -> None:
        value = encode_routing(options)

        assert decode_routing(value) == options
        assert (value is None) == (options == RoutingOptions())

    def test_the_wire(self) -> None:
        """Router and gateway are replaced one by one, so it must not change."""
        assert encode_routing(RoutingOptions(failover=False)) == b""
        assert encode_routing(RoutingOptions(larger_context=True)) == b"failover,larger_context"

    @given(st.binary(max_size=40))
    def test_what_is_not_known_is_off(self, value: bytes) -> None:
        assert decode_routing(b"telepathy," + value) in EVERY
        assert decode_routing(b"telepathy,failover") == RoutingOptions()


class TestDeadline:
    @given(st.integers(1, DEADLINE_DEFAULT_MS))
    def test_round_trip(self, remaining_ms: int) -> None:
        assert decode_deadline(encode_deadline(remaining_ms)) == remaining_ms

    def test_the_default_needs_no_header(self) -> None:
        assert encode_deadline(DEADLINE_DEFAULT_MS) is None

    @pytest.mark.parametrize("remaining_ms", [0, -5])
    def test_a_deadline_that_has_passed_is_a_millisecond_away(self, remaining_ms: int) -> None:
        assert encode_deadline(remaining_ms) == b"1"

    @pytest.mark.parametrize("value", [None, b"", b"-1", b"1.5", b"soon", b"9" * 30])
    def test_what_is_no_number_counts_as_the_default(self, value: bytes | None) -> None:
        assert decode_deadline(value) == DEADLINE_DEFAULT_MS


class TestLimits:
    def test_what_the_edge_sees_to_itself_does_not_go_inward(self) -> None:
        limits = KeyLimits(
            models=("gpt-a",),
            ip_ranges=("203.0.113.0/24",),
            requests_per_minute=5,
            expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        )

        assert decode_limits(encode_limits(limits)) == KeyLimits(
            models=("gpt-a",), requests_per_minute=5
        )

    def test_a_key_without_limits_for_the_router_costs_no_header(self) -> None:
        assert encode_limits(None) is None
        assert encode_limits(KeyLimits(ip_ranges=("::1/128",))) is None
        assert decode_limits(None) is None

    def test_a_limit_of_a_newer_gateway_is_passed_over(self) -> None:
        assert decode_limits(b'{"requests_per_minute":5,"moon":"full"}') == KeyLimits(
            requests_per_minute=5
        )

    def test_nonsense_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="malformed"):
            decode_limits(b"nonsense")
