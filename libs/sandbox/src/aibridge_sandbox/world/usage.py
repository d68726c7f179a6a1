import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens in exclusive buckets: their sum is everything the vendor would bill."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    """Without reasoning."""
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All input, cached or not."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def generated(self) -> int:
        """All output, reasoning included."""
        return self.output + self.reasoning
