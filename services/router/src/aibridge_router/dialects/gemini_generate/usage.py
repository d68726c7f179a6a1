"""Token counts of Gemini: the prompt includes the cache, candidates exclude thoughts, and the last count wins."""

from msgspec import Struct

from aibridge_common.usage import Usage


class UsageMetadata(Struct, frozen=True, rename="camel"):
    """The `usageMetadata` object."""

    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None

    def to_usage(self) -> Usage:
        """In exclusive kinds."""
        cached = self.cached_content_token_count or 0
        prompt = (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0)
        return Usage(
            input=prompt - cached,
            cache_read=cached,
            output=self.candidates_token_count or 0,
            reasoning=self.thoughts_token_count or 0,
        )
