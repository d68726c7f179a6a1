"""Order numbers that a person can read aloud: `AB-XXXX-XXXX`, seven random characters and one that checks them.

The alphabet has no two characters that look alike. The check is the sum of the characters' values, each times its
place, modulo 31, which is prime: one wrong character and two swapped neighbours are always found. The alphabet has 30
characters; numbers whose check would be a 31st are not given out.
"""

import re
import secrets

from aibridge_common.errors import InvalidRequest

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_MODULUS = 31
_SHAPE = re.compile(f"AB([{_ALPHABET}]{{8}})")
_BETWEEN = re.compile(r"[\s\u2010-\u2015-]+")
_WRITTEN_MAX = 100


def new_number() -> str:
    """One of 2 * 10^10; the table refuses one that is taken."""
    while True:
        body = "".join(secrets.choice(_ALPHABET) for _ in range(7))
        check = _check(body)
        if check < len(_ALPHABET):
            return _written(body + _ALPHABET[check])


def read_number(text: str) -> str:
    """The number as it is kept, however it was written down. Raises `InvalidRequest`."""
    found = _SHAPE.fullmatch(_BETWEEN.sub("", text[:_WRITTEN_MAX]).upper())
    if found is None:
        raise InvalidRequest("an order number is AB-XXXX-XXXX", param="number")
    if _check(found[1][:7]) != _ALPHABET.index(found[1][7]):
        raise InvalidRequest(
            "there is a typing mistake in this order number: its last character does not fit",
            param="number",
        )
    return _written(found[1])


def _written(characters: str) -> str:
    return f"AB-{characters[:4]}-{characters[4:]}"


def _check(body: str) -> int:
    return sum(place * _ALPHABET.index(one) for place, one in enumerate(body, 1)) % _MODULUS
