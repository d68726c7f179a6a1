"""The sandbox's own tokenizer: four ASCII characters, or one other character, are one token."""

import re
from typing import Any

_TOKEN = re.compile(r"[\x00-\x7f]{1,4}|[^\x00-\x7f]")

IMAGE_TOKENS = 258
"""What one inline image, file or data URL weighs; its bytes are not text."""

_WEIGHTLESS = frozenset({"cache_control", "signature", "encrypted_content", "thoughtSignature"})
_BINARY = frozenset({"data", "file_data", "fileData"})


def split_tokens(text: str) -> list[str]:
    """The text in pieces that join to it again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """The number of pieces, without making them where that is possible."""
    if text.isascii():
        return (len(text) + 3) // 4
    return len(_TOKEN.findall(text))


def weigh(value: Any) -> int:
    """Tokens of every string inside a JSON value; a map's keys count one each."""
    match value:
        case str():
            return IMAGE_TOKENS if value.startswith("data:") else count_tokens(value)
        case dict():
            return sum(_weigh_field(str(name), inner) for name, inner in value.items())
        case list():
            return sum(weigh(inner) for inner in value)
        case None:
            return 0
        case _:
            return 1


def _weigh_field(name: str, value: Any) -> int:
    if name in _WEIGHTLESS:
        return 0
    if name in _BINARY and isinstance(value, str):
        return IMAGE_TOKENS
    return 1 + weigh(value)
