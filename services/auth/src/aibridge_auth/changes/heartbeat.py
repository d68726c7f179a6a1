"""Tells the gateways every few seconds that auth lives and which change is the newest."""

import anyio
import msgspec
from sqlalchemy.exc import DBAPIError

from aibridge_auth.changes.store import newest_change
from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.db.engine import Database, transaction
from aibridge_common.events.keys import HEARTBEAT_EVERY_S, HEARTBEAT_SUBJECT, AuthHeartbeat
from aibridge_common.telemetry.log import get_logger


async def run_heartbeat(database: Database, bus: Bus) -> None:
    """Beat for ever; a beat that cannot be sent is simply missed."""
    log = get_logger()
    while True:
        try:
            async with transaction(database) as tx:
                sequence = await newest_change(tx)
            await bus.publish(
                HEARTBEAT_SUBJECT, msgspec.json.encode(AuthHeartbeat(sequence=sequence))
            )
        except (DBAPIError, OSError, TimeoutError, BusUnavailable) as error:
            log.warning("keys.heartbeat_missed", error=type(error).__name__)
        await anyio.sleep(HEARTBEAT_EVERY_S)
