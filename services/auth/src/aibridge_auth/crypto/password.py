"""Passwords: argon2id with the parameters OWASP asks for at least."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
MIN_CHARACTERS = 12
NO_PASSWORD = "!"  # noqa: S105 - it is the absence of one
"""No password verifies against this."""


def hash_password(password: str) -> str:
    """An argon2id hash with its own salt. Raises ValueError when the password is too short."""
    if len(password) < MIN_CHARACTERS:
        raise ValueError(f"a password has at least {MIN_CHARACTERS} characters")
    return _HASHER.hash(password)


def verify_password(stored: str, password: str) -> bool:
    """Whether `password` is the one behind `stored`."""
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Whether today's parameters are others than those of `stored`."""
    try:
        return _HASHER.check_needs_rehash(stored)
    except InvalidHashError:
        return False
