import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aibridge_devstack.echo import Echo


class Progress:
    """One line per finished step, with what it took."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._started = time.monotonic()

    @property
    def total_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    @asynccontextmanager
    async def step(self, what: str) -> AsyncGenerator[None]:
        """A step that fails leaves no line."""
        started = time.monotonic()
        yield
        self._echo.say(f"  {what:<42}{time.monotonic() - started:6.2f} s")
