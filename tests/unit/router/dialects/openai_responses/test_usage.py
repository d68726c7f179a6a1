import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.usage import Usage
from aibridge_router.dialects.openai_responses.passing import answer_usage

counts = st.integers(min_value=0, max_value=10**7)


def usage_of(**usage: object) -> Usage | None:
    return answer_usage(msgspec.json.encode({"id": "resp", "usage": usage}))


class TestBuckets:
    @given(fresh=counts, read=counts, written=counts, answered=counts, thought=counts)
    def test_their_sum_is_the_vendors_total(
        self, fresh: int, read: int, written: int, answered: int, thought: int
    ) -> None:
        usage = usage_of(
            input_tokens=fresh + read + written,
            input_tokens_details={"cached_tokens": read, "cache_write_tokens": written},
            output_tokens=answered + thought,
            output_tokens_details={"reasoning_tokens": thought},
        )

        assert usage == Usage(
            input=fresh,
            cache_read=read,
            cache_write_5m=written,
            output=answered,
            reasoning=thought,
        )
        assert usage is not None
        assert usage.total == fresh + read + written + answered + thought

    def test_details_may_be_absent(self) -> None:
        assert usage_of(input_tokens=5, output_tokens=7) == Usage(input=5, output=7)
