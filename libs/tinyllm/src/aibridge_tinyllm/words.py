"""Text cut into the words that tokens never cross: each digit alone, then GPT-2's rule for the rest."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

# Digits are gone when this is applied, so a word character that is no underscore is a letter.
_WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W_]+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def words(text: str) -> Iterator[str]:
    """The words in order; together they are the text."""
    for numeric, letters in groupby(text, key=_is_numeric):
        run = "".join(letters)
        yield from run if numeric else _WORD.findall(run)


def _is_numeric(letter: str) -> bool:
    return unicodedata.category(letter)[0] == "N"
