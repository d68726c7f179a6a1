"""Token counts of OpenAI Responses: totals include cache and reasoning."""

from msgspec import Struct

from aibridge_common.usage import Usage


class _InputDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None


class ResponsesUsage(Struct, frozen=True):
    """The `usage` object."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def to_usage(self) -> Usage:
        """In exclusive kinds."""
        into = self.input_tokens_details or _InputDetails()
        out = self.output_tokens_details or _OutputDetails()
        cached = into.cached_tokens or 0
        written = into.cache_write_tokens or 0
        reasoning = out.reasoning_tokens or 0
        return Usage(
            input=self.input_tokens - cached - written,
            cache_read=cached,
            cache_write_5m=written,
            output=self.output_tokens - reasoning,
            reasoning=reasoning,
        )
