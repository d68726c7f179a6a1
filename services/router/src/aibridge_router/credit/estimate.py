"""What a request may cost at most; that much is held before it is sent."""

from aibridge_common.usage import Multipliers
from aibridge_router.dialects.peek import Head

INPUT_OVERHEAD_TOKENS = 64
"""What a vendor adds around the messages."""


def worst_case_microtokens(
    head: Head, body_bytes: int, context_tokens: int, max_output_tokens: int, rates: Multipliers
) -> int:
    """An upper bound of the charge.

    A byte-level tokenizer never makes more tokens than bytes, so the body's length bounds the input; images and
    documents arrive as base64, far longer than the tokens they count. The dearest kind of input is assumed.
    """
    input_tokens = min(body_bytes + INPUT_OVERHEAD_TOKENS, context_tokens)
    output_tokens = min(head.output_tokens_max or max_output_tokens, max_output_tokens)
    dearest_input = max(rates.input, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h)
    dearest_output = max(rates.output, rates.reasoning)
    return input_tokens * dearest_input + output_tokens * head.choices * dearest_output
