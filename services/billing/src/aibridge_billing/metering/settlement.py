"""From envelopes to the ledger: price every event, settle the batch, set aside what cannot be settled."""

import msgspec
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Charge, Settled, settle
from aibridge_billing.metering.dead_letters import bury
from aibridge_billing.pricing.book import PriceBook
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.usage import UsageEnvelope, UsageRecorded
from aibridge_common.telemetry.log import get_logger

_DECODE = msgspec.json.Decoder(UsageEnvelope).decode

_RULE_BROKEN = frozenset({"22", "23"})
"""SQLSTATE classes: data exception, integrity constraint violation."""

_RAISED_BY_THE_LEDGER = "P0001"


class Settlement:
    """Settles what the bus delivers; the same delivery twice has the effect of one."""

    def __init__(self, database: Database, prices: PriceBook) -> None:
        self._database = database
        self._prices = prices
        self._log = get_logger()

    async def apply(self, payloads: list[bytes]) -> Settled:
        """Settle a batch of envelopes in one transaction.

        Raises `DBAPIError` when the database is away, locked or misconfigured: nothing is acknowledged then, and it comes
        again. An event that breaks a rule of the ledger is buried and the others are settled.
        """
        charges: list[Charge] = []
        buried: list[tuple[object, UsageRecorded | None, str]] = []
        for payload in payloads:
            try:
                envelope = _DECODE(payload)
            except msgspec.DecodeError as error:
                buried.append((payload.decode("utf-8", "replace"), None, str(error)))
                continue
            for event in envelope.events:
                try:
                    price = await self._prices.price(event)
                except AIBridgeError as error:
                    buried.append((event, event, error.message))
                else:
                    charges.append(Charge(event=event, charge_microtokens=price))
        settled = await self._settle(charges)
        for document, event, reason in buried:
            await self._bury(document, event, reason)
        return settled

    async def _settle(self, charges: list[Charge]) -> Settled:
        if not charges:
            return Settled(applied=0, duplicates=0)
        try:
            async with transaction(self._database) as tx:
                return await settle(tx, charges)
        except DBAPIError as error:
            if not _is_the_events_fault(error):
                raise
            return await self._settle_one_by_one(charges)

    async def _settle_one_by_one(self, charges: list[Charge]) -> Settled:
        applied = duplicates = 0
        for charge in charges:
            try:
                async with transaction(self._database) as tx:
                    one = await settle(tx, [charge])
            except DBAPIError as error:
                if not _is_the_events_fault(error):
                    raise
                await self._bury(charge.event, charge.event, str(error.orig))
            else:
                applied += one.applied
                duplicates += one.duplicates
        return Settled(applied=applied, duplicates=duplicates)

    async def _bury(self, document: object, event: UsageRecorded | None, reason: str) -> None:
        event_id = event.event_id if event is not None else None
        self._log.error("usage.dead_letter", event_id=str(event_id), reason=reason)
        async with transaction(self._database) as tx:
            await bury(tx, event_id, document, reason)


def _is_the_events_fault(error: DBAPIError) -> bool:
    """Whether the same event would be refused again: a constraint or a value, as opposed to the database's state."""
    sqlstate = str(getattr(error.orig, "sqlstate", ""))
    return sqlstate[:2] in _RULE_BROKEN or sqlstate == _RAISED_BY_THE_LEDGER
