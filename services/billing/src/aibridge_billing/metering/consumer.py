"""The loop between JetStream and the ledger: fetch, settle, commit, tell the routers, then acknowledge."""

import random

import anyio
from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Settled
from aibridge_billing.metering.settlement import Settlement
from aibridge_common.bus.nats import (
    Bus,
    BusUnavailable,
    Message,
    StreamSpec,
    acknowledge,
    kept_in_progress,
)
from aibridge_common.clock import Clock
from aibridge_common.events.usage import APPLIED_SUBJECT, STREAM, SUBJECT
from aibridge_common.telemetry.log import get_logger

FETCH_MESSAGES_MAX = 16
FETCH_TIMEOUT_S = 1.0
RETRY_S = 5.0
IN_PROGRESS_EVERY_S = 20.0
"""A third of the time after which the bus delivers again what nobody acknowledged."""

IDLE_FETCHES_MAX = 10
"""A stream that is gone looks like one in which nothing happens: after so many seconds of that it is made sure of."""


def usage_stream(replicas: int) -> StreamSpec:
    """The durable stream of usage envelopes."""
    return StreamSpec(name=STREAM, subjects=[f"{SUBJECT}.>"], replicas=replicas)


class Counters(Struct, frozen=True, kw_only=True):
    """What to watch; all but the lags count since the start of the process."""

    applied: int
    duplicates: int
    dead_letters: int
    waiting_messages: int
    """Envelopes that the bus had not delivered at the last delivery."""
    lag_s: float
    """How old the oldest envelope of the last delivery was."""


class UsageConsumer:
    """Settles usage until its scope is cancelled.

    A crash between commit and acknowledgement redelivers; the primary key makes that harmless.
    """

    def __init__(self, bus: Bus, settlement: Settlement, clock: Clock, replicas: int = 1) -> None:
        self._bus = bus
        self._settlement = settlement
        self._clock = clock
        self._stream = usage_stream(replicas)
        self._log = get_logger()
        self._applied = self._duplicates = self._waiting = 0
        self._lag_s = 0.0

    @property
    def counters(self) -> Counters:
        """What to watch, now."""
        return Counters(
            applied=self._applied,
            duplicates=self._duplicates,
            dead_letters=self._settlement.buried,
            waiting_messages=self._waiting,
            lag_s=self._lag_s,
        )

    async def run(self) -> None:
        """Fetch and settle for ever. A bus that lost the stream gets it again."""
        while True:
            try:
                await self._bus.ensure_stream(self._stream)
                await self._consume()
            except BusUnavailable as error:
                self._log.warning("usage.bus_unavailable", error=str(error))
                await anyio.sleep(RETRY_S)

    async def _consume(self) -> None:
        consumer = await self._bus.consumer(STREAM, "billing", f"{SUBJECT}.>")
        idle = 0
        try:
            while idle < IDLE_FETCHES_MAX:
                messages = await consumer.fetch(FETCH_MESSAGES_MAX, FETCH_TIMEOUT_S)
                idle = 0 if messages else idle + 1
                if messages:
                    async with kept_in_progress(messages, IN_PROGRESS_EVERY_S):
                        await self._settle(messages)
        finally:
            await consumer.close()

    async def _settle(self, messages: list[Message]) -> None:
        try:
            settled = await self._settlement.apply([message.data for message in messages])
        except (DBAPIError, OSError, TimeoutError) as error:
            self._log.warning("usage.database_unavailable", error=type(error).__name__)
            retry_s = RETRY_S * random.uniform(0.5, 1.5)  # noqa: S311 - spreads the retries
            for message in messages:
                await message.retry_later(retry_s)
            return
        self._count(messages, settled)
        for router in {message.subject.removeprefix(f"{SUBJECT}.") for message in messages}:
            await self._bus.hint(f"{APPLIED_SUBJECT}.{router}")
        await acknowledge(messages)

    def _count(self, messages: list[Message], settled: Settled) -> None:
        self._applied += settled.applied
        self._duplicates += settled.duplicates
        self._waiting = messages[-1].waiting
        oldest_at = min(message.stored_at for message in messages)
        self._lag_s = (self._clock.now() - oldest_at).total_seconds()
        if settled.duplicates:
            self._log.info("usage.duplicates", count=settled.duplicates)
