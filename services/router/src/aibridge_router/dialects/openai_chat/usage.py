"""Token counts of OpenAI Chat: totals include what was read from or written to the cache, and the reasoning."""

from msgspec import Struct

from aibridge_common.usage import Usage


class _PromptDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None


class ChatUsage(Struct, frozen=True):
    """The `usage` object; embeddings send it without completion tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def to_usage(self) -> Usage:
        """In exclusive kinds."""
        prompt = self.prompt_tokens_details or _PromptDetails()
        completion = self.completion_tokens_details or _CompletionDetails()
        cached = prompt.cached_tokens or 0
        written = prompt.cache_write_tokens or 0
        reasoning = completion.reasoning_tokens or 0
        return Usage(
            input=self.prompt_tokens - cached - written,
            cache_read=cached,
            cache_write_5m=written,
            output=self.completion_tokens - reasoning,
            reasoning=reasoning,
        )
