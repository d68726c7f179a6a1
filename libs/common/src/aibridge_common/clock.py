"""Time is passed in, so that tests own it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for intervals; the two are never mixed."""

    def now(self) -> datetime:
        """The current time in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


class FrozenClock:
    """A clock that moves only when a test says so."""

    def __init__(self, at: datetime) -> None:
        self._now = at
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        """The time the test set."""
        return self._now

    def monotonic_s(self) -> float:
        """Seconds the test let pass."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds
