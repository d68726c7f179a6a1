"""A conversation as the model was trained to read it (ChatML)."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from aibridge_tinyllm.tokenizer import Tokenizer

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""Said by the model's own template where a conversation does not start with a system message."""

_START = "<|im_start|>"
END = "<|im_end|>"


class Turn(Struct, frozen=True, kw_only=True):
    """One message."""

    role: Literal["system", "user", "assistant"]
    text: str


def write_prompt(turns: Sequence[Turn], tokenizer: Tokenizer) -> list[int]:
    """The conversation, up to where the assistant speaks next."""
    start, end = tokenizer.control(_START), tokenizer.control(END)
    line_end = tokenizer.encode("\n")
    if not turns or turns[0].role != "system":
        turns = [Turn(role="system", text=SYSTEM), *turns]
    prompt: list[int] = []
    for turn in turns:
        prompt += [start, *tokenizer.encode(f"{turn.role}\n{turn.text}"), end, *line_end]
    return [*prompt, start, *tokenizer.encode("assistant\n")]
