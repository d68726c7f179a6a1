"""A hold is never smaller than the charge it covers, and of a stream no larger than the next slice of it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.catalog import Capabilities, Model, MultiplierTexts
from aibridge_common.usage import Multipliers, Usage, charge_microtokens
from aibridge_router.credit.estimate import (
    INPUT_OVERHEAD_TOKENS,
    OUTPUT_TOKENS_MIN,
    SLICE_TOKENS,
    UNSEEN_TOKENS,
    Need,
    need_of,
)
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


def model(context: int, limit: int, **more: Any) -> Model:
    texts = MultiplierTexts(input="1", output="1")
    return Model(
        id="m",
        title="m",
        provider="p",
        context_tokens=context,
        max_output_tokens=limit,
        multipliers=texts,
        **more,
    )


def need(
    head: Head, body_bytes: int, context: int, limit: int, *, card: Multipliers = FLAT
) -> Need:
    return need_of(head, body_bytes, model(context, limit), card, sliced=False)


def worst(head: Head, body_bytes: int, context: int, limit: int) -> int:
    return need(head, body_bytes, context, limit).most_microtokens


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
        hold = need(head, body_bytes, context, model_limit, card=card).most_microtokens

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

        assert worst(head, 36, 1000, 50) == 100 * 4 + 10 * 2 * 6

    def test_the_context_bounds_a_long_body(self) -> None:
        head = Head(model="m", output_tokens_max=1)

        assert worst(head, 10**9, 1000, 50) == 1000 * 4 + 6

    def test_without_a_limit_the_models_own_counts(self) -> None:
        assert worst(Head(model="m"), 36, 1000, 50) == 100 * 4 + 50 * 6

    def test_a_limit_above_the_models_changes_nothing(self) -> None:
        head = Head(model="m", output_tokens_max=10**8)

        assert worst(head, 36, 1000, 50) == 100 * 4 + 50 * 6


class TestSlice:
    def sliced(self, limit: int, model_limit: int = 100_000, **more: Any) -> Need:
        head = Head(model="m", stream=True, output_tokens_max=limit)
        return need_of(head, 36, model(1000, model_limit, **more), FLAT, sliced=True)

    def test_a_stream_begins_with_one(self) -> None:
        begun = self.sliced(128_000)

        assert begun.output_tokens == 100_000
        assert begun.most_microtokens == 100 * 4 + SLICE_TOKENS * 6
        assert begun.least_microtokens == 100 * 4 + OUTPUT_TOKENS_MIN * 6

    def test_a_short_stream_needs_no_more_than_it_may_give(self) -> None:
        assert self.sliced(7).most_microtokens == self.sliced(7).least_microtokens == 100 * 4 + 42

    def test_thinking_that_nobody_sees_is_held_too(self) -> None:
        thinks = self.sliced(128_000, capabilities=Capabilities(reasoning="effort"))

        assert thinks.most_microtokens == 100 * 4 + UNSEEN_TOKENS * 6

    def test_it_covers_what_is_left_beside_the_input(self) -> None:
        begun = self.sliced(128_000)

        assert begun.covered_tokens(begun.most_microtokens) == SLICE_TOKENS
        assert begun.covered_tokens(begun.most_microtokens + 5) == SLICE_TOKENS
        assert begun.covered_tokens(0) == 0
        assert begun.covered_tokens(10**9) == 100_000

    def test_input_that_was_reported_is_less_than_its_bound(self) -> None:
        begun = self.sliced(128_000)
        reported = Usage(input=10, cache_read=4, output=77)

        assert begun.covered_tokens(10 * 2 + 4 + 6 * 9, reported) == 9
        assert begun.covered_tokens(100 * 4 + 6 * 9, Usage(output=1)) == 9
        assert begun.covered_tokens(100 * 4 + 6 * 9, Usage(input=-1, output=1)) == 9

    def test_output_that_costs_nothing_is_covered(self) -> None:
        free = Multipliers(
            input=2, output=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, reasoning=0
        )
        begun = need_of(Head(model="m"), 36, model(1000, 50), free, sliced=True)

        assert begun.covered_tokens(0) == 50
