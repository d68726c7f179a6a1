import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.usage import Usage
from aibridge_router.dialects.gemini_generate.passing import answer_usage

counts = st.integers(min_value=0, max_value=10**7)


class TestBuckets:
    @given(fresh=counts, read=counts, tools=counts, answered=counts, thought=counts)
    def test_their_sum_is_the_vendors_total(
        self, fresh: int, read: int, tools: int, answered: int, thought: int
    ) -> None:
        total = fresh + read + tools + answered + thought
        usage = answer_usage(
            msgspec.json.encode(
                {
                    "usageMetadata": {
                        "promptTokenCount": fresh + read,
                        "cachedContentTokenCount": read,
                        "toolUsePromptTokenCount": tools,
                        "candidatesTokenCount": answered,
                        "thoughtsTokenCount": thought,
                        "totalTokenCount": total,
                    }
                }
            )
        )

        assert usage == Usage(
            input=fresh + tools, cache_read=read, output=answered, reasoning=thought
        )
        assert usage is not None
        assert usage.total == total

    def test_absent_counts_are_zero(self) -> None:
        assert answer_usage(b'{"usageMetadata":{"promptTokenCount":4}}') == Usage(input=4)
