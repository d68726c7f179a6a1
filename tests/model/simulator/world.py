"""Virtual time: everything that will happen, in order, and one source of chance for all of it."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any
from uuid import UUID

LAST_EVENTS = 60

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Violation(AssertionError):
    """The system did what it promises never to do."""


class World:
    """One run. The same seed gives the same run, event by event."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_s = 0.0
        self.random = Random(seed)
        self.events = 0
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = 0
        self._ids = 0
        self._last = deque[tuple[float, str, tuple[Any, ...]]](maxlen=LAST_EVENTS)

    def after(self, delay_s: float, do: Callable[..., None], *arguments: Any) -> None:
        """Do something later."""
        self._numbers += 1
        heappush(self._queue, (self.now_s + delay_s, self._numbers, do, arguments))

    def run_until(self, at_s: float) -> None:
        """Let everything happen that is due by then."""
        queue = self._queue
        while queue and queue[0][0] <= at_s:
            self.now_s, _, do, arguments = heappop(queue)
            self.events += 1
            do(*arguments)
        self.now_s = at_s

    def chance(self, probability: float) -> bool:
        """True that often."""
        return probability > 0 and self.random.random() < probability

    def new_id(self) -> UUID:
        """Ids of one run ascend, as those of the product do."""
        self._ids += 1
        return UUID(int=self._ids << 8)

    def monotonic_s(self) -> float:
        """As `Clock` has it."""
        return self.now_s

    def now(self) -> datetime:
        """As `Clock` has it."""
        return BEGIN + timedelta(seconds=self.now_s)

    def say(self, what: str, *who: Any) -> None:
        """Remember for the report of a violation."""
        self._last.append((self.now_s, what, who))

    def last_events(self) -> str:
        """What happened shortly before."""
        return "\n".join(
            f"{at_s:12.4f}  {what} {' '.join(map(str, who))}" for at_s, what, who in self._last
        )
