"""Text to tokens and back: byte pair encoding, so that any text has tokens and none is unknown."""

from functools import lru_cache

from aibridge_tinyllm.byte_letters import spell, unspell
from aibridge_tinyllm.merging import merge
from aibridge_tinyllm.vocabulary import Vocabulary
from aibridge_tinyllm.words import words

_CACHED_WORDS_MAX = 20_000


class Tokenizer:
    """Control tokens are made by name only: text that looks like one stays text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens = vocabulary.tokens
        self._numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
        self._ranks = {pair: rank for rank, pair in enumerate(vocabulary.merges)}
        self._controls = vocabulary.controls
        self._encode_word = lru_cache(_CACHED_WORDS_MAX)(self._merged)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; lone surrogates are replaced, as they have no bytes."""
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return [token for word in words(clean) for token in self._encode_word(word)]

    def control(self, name: str) -> int:
        """The number of a control token. Raises `KeyError` for one that is none."""
        number = self._numbers[name]
        if number not in self._controls:
            raise KeyError(name)
        return number

    def is_control(self, token: int) -> bool:
        """Whether it ends or structures a turn instead of being text."""
        return token in self._controls

    def decode(self, token: int) -> bytes:
        """Its bytes; one character may be spread over several tokens. None for a control token."""
        return b"" if token in self._controls else unspell(self._tokens[token])

    def _merged(self, word: str) -> tuple[int, ...]:
        return tuple(self._numbers[part] for part in merge(spell(word.encode()), self._ranks))
