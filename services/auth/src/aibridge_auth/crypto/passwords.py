"""Hashing in threads, two at a time: argon2 takes memory and a core, a lever for whoever wants to stop us."""

import anyio
import anyio.to_thread

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


class Passwords:
    """The one place where passwords are hashed and compared while the service runs."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._nobodys = hash_password("nobody has this password")

    async def hash(self, password: str) -> str:
        """Raises `InvalidRequest` for one that is too short, `Unavailable` when too many wait."""
        check_password(password)
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


def check_password(password: str) -> None:
    """Length is what counts (NIST SP 800-63B), unless it is one character again and again. Raises `InvalidRequest`."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise InvalidRequest(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters", param="password"
        )
    if len(set(password)) < 4:
        raise InvalidRequest("this password is too easy to guess", param="password")
