"""Tokens used and what they cost: one exact product, computed the same way wherever it is needed.

The router holds and the ledger charges with this one function, so a hold can never be priced differently from
the charge it covers.
"""

from msgspec import Struct

from aibridge_common.errors import AIBridgeError

MICROTOKENS_PER_TOKEN = 1_000_000
"""1 plan token = 1 000 000 microtokens; a multiplier of 1.0 is 1 000 000 microtokens per provider token."""

TOKENS_MAX = 100_000_000
"""No kind of usage beyond this is believed (a public incident charged half a trillion tokens)."""

OUT_OF_RANGE = "token counts out of range"
"""How every reason begins for which usage was not believed; dead letters are counted by it."""


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one exchange in exclusive kinds: their sum is the vendor's total, nothing is in two of them."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All tokens, whatever their kind."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.output
            + self.reasoning
        )

    def doubt(self, context_tokens: int) -> str | None:
        """Why these counts cannot be those of one exchange with a model of this context; None if they can."""
        if not self.plausible:
            return OUT_OF_RANGE
        answered = self.output + self.reasoning
        for what, count in (("input", self.total - answered), ("output", answered)):
            if count > context_tokens:
                return f"{OUT_OF_RANGE}: {what} of {count}, and the context is {context_tokens}"
        return None

    @property
    def plausible(self) -> bool:
        """Whether every kind is within what a vendor can mean; if not the usage is not charged."""
        return all(
            0 <= count <= TOKENS_MAX
            for count in (
                self.input,
                self.cache_read,
                self.cache_write_5m,
                self.cache_write_1h,
                self.output,
                self.reasoning,
            )
        )


class Multipliers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Microtokens charged per provider token, by kind."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    reasoning: int

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) <= 1_000_000_000:
                raise ValueError(f"multiplier {name} must be between 0 and 1000 times")


class ImplausibleUsage(AIBridgeError):
    """The vendor reported token counts that cannot be; they are kept for people to look at, not charged."""

    code, status = "implausible_usage", 500


def charge_microtokens(usage: Usage, multipliers: Multipliers) -> int:
    """What `usage` costs in microtokens; exact, no rounding. Raises `ImplausibleUsage`."""
    if not usage.plausible:
        raise ImplausibleUsage(OUT_OF_RANGE)
    return (
        usage.input * multipliers.input
        + usage.cache_read * multipliers.cache_read
        + usage.cache_write_5m * multipliers.cache_write_5m
        + usage.cache_write_1h * multipliers.cache_write_1h
        + usage.output * multipliers.output
        + usage.reasoning * multipliers.reasoning
    )
