from typing import Literal

import msgspec

from aibridge_sandbox.tokens import count_tokens

Stop = Literal["end", "tool", "length", "sequence", "refusal"]


class Thought(msgspec.Struct, frozen=True, kw_only=True, tag="thought"):
    """Reasoning, whether the client sees it or not."""

    text: str


class Say(msgspec.Struct, frozen=True, kw_only=True, tag="say"):
    """Visible text."""

    text: str


class Decline(msgspec.Struct, frozen=True, kw_only=True, tag="decline"):
    """The words of a refusal."""

    text: str


class Invoke(msgspec.Struct, frozen=True, kw_only=True, tag="invoke"):
    """One tool call."""

    name: str
    arguments: str
    """JSON for a function, any text for a custom tool; may be clipped by the token cap."""
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None


Block = Thought | Say | Decline | Invoke


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model generated, in no vendor's words."""

    blocks: tuple[Block, ...]
    stop: Stop
    stop_sequence: str | None = None
    stop_word: str | None = None
    """The vendor's own stop reason, if a script dictates it."""

    @property
    def reasoning_tokens(self) -> int:
        """Billed even where nothing is shown."""
        return sum(count_tokens(block.text) for block in self.blocks if isinstance(block, Thought))

    @property
    def output_tokens(self) -> int:
        """Without reasoning; never 0, for a vendor bills the end of a turn too."""
        return max(1, sum(block_tokens(b) for b in self.blocks if not isinstance(b, Thought)))

    @property
    def text(self) -> str:
        """All visible text in one."""
        return "".join(block.text for block in self.blocks if isinstance(block, Say))

    @property
    def calls(self) -> list[Invoke]:
        """The tool calls in order."""
        return [block for block in self.blocks if isinstance(block, Invoke)]


def block_tokens(block: Block) -> int:
    """What one block adds to the bill."""
    if isinstance(block, Invoke):
        return count_tokens(block.name) + count_tokens(block.arguments)
    return count_tokens(block.text)
