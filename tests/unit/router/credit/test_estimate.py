"""A hold is never smaller than the charge it covers."""

from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.usage import Multipliers, Usage, charge_microtokens
from aibridge_router.credit.estimate import INPUT_OVERHEAD_TOKENS, worst_case_microtokens
from aibridge_router.dialects.peek import Head

rates = st.integers(min_value=0, max_value=1_000_000_000)
multipliers = st.builds(
    Multipliers,
    input=rates,
    output=rates,
    cache_read=rates,
    cache_write_5m=rates,
    cache_write_1h=rates,
    reasoning=rates,
)
FLAT = Multipliers(input=2, output=5, cache_read=1, cache_write_5m=3, cache_write_1h=4, reasoning=6)


def split(total: int, shares: list[int]) -> list[int]:
    """`total` in parts as large as the shares say."""
    parts = [total * share // max(1, sum(shares)) for share in shares]
    parts[0] += total - sum(parts)
    return parts


class TestBound:
    @given(data=st.data(), card=multipliers)
    def test_no_usage_within_the_limits_costs_more(
        self, data: st.DataObject, card: Multipliers
    ) -> None:
        """At most a token a byte goes in, at most the asked limit comes out of each choice."""
        body_bytes = data.draw(st.integers(1, 200_000))
        context = data.draw(st.integers(1, 100_000))
        model_limit = data.draw(st.integers(1, 10_000))
        asked = data.draw(st.none() | st.integers(1, 20_000))
        choices = data.draw(st.integers(1, 8))
        head = Head(model="m", output_tokens_max=asked, choices=choices)
        hold = worst_case_microtokens(head, body_bytes, context, model_limit, card)

        into = data.draw(st.integers(0, min(body_bytes + INPUT_OVERHEAD_TOKENS, context)))
        out = data.draw(st.integers(0, min(asked or model_limit, model_limit) * choices))
        shares = st.integers(0, 10)
        fresh, read, short, long = split(into, data.draw(st.lists(shares, min_size=4, max_size=4)))
        said, thought = split(out, data.draw(st.lists(shares, min_size=2, max_size=2)))
        usage = Usage(
            input=fresh,
            cache_read=read,
            cache_write_5m=short,
            cache_write_1h=long,
            output=said,
            reasoning=thought,
        )

        assert charge_microtokens(usage, card) <= hold

    def test_it_is_not_larger_than_the_dearest_request(self) -> None:
        head = Head(model="m", output_tokens_max=10, choices=2)

        assert worst_case_microtokens(head, 36, 1000, 50, FLAT) == 100 * 4 + 10 * 2 * 6

    def test_the_context_bounds_a_long_body(self) -> None:
        head = Head(model="m", output_tokens_max=1)

        assert worst_case_microtokens(head, 10**9, 1000, 50, FLAT) == 1000 * 4 + 6

    def test_without_a_limit_the_models_own_counts(self) -> None:
        assert worst_case_microtokens(Head(model="m"), 36, 1000, 50, FLAT) == 100 * 4 + 50 * 6

    def test_a_limit_above_the_models_changes_nothing(self) -> None:
        head = Head(model="m", output_tokens_max=10**8)

        assert worst_case_microtokens(head, 36, 1000, 50, FLAT) == 100 * 4 + 50 * 6
