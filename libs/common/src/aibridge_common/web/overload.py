"""How many requests one worker serves at once, learnt from how late its event loop runs.

A worker that has too much to do runs its timers late, whatever the reason; a slow vendor makes no timer late, so
waiting for one never counts as overload (ADR 0018). There is no queue: whoever does not fit is told at once.
"""

import asyncio
import time

from aibridge_common.errors import Unavailable

TICK_S = 0.02
LAG_MAX_S = 0.05
"""A tick that comes later than this was held up by other work for longer than anyone should wait for a turn."""
FLOOR = 10
"""So few are always served: with them alone, lateness is not theirs to mend."""
INCREASE = 1.0
"""Per tick, so 50 a second: what one wrong decrease took is back within seconds."""
DECREASE = 0.9
"""Per late tick: a hiccup costs a tenth, a lasting overload halves the limit within half a second."""
SHED_FIRST_SHARE = 0.8
"""Of the limit, for what costs its caller nothing: the last fifth is kept for what was paid for."""


class Limiter:
    """Additive increase, multiplicative decrease. Pure: it is told of the lag and of who comes and goes."""

    def __init__(self, ceiling: int, lag_max_s: float = LAG_MAX_S) -> None:
        self._lag_max_s = lag_max_s
        self._ceiling = float(max(ceiling, FLOOR))
        self._limit = self._ceiling
        self.running = 0

    @property
    def limit(self) -> int:
        """How many may run now."""
        return int(self._limit)

    def enter(self, *, shed_first: bool = False) -> None:
        """Count one more request, until `leave()`. Raises `Unavailable` where it does not fit."""
        limit = self._limit * SHED_FIRST_SHARE if shed_first else self._limit
        if self.running + 1 > limit:
            raise Unavailable("too much is asked of this server now; try again", retry_after_s=1)
        self.running += 1

    def leave(self) -> None:
        """One that entered has ended."""
        self.running -= 1

    def observe(self, lag_s: float) -> None:
        """A tick came `lag_s` after its time.

        The limit also grows while it is not reached: a hiccup of an hour ago says nothing about the next burst.
        """
        if lag_s <= self._lag_max_s:
            self._limit = min(self._limit + INCREASE, self._ceiling)
        elif self.running > FLOOR:
            self._limit = max(self._limit * DECREASE, float(FLOOR))


async def watch_lag(limiter: Limiter) -> None:
    """Tell `limiter` how late the loop runs, for ever."""
    while True:
        due_at_s = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        limiter.observe(time.monotonic() - due_at_s)
