"""Hashing in threads, two at a time: argon2 takes memory and a core, a lever for whoever wants to stop us."""

import re

import anyio
import anyio.to_thread
from zxcvbn import zxcvbn

from aibridge_auth.crypto.password import (
    MIN_CHARACTERS,
    NO_PASSWORD,
    hash_password,
    needs_rehash,
    verify_password,
)
from aibridge_common.errors import InvalidRequest, Unavailable

AT_ONCE = 2
WAITING_MAX = 64
MAX_CHARACTERS = 256
LOOKED_AT_MAX = 72
"""How much of a password is tried to be guessed, which takes longer the longer it is."""
SCORE_MIN = 3
"""Of 4: withstands whoever got the hashes, 10^8 guesses at least."""
_OURS = ("aibridge", "ai-bridge", "bridge")


class Passwords:
    """The one place where passwords are hashed and compared while the service runs."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._nobodys = hash_password("nobody has this password")

    async def hash(self, password: str, email: str = "") -> str:
        """A new password of whoever has this address.

        Raises `InvalidRequest` for one that is short or easy to guess, `Unavailable` when too many wait.
        """
        check_length(password)
        self._make_room()
        return await anyio.to_thread.run_sync(
            _hash_if_strong, password, email, limiter=self._limiter
        )

    async def hash_again(self, password: str) -> str:
        """One that was just verified, whatever is asked of new ones today. Raises `Unavailable` as above."""
        self._make_room()
        return await anyio.to_thread.run_sync(hash_password, password, limiter=self._limiter)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the one behind `stored`. Without one it takes as long, and is wrong."""
        self._make_room()
        kept = None if stored == NO_PASSWORD else stored
        right = await anyio.to_thread.run_sync(
            verify_password,
            kept or self._nobodys,
            password[:MAX_CHARACTERS],
            limiter=self._limiter,
        )
        return right and kept is not None

    @staticmethod
    def outdated(stored: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return needs_rehash(stored)

    def _make_room(self) -> None:
        if self._limiter.statistics().tasks_waiting >= WAITING_MAX:
            raise Unavailable("too many log in at this moment; try again", retry_after_s=2)


def check_length(password: str) -> None:
    """Raises `InvalidRequest` for one that is too short or too long (NIST SP 800-63B)."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise InvalidRequest(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters", param="password"
        )


def check_guessable(password: str, email: str = "") -> None:
    """Raises `InvalidRequest` for one that is made of leaked passwords, words, patterns or the address."""
    about = [*_OURS, email, *filter(None, re.split(r"[^a-z0-9]+", email.lower()))]
    found = zxcvbn(password[:LOOKED_AT_MAX], user_inputs=about, max_length=LOOKED_AT_MAX)
    if found["score"] < SCORE_MIN or (email and email.lower() in password.lower()):
        raise InvalidRequest(
            "this password is too easy to guess; put several unrelated words together",
            param="password",
        )


def _hash_if_strong(password: str, email: str) -> str:
    check_guessable(password, email)
    return hash_password(password)
