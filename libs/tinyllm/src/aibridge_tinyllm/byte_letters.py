"""One printable letter for each byte, so that a vocabulary of bytes can be written as text (GPT-2's table)."""

_PRINTABLE = frozenset([*range(33, 127), *range(161, 173), *range(174, 256)])


def _letters() -> list[str]:
    spare = iter(range(256, 512))
    return [chr(byte if byte in _PRINTABLE else next(spare)) for byte in range(256)]


_LETTERS = _letters()
_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}


def spell(data: bytes) -> str:
    """Bytes as letters."""
    return "".join(_LETTERS[byte] for byte in data)


def unspell(letters: str) -> bytes:
    """And back."""
    return bytes(_BYTES[letter] for letter in letters)
