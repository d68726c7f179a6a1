"""The loop between JetStream and the ledger: fetch, settle, commit, then acknowledge."""

import anyio
from sqlalchemy.exc import DBAPIError

from aibridge_billing.metering.settlement import Settlement
from aibridge_common.bus.nats import Bus, BusUnavailable, Message, StreamSpec
from aibridge_common.events.usage import STREAM, SUBJECT
from aibridge_common.telemetry.log import get_logger

FETCH_MESSAGES_MAX = 16
FETCH_TIMEOUT_S = 1.0
RETRY_S = 2.0


def usage_stream(replicas: int) -> StreamSpec:
    """The durable stream of usage envelopes."""
    return StreamSpec(name=STREAM, subjects=[f"{SUBJECT}.>"], replicas=replicas)


class UsageConsumer:
    """Settles usage until its scope is cancelled.

    A crash between commit and acknowledgement redelivers; the primary key makes that harmless.
    """

    def __init__(self, bus: Bus, settlement: Settlement) -> None:
        self._bus = bus
        self._settlement = settlement
        self._log = get_logger()

    async def run(self) -> None:
        """Fetch and settle for ever."""
        consumer = await self._bus.consumer(STREAM, "billing", f"{SUBJECT}.>")
        while True:
            try:
                messages = await consumer.fetch(FETCH_MESSAGES_MAX, FETCH_TIMEOUT_S)
                if messages:
                    await self._settle(messages)
            except BusUnavailable as error:
                self._log.warning("usage.bus_unavailable", error=str(error))
                await anyio.sleep(RETRY_S)

    async def _settle(self, messages: list[Message]) -> None:
        try:
            settled = await self._settlement.apply([message.data for message in messages])
        except (DBAPIError, OSError, TimeoutError) as error:
            self._log.warning("usage.database_unavailable", error=type(error).__name__)
            for message in messages:
                await message.retry_later(RETRY_S)
            return
        if settled.duplicates:
            self._log.info("usage.duplicates", count=settled.duplicates)
        for message in messages:
            await message.ack()
