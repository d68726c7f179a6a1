"""Tells the gateways at once that they must ask again."""

import msgspec

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.events.keys import CHANGED_SUBJECT, KeysChanged
from aibridge_common.telemetry.log import get_logger


class Notices:
    """Sends what was committed. What is lost is noticed at the next heartbeat; a command has no bus and sends none."""

    def __init__(self, bus: Bus | None) -> None:
        self._bus = bus

    async def send(self, notice: KeysChanged) -> None:
        """Tell whoever listens now; that nobody could be told is logged."""
        if self._bus is None:
            return
        try:
            await self._bus.publish(CHANGED_SUBJECT, msgspec.json.encode(notice))
        except BusUnavailable:
            get_logger().warning(
                "keys.change_not_pushed",
                account_id=str(notice.account_id),
                key_id=str(notice.key_id),
            )
