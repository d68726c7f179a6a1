"""Counts of a Messages stream are cumulative; what a later event leaves out stays as it was."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.usage import Usage
from aibridge_router.dialects.anthropic_messages.passing import answer_usage
from aibridge_router.dialects.anthropic_messages.usage import MessagesUsage

counts = st.integers(min_value=0, max_value=10**7)
maybe = st.none() | counts
said = st.builds(
    MessagesUsage,
    input_tokens=maybe,
    output_tokens=maybe,
    cache_read_input_tokens=maybe,
    cache_creation_input_tokens=maybe,
)


class TestBuckets:
    @given(fresh=counts, read=counts, short=counts, long=counts, answered=counts, thought=counts)
    def test_their_sum_is_the_vendors_total(
        self, fresh: int, read: int, short: int, long: int, answered: int, thought: int
    ) -> None:
        usage = answer_usage(
            msgspec.json.encode(
                {
                    "type": "message",
                    "usage": {
                        "input_tokens": fresh,
                        "cache_read_input_tokens": read,
                        "cache_creation_input_tokens": short + long,
                        "cache_creation": {
                            "ephemeral_5m_input_tokens": short,
                            "ephemeral_1h_input_tokens": long,
                        },
                        "output_tokens": answered + thought,
                        "output_tokens_details": {"thinking_tokens": thought},
                    },
                }
            )
        )

        assert usage == Usage(
            input=fresh,
            cache_read=read,
            cache_write_5m=short,
            cache_write_1h=long,
            output=answered,
            reasoning=thought,
        )
        assert usage is not None
        assert usage.total == fresh + read + short + long + answered + thought

    def test_a_cache_write_without_lifetime_is_short(self) -> None:
        usage = MessagesUsage(cache_creation_input_tokens=9).to_usage()

        assert usage == Usage(cache_write_5m=9)


class TestMerge:
    @given(first=said, later=said)
    def test_each_field_is_the_latest_that_was_said(
        self, first: MessagesUsage, later: MessagesUsage
    ) -> None:
        merged = first.merged(later)
        for name in MessagesUsage.__struct_fields__:
            before, now = getattr(first, name), getattr(later, name)

            assert getattr(merged, name) == (before if now is None else now)

    def test_an_explicit_zero_counts(self) -> None:
        merged = MessagesUsage(input_tokens=7, output_tokens=1).merged(
            MessagesUsage(input_tokens=0)
        )

        assert merged == MessagesUsage(input_tokens=0, output_tokens=1)

    @given(usages=st.lists(said, min_size=1, max_size=5))
    def test_nothing_is_ever_added_up(self, usages: list[MessagesUsage]) -> None:
        merged = MessagesUsage()
        for usage in usages:
            merged = merged.merged(usage)

        assert (merged.output_tokens or 0) <= max(usage.output_tokens or 0 for usage in usages)
