from msgspec import Struct

CONTROL = 3
"""GGUF's kind for a token that structures a conversation and is never text."""


class Vocabulary(Struct, frozen=True, kw_only=True):
    """The tokens of a model, spelled in the letters of `byte_letters`."""

    tokens: list[str]
    """A token's number is its place."""
    merges: list[tuple[str, ...]]
    """Pairs of neighbours that become one, the most frequent first."""
    controls: frozenset[int]
