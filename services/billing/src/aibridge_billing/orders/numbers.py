"""Numbers of orders that a person can read aloud: `AB-XXXX-XXXX`, without letters that look or sound like others.

The last character is a check: one wrong character, or two that changed places side by side, is noticed before anything
is looked up (weights that differ from place to place, modulo a prime above the alphabet's size).
"""

import secrets

from aibridge_common.errors import InvalidRequest

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 7
_PRIME = 31


def new_number() -> str:
    """A fresh one: 34 bits of chance, so its table must refuse one that is there."""
    while True:
        body = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
        check = _check(body)
        if check is not None:
            return f"AB-{body[:4]}-{body[4:]}{check}"


def normalised(number: str) -> str:
    """As it is stored, however it was typed. Raises `InvalidRequest` for what no order can be called."""
    compact = number.upper().replace(" ", "").replace("-", "")
    body, check = compact[2:-1], compact[-1:]
    if not compact.startswith("AB") or len(compact) != _LENGTH + 3 or not _known(body + check):
        raise InvalidRequest("an order's number looks like AB-7K3M-Q2XP", param="number")
    if _check(body) != check:
        raise InvalidRequest("this number has a mistake in it: read it again", param="number")
    return f"AB-{body[:4]}-{body[4:]}{check}"


def _known(text: str) -> bool:
    return all(character in ALPHABET for character in text)


def _check(body: str) -> str | None:
    """None where the sum is the one value that has no character."""
    total = sum((place + 2) * ALPHABET.index(one) for place, one in enumerate(body)) % _PRIME
    return ALPHABET[total] if total < len(ALPHABET) else None
