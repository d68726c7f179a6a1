import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.usage import Usage
from aibridge_router.dialects.openai_chat.passing import answer_usage

counts = st.integers(min_value=0, max_value=10**7)


def usage_of(**usage: object) -> Usage | None:
    return answer_usage(msgspec.json.encode({"id": "x", "choices": [], "usage": usage}))


class TestBuckets:
    @given(fresh=counts, read=counts, written=counts, answered=counts, thought=counts)
    def test_their_sum_is_the_vendors_total(
        self, fresh: int, read: int, written: int, answered: int, thought: int
    ) -> None:
        usage = usage_of(
            prompt_tokens=fresh + read + written,
            completion_tokens=answered + thought,
            total_tokens=fresh + read + written + answered + thought,
            prompt_tokens_details={"cached_tokens": read, "cache_write_tokens": written},
            completion_tokens_details={"reasoning_tokens": thought},
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

    def test_details_may_be_absent_or_null(self) -> None:
        expected = Usage(input=5, output=7)

        assert usage_of(prompt_tokens=5, completion_tokens=7) == expected
        assert (
            usage_of(prompt_tokens=5, completion_tokens=7, prompt_tokens_details=None) == expected
        )
        assert (
            usage_of(
                prompt_tokens=5,
                completion_tokens=7,
                completion_tokens_details={"reasoning_tokens": None},
            )
            == expected
        )

    def test_embeddings_have_no_completion(self) -> None:
        assert usage_of(prompt_tokens=5, total_tokens=5) == Usage(input=5)

    def test_more_cached_than_sent_is_not_plausible(self) -> None:
        usage = usage_of(
            prompt_tokens=5, completion_tokens=1, prompt_tokens_details={"cached_tokens": 6}
        )

        assert usage is not None
        assert not usage.plausible
