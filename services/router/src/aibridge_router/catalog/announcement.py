"""Tells the running routers that the stored catalogue is another."""

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.events.changes import CATALOG_CHANGED_SUBJECT
from aibridge_common.telemetry.log import get_logger


async def announce(bus: Bus) -> None:
    """After the commit. Should nobody hear it, routers look again by themselves, only later."""
    try:
        await bus.publish(CATALOG_CHANGED_SUBJECT, b"")
    except BusUnavailable as error:
        get_logger().warning("catalog.not_announced", error=str(error))
