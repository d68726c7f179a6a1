"""What routers tell each other about the ways to the vendors. No store, and nothing a request waits for."""

import anyio
import msgspec

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.clock import Clock
from aibridge_common.structs import Event
from aibridge_common.telemetry.log import get_logger
from aibridge_router.failover.health import Health, Notice

SUBJECT = "router.v1.health"
EVERY_S = 0.2
"""Changes of a fifth of a second travel together; a vendor that dies opens many ways at once."""


class HealthChanged(Event, frozen=True, kw_only=True, tag_field="type", tag="router.health.v1"):
    """What one router noticed."""

    router: str
    notices: list[Notice]


_decode = msgspec.json.Decoder(HealthChanged).decode


class Gossip:
    """Sends this router's changes and hears those of the others."""

    def __init__(self, health: Health, clock: Clock, name: str) -> None:
        self._health = health
        self._clock = clock
        self._name = name
        self._log = get_logger()

    async def run(self, bus: Bus) -> None:
        """Listen and tell for ever; what cannot be told is seen by the others themselves."""
        await bus.subscribe(SUBJECT, self.on_message)
        while True:
            await anyio.sleep(EVERY_S)
            notices = self._health.take_notices()
            if not notices:
                continue
            for notice in notices:
                self._log.warning("way.changed", **msgspec.to_builtins(notice))
            event = HealthChanged(router=self._name, notices=notices)
            try:
                await bus.publish(SUBJECT, msgspec.json.encode(event))
            except BusUnavailable as error:
                self._log.warning("gossip.not_sent", error=str(error))

    async def on_message(self, payload: bytes) -> None:
        """Another router, or this one, told something."""
        try:
            event = _decode(payload)
        except msgspec.DecodeError as error:
            self._log.warning("gossip.not_read", error=str(error))
            return
        if event.router == self._name:
            return
        for notice in event.notices:
            self._health.hear(self._clock.monotonic_s(), notice)
