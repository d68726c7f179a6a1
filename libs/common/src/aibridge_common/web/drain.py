"""The end of a service in good order: nothing new is begun, what runs may end, and what does not end is told so."""

from collections.abc import Callable

from aibridge_common.clock import Clock, SystemClock

LAST_CALL_S = 20.0
"""How long before the end the rest is told: enough to write an error event to slow clients and usage to the bus."""
LAST_CALL_SHARE = 0.8
"""Of a drain that is shorter than that allows for."""


class Drain:
    """How far the end has come. Pure: `serve()` starts it at the signal and ticks it from then on.

    `started` is read once per request, so it is a plain attribute.
    """

    def __init__(self, drain_s: float, clock: Clock | None = None) -> None:
        self.started = False
        self._drain_s = drain_s
        self._clock = clock or SystemClock()
        self._ends_at_s = 0.0
        self._last_calls: list[Callable[[], object]] = []

    @property
    def remaining_s(self) -> float:
        """What running requests still get; all of it before the start, 0 after the end."""
        if not self.started:
            return self._drain_s
        return max(0.0, self._ends_at_s - self._clock.monotonic_s())

    def on_last_call(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once, when what then still runs should be ended with an error its client reads.

        It runs in the event loop and must not block.
        """
        self._last_calls.append(callback)

    def start(self) -> None:
        """Begin; again changes nothing. Safe inside a signal handler."""
        if not self.started:
            self._ends_at_s = self._clock.monotonic_s() + self._drain_s
            self.started = True

    def tick(self) -> None:
        """Make the last call when its time has come."""
        last_call_s = min(LAST_CALL_S, (1 - LAST_CALL_SHARE) * self._drain_s)
        if self.started and self.remaining_s <= last_call_s:
            calls, self._last_calls = self._last_calls, []
            for call in calls:
                call()

    async def accepting(self) -> bool:
        """A readiness check: whether new requests are welcome."""
        return not self.started
