"""The meters of the keys that are in use, and billing, which knows what was charged before."""

import asyncio
from datetime import datetime
from uuid import UUID

from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import Clock
from aibridge_common.limits import KeyLimits
from aibridge_common.telemetry.log import get_logger
from aibridge_router.limits.meter import KeyMeter, Standing

ASK_EVERY_S = 60.0
FORGOTTEN_AFTER_S = 3600.0
FORGET_EVERY_S = 60.0


class KeyMeters:
    """See the room's README."""

    def __init__(self, billing: BillingClient, clock: Clock) -> None:
        self._billing = billing
        self._clock = clock
        self._meters: dict[UUID, KeyMeter] = {}
        self._asked_at_s: dict[UUID, float] = {}
        """When billing last told what was charged; a key that is not here it was never asked about."""
        self._asking: dict[UUID, asyncio.Future[None]] = {}
        self._looked_at_s = clock.monotonic_s()

    async def admit(self, account_id: UUID, key_id: UUID, limits: KeyLimits) -> Standing:
        """Count one request; what is left.

        Raises `KeyLimitReached`, or `Unavailable` when billing must be asked what was charged and is away.
        """
        now_s = self._clock.monotonic_s()
        meter = self._meters.get(key_id)
        if meter is None:
            self._forget(now_s)
            meter = self._meters[key_id] = KeyMeter(limits, now_s, self._clock.now())
        meter.follow(limits, now_s)
        if meter.limits_spending:
            asked_at_s = self._asked_at_s.get(key_id)
            if asked_at_s is None:
                await asyncio.shield(self._question(account_id, key_id, meter))
            elif now_s - asked_at_s >= ASK_EVERY_S:
                self._question(account_id, key_id, meter)
        now_s = self._clock.monotonic_s()
        meter.enter(now_s, self._clock.now())
        return meter.standing(now_s)

    def charged(self, key_id: UUID, tokens: int, microtokens: int) -> None:
        """One request of a limited key has settled."""
        meter = self._meters.get(key_id)
        if meter is not None:
            now_s = self._clock.monotonic_s()
            meter.charged(now_s, self._clock.now(), tokens, microtokens)

    def _question(self, account_id: UUID, key_id: UUID, meter: KeyMeter) -> asyncio.Future[None]:
        """The one that is on its way, or a new one. Perhaps nobody waits for it."""
        asking = self._asking.get(key_id)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(account_id, key_id, meter))
            self._asking[key_id] = asking

            def answered(question: asyncio.Future[None]) -> None:
                self._asking.pop(key_id, None)
                if not question.cancelled() and (error := question.exception()) is not None:
                    get_logger().warning("limits.not_asked", error=str(error))

            asking.add_done_callback(answered)
        return asking

    async def _ask(self, account_id: UUID, key_id: UUID, meter: KeyMeter) -> None:
        now = self._clock.now()
        rows = await self._billing.usage_of_key(account_id, key_id, _month_of(now))
        charged = [(row.day, int(row.charge_microtokens)) for row in rows]
        today = sum(amount for day, amount in charged if day == now.date())
        meter.spending.learn(now.date(), today, sum(amount for _, amount in charged))
        self._asked_at_s[key_id] = self._clock.monotonic_s()

    def _forget(self, now_s: float) -> None:
        if now_s - self._looked_at_s < FORGET_EVERY_S:
            return
        self._looked_at_s = now_s
        for key_id, meter in list(self._meters.items()):
            if now_s - meter.used_at_s > FORGOTTEN_AFTER_S:
                del self._meters[key_id]
                self._asked_at_s.pop(key_id, None)


def _month_of(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
