"""The charge is one exact product; what cannot be is not charged."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.usage import (
    MICROTOKENS_PER_TOKEN,
    OUT_OF_RANGE,
    TOKENS_MAX,
    ImplausibleUsage,
    Multipliers,
    Usage,
    charge_microtokens,
)

KINDS = ["input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning"]
ONE = Multipliers(**dict.fromkeys(KINDS, MICROTOKENS_PER_TOKEN))

counts = st.fixed_dictionaries(dict.fromkeys(KINDS, st.integers(0, TOKENS_MAX)))
prices = st.fixed_dictionaries(dict.fromkeys(KINDS, st.integers(0, 1_000_000_000)))


class TestCharge:
    @given(counts, prices)
    def test_exact(self, tokens: dict[str, int], multipliers: dict[str, int]) -> None:
        """The charge is the sum over the kinds, to the last microtoken, however large."""
        exact = sum(
            (
                Fraction(tokens[kind]) * Fraction(multipliers[kind], MICROTOKENS_PER_TOKEN)
                for kind in KINDS
            ),
            Fraction(0),
        )
        charge = charge_microtokens(Usage(**tokens), Multipliers(**multipliers))

        assert charge == exact * MICROTOKENS_PER_TOKEN
        assert type(charge) is int

    @given(counts, counts, prices)
    def test_additive(
        self, first: dict[str, int], second: dict[str, int], multipliers: dict[str, int]
    ) -> None:
        """Two exchanges cost what one with their tokens would: nothing is rounded in between."""
        halves = [{kind: count // 2 for kind, count in part.items()} for part in (first, second)]
        whole = {kind: halves[0][kind] + halves[1][kind] for kind in KINDS}
        price = Multipliers(**multipliers)
        parts = [charge_microtokens(Usage(**half), price) for half in halves]

        assert charge_microtokens(Usage(**whole), price) == sum(parts)

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_has_its_own_price(self, kind: str) -> None:
        price = Multipliers(**(dict.fromkeys(KINDS, 0) | {kind: 3}))
        usage = Usage(**{name: 10**place for place, name in enumerate(KINDS)})

        assert charge_microtokens(usage, price) == 3 * getattr(usage, kind)

    def test_largest(self) -> None:
        """The dearest usage that is believed fits the ledger's 64-bit column."""
        most = Multipliers(**dict.fromkeys(KINDS, 1_000_000_000))
        usage = Usage(**dict.fromkeys(KINDS, TOKENS_MAX))

        assert charge_microtokens(usage, most) == 6 * 10**17
        assert charge_microtokens(usage, most) < 2**63

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("count", [-1, TOKENS_MAX + 1, 500_000_000_000])
    def test_implausible(self, kind: str, count: int) -> None:
        """A count that no vendor can mean is refused, not charged and never a credit."""
        usage = Usage(**{kind: count})
        with pytest.raises(ImplausibleUsage):
            charge_microtokens(usage, ONE)

        assert not usage.plausible

    @pytest.mark.parametrize(
        ("usage", "doubt"),
        [
            (Usage(input=60, cache_read=40, output=60, reasoning=40), None),
            (
                Usage(input=60, cache_read=41),
                f"{OUT_OF_RANGE}: input of 101, and the context is 100",
            ),
            (
                Usage(output=60, reasoning=41),
                f"{OUT_OF_RANGE}: output of 101, and the context is 100",
            ),
            (Usage(input=-1), OUT_OF_RANGE),
        ],
    )
    def test_what_no_model_of_a_context_can_have_used(
        self, usage: Usage, doubt: str | None
    ) -> None:
        assert usage.doubt(100) == doubt

    def test_nothing(self) -> None:
        assert charge_microtokens(Usage(), ONE) == 0


class TestUsage:
    @given(counts)
    def test_total(self, tokens: dict[str, int]) -> None:
        assert Usage(**tokens).total == sum(tokens.values())

    @given(counts)
    def test_round_trip(self, tokens: dict[str, int]) -> None:
        """Usage crosses the bus unharmed although zeros are left out."""
        usage = Usage(**tokens)

        assert msgspec.json.decode(msgspec.json.encode(usage), type=Usage) == usage


class TestMultipliers:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("value", [-1, 1_000_000_001])
    def test_out_of_range(self, kind: str, value: int) -> None:
        """A price below nothing or above 1000 times names its kind."""
        with pytest.raises(ValueError, match=f"multiplier {kind} "):
            Multipliers(**(dict.fromkeys(KINDS, 1) | {kind: value}))
