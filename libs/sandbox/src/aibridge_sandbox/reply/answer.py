from typing import Literal

import msgspec

from aibridge_sandbox.tokens import count_tokens

Stop = Literal["end", "tool", "length", "sequence", "refusal"]


class Thought(msgspec.Struct, frozen=True, kw_only=True, tag="thought"):
    text: str


class Say(msgspec.Struct, frozen=True, kw_only=True, tag="say"):
    text: str


class Decline(msgspec.Struct, frozen=True, kw_only=True, tag="decline"):
    text: str


class Invoke(msgspec.Struct, frozen=True, kw_only=True, tag="invoke"):
    name: str
    arguments: str
    """JSON for a function, any text for a custom tool; may be clipped by the token cap."""
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None


Block = Thought | Say | Decline | Invoke


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    blocks: tuple[Block, ...]
    stop: Stop
    stop_sequence: str | None = None
    stop_word: str | None = None
    """The vendor's own stop reason, if a script dictates it."""

    @property
    def reasoning_tokens(self) -> int:
        return sum(count_tokens(block.text) for block in self.blocks if isinstance(block, Thought))

    @property
    def output_tokens(self) -> int:
        """Without reasoning; never 0, for a vendor bills the end of a turn too."""
        return max(1, sum(block_tokens(b) for b in self.blocks if not isinstance(b, Thought)))

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks if isinstance(block, Say))

    @property
    def calls(self) -> list[Invoke]:
        return [block for block in self.blocks if isinstance(block, Invoke)]


def block_tokens(block: Block) -> int:
    if isinstance(block, Invoke):
        return count_tokens(block.name) + count_tokens(block.arguments)
    return count_tokens(block.text)
