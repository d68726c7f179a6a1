"""The shape of an API key: `ab-`, 33 characters of randomness, 6 characters of checksum.

The checksum refuses typing mistakes without a query and makes scanning for leaked keys exact:
`ab-[0-9A-Za-z]{39}` and a CRC that fits.
"""

import re
import secrets
import zlib

PREFIX = "ab-"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = 33
_CHECKSUM_CHARACTERS = 6
_SHAPE = re.compile(r"ab-[0-9A-Za-z]{39}")


def new_key() -> str:
    """A fresh key: 192 random bits, so it needs no slow hash."""
    body = PREFIX + _base62(int.from_bytes(secrets.token_bytes(24)), _RANDOM_CHARACTERS)
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether `key` has the shape and its checksum fits; says nothing about whether it lives."""
    if _SHAPE.fullmatch(key) is None:
        return False
    return key[-_CHECKSUM_CHARACTERS:] == _checksum(key[:-_CHECKSUM_CHARACTERS])


def hint(key: str) -> str:
    """What may be shown of a key later: first 7 and last 4 characters."""
    return f"{key[:7]}…{key[-4:]}"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = [""] * length
    for place in reversed(range(length)):
        number, digit = divmod(number, 62)
        digits[place] = _ALPHABET[digit]
    return "".join(digits)
