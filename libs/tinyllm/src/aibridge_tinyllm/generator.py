from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from aibridge_tinyllm.chat_template import Turn
from aibridge_tinyllm.sampling import Sampling


class Generator(Protocol):
    """What the server needs of a model."""

    @property
    def name(self) -> str:
        """What clients call it."""
        ...

    @property
    def context_tokens(self) -> int:
        """What prompt and answer may have together."""
        ...

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """The tokens of a conversation."""
        ...

    def generate(
        self,
        prompt: Sequence[int],
        *,
        sampling: Sampling,
        tokens_max: int,
        wanted: Callable[[], bool],
    ) -> Iterator[bytes]:
        """The bytes of one token after the other.

        Ends when the model has finished, after `tokens_max`, or soon after `wanted` says no.
        """
        ...
