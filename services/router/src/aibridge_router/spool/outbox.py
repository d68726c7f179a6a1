"""Usage events on their way to the bus: batched, numbered, sent again until the bus has them."""

import time
from collections import deque

import anyio
import msgspec

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.errors import Unavailable
from aibridge_common.events.usage import SUBJECT, UsageEnvelope, UsageRecorded
from aibridge_common.telemetry.log import get_logger

BATCH_EVENTS_MAX = 100
BATCH_WAIT_S = 0.02
RETRY_S_MAX = 5.0
WAITING_EVENTS_MAX = 100_000


class Outbox:
    """Takes events without waiting; one task sends them in order."""

    def __init__(self, router: str) -> None:
        self._router = router
        self._epoch = time.time_ns()
        self._waiting: deque[UsageRecorded] = deque()
        self._sending = 0
        self._sequence = 0
        self._arrived = anyio.Event()
        self._log = get_logger()

    def check_room(self) -> None:
        """Raise `Unavailable` when so much waits that new work must not begin."""
        if len(self._waiting) >= WAITING_EVENTS_MAX:
            raise Unavailable("usage cannot be recorded at the moment", retry_after_s=5)

    def put(self, event: UsageRecorded) -> None:
        """Send this event soon."""
        self._waiting.append(event)
        self._arrived.set()

    @property
    def unsent(self) -> int:
        """Events the bus has not confirmed."""
        return len(self._waiting) + self._sending

    async def run(self, bus: Bus) -> None:
        """Send for ever."""
        while True:
            if not self._waiting:
                self._arrived = anyio.Event()
                await self._arrived.wait()
                await anyio.sleep(BATCH_WAIT_S)
            batch = [
                self._waiting.popleft() for _ in range(min(BATCH_EVENTS_MAX, len(self._waiting)))
            ]
            self._sending = len(batch)
            await self._send(bus, batch)
            self._sending = 0

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything is sent, or the time is up."""
        with anyio.move_on_after(timeout_s):
            while self.unsent:  # noqa: ASYNC110 - happens once, at shutdown
                await anyio.sleep(0.02)
        if self.unsent:
            self._log.error("usage.not_sent_at_shutdown", count=self.unsent)

    async def _send(self, bus: Bus, batch: list[UsageRecorded]) -> None:
        first = self._sequence + 1
        last = self._sequence = self._sequence + len(batch)
        envelope = UsageEnvelope(
            router=self._router, epoch=self._epoch, first=first, last=last, events=batch
        )
        payload = msgspec.json.encode(envelope)
        message_id = f"{self._router}:{self._epoch}:{first}-{last}"
        pause_s = 0.1
        while True:
            try:
                await bus.append(f"{SUBJECT}.{self._router}", payload, message_id)
            except BusUnavailable as error:
                self._log.warning("usage.not_taken", error=str(error), waiting=len(self._waiting))
                await anyio.sleep(pause_s)
                pause_s = min(RETRY_S_MAX, pause_s * 2)
            else:
                return
