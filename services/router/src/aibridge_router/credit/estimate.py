"""What a request may cost, and how much of that is held: all of it, or of a stream a slice at a time. Pure."""

from msgspec import Struct, structs

from aibridge_common.catalog import Model
from aibridge_common.usage import ImplausibleUsage, Multipliers, Usage, charge_microtokens
from aibridge_router.dialects.peek import Head

INPUT_OVERHEAD_TOKENS = 64
"""What a vendor adds around the messages."""

SLICE_TOKENS = 2048
"""Output that a stream holds at a time; it is given the next slice once half of one is left."""

UNSEEN_TOKENS = 8192
"""The first slice where a model thinks, of which often nothing is seen before the first piece of the answer."""

OUTPUT_TOKENS_MIN = 256
"""A balance that does not cover so much of an answer is too small for it."""


class Need(Struct, frozen=True, kw_only=True):
    """The bounds of one request at one target. Output counts all answers together where several are asked for."""

    rates: Multipliers
    input_tokens: int
    """A byte-level tokenizer never makes more tokens than bytes, so the body's length bounds the input; images and
    documents arrive as base64, far longer than the tokens they count."""
    output_tokens: int
    first_tokens: int
    """Output that is held before anything is sent."""

    @property
    def most_microtokens(self) -> int:
        """What is held at first."""
        return self.input_microtokens + self.output_microtokens(self.first_tokens)

    @property
    def least_microtokens(self) -> int:
        """What must be held at least."""
        tokens = min(self.first_tokens, OUTPUT_TOKENS_MIN)
        return self.input_microtokens + self.output_microtokens(tokens)

    @property
    def input_microtokens(self) -> int:
        """The input at its dearest kind."""
        rates = self.rates
        dearest = max(rates.input, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h)
        return self.input_tokens * dearest

    def output_microtokens(self, tokens: int) -> int:
        """So much output at its dearest kind."""
        return tokens * max(self.rates.output, self.rates.reasoning)

    def covered_tokens(self, held_microtokens: int, reported: Usage | None = None) -> int:
        """How much output a hold covers, beside the input; all of it where output is free."""
        each = self.output_microtokens(1)
        if not each:
            return self.output_tokens
        rest = held_microtokens - self._input(reported)
        return min(max(0, rest) // each, self.output_tokens)

    def _input(self, reported: Usage | None) -> int:
        """What the input costs, once the vendor has said how much it was."""
        if reported is None:
            return self.input_microtokens
        said = structs.replace(reported, output=0, reasoning=0)
        try:
            return charge_microtokens(said, self.rates) if said.total else self.input_microtokens
        except ImplausibleUsage:
            return self.input_microtokens


def need_of(head: Head, body_bytes: int, model: Model, rates: Multipliers, *, sliced: bool) -> Need:
    """The bounds of a request; `sliced` for a stream, of which no more than a slice of output is held at first."""
    limit = min(head.output_tokens_max or model.max_output_tokens, model.max_output_tokens)
    output_tokens = limit * head.choices
    slice_tokens = SLICE_TOKENS if model.capabilities.reasoning == "none" else UNSEEN_TOKENS
    return Need(
        rates=rates,
        input_tokens=min(body_bytes + INPUT_OVERHEAD_TOKENS, model.context_tokens),
        output_tokens=output_tokens,
        first_tokens=min(output_tokens, slice_tokens) if sliced else output_tokens,
    )
