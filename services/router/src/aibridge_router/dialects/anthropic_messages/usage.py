"""Token counts of Anthropic Messages: input excludes the cache, and counts in a stream are cumulative."""

from msgspec import Struct, structs

from aibridge_common.usage import Usage


class _CacheCreation(Struct, frozen=True):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(Struct, frozen=True):
    thinking_tokens: int | None = None


class MessagesUsage(Struct, frozen=True):
    """The `usage` object of an answer, of `message_start` or of `message_delta`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None

    def merged(self, later: "MessagesUsage") -> "MessagesUsage":
        """Per field the latest that was said; never a sum, and an absent field keeps what was said before."""
        said = {
            name: value
            for name in later.__struct_fields__
            if (value := getattr(later, name)) is not None
        }
        return structs.replace(self, **said)

    def to_usage(self) -> Usage:
        """In exclusive kinds. Cache writes without a lifetime are five-minute ones, the vendor's default."""
        written = self.cache_creation_input_tokens or 0
        long_lived = (self.cache_creation and self.cache_creation.ephemeral_1h_input_tokens) or 0
        details = self.output_tokens_details or _OutputDetails()
        reasoning = details.thinking_tokens or 0
        return Usage(
            input=self.input_tokens or 0,
            cache_read=self.cache_read_input_tokens or 0,
            cache_write_5m=written - long_lived,
            cache_write_1h=long_lived,
            output=(self.output_tokens or 0) - reasoning,
            reasoning=reasoning,
        )
