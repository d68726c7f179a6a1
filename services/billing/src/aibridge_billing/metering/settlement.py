"""From envelopes to the ledger: price every event, settle the batch, set aside what cannot be settled."""

from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Charge, Settled, settle
from aibridge_billing.metering.dead_letters import bury
from aibridge_billing.pricing.book import PriceBook
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.usage import UsageEnvelope, UsageRecorded
from aibridge_common.structs import Event
from aibridge_common.telemetry.log import get_logger


class _Opened(Event, frozen=True, kw_only=True, tag_field="type", tag="usage.recorded.v1"):
    """A `UsageEnvelope` whose events are still sealed, for when one of them cannot be read."""

    events: list[msgspec.Raw]


class _Unsettled(Struct, frozen=True, kw_only=True):
    """What goes to the dead letters, and why."""

    document: object
    event_id: UUID | None = None
    reason: str


_DECODE = msgspec.json.Decoder(UsageEnvelope).decode
_DECODE_OPENED = msgspec.json.Decoder(_Opened).decode
_DECODE_EVENT = msgspec.json.Decoder(UsageRecorded).decode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

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

        Raises `DBAPIError` when the database is away, locked or misconfigured: nothing is acknowledged then, and it
        comes again. An event that breaks a rule of the ledger is buried and the others are settled.
        """
        charges: list[Charge] = []
        unsettled: list[_Unsettled] = []
        for payload in payloads:
            events, unreadable = _read(payload)
            unsettled += unreadable
            for event in events:
                try:
                    price = await self._prices.price(event)
                except AIBridgeError as error:
                    unsettled.append(_of(event, error.message))
                else:
                    charges.append(Charge(event=event, charge_microtokens=price))
        settled = await self._settle(charges)
        for letter in unsettled:
            await self._bury(letter)
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
                await self._bury(_of(charge.event, str(error.orig)))
            else:
                applied += one.applied
                duplicates += one.duplicates
        return Settled(applied=applied, duplicates=duplicates)

    async def _bury(self, letter: _Unsettled) -> None:
        self._log.error("usage.dead_letter", event_id=str(letter.event_id), reason=letter.reason)
        async with transaction(self._database) as tx:
            await bury(tx, letter.event_id, letter.document, letter.reason)


def _read(payload: bytes) -> tuple[list[UsageRecorded], list[_Unsettled]]:
    """The envelope's events, and what in it cannot be read: one bad event must not take the others with it."""
    try:
        return _DECODE(payload).events, []
    except _UNREADABLE as error:
        reason = str(error)
    try:
        sealed = _DECODE_OPENED(payload).events
    except _UNREADABLE:
        return [], [_Unsettled(document=payload.decode("utf-8", "replace"), reason=reason)]
    events: list[UsageRecorded] = []
    unreadable: list[_Unsettled] = []
    for raw in sealed:
        try:
            events.append(_DECODE_EVENT(raw))
        except _UNREADABLE as error:
            text = bytes(raw).decode("utf-8", "replace")
            unreadable.append(_Unsettled(document=text, reason=str(error)))
    return events, unreadable


def _of(event: UsageRecorded, reason: str) -> _Unsettled:
    return _Unsettled(document=event, event_id=event.event_id, reason=reason)


def _is_the_events_fault(error: DBAPIError) -> bool:
    """Whether the same event would be refused again: a constraint or a value, as opposed to the database's state."""
    sqlstate = str(getattr(error.orig, "sqlstate", ""))
    return sqlstate[:2] in _RULE_BROKEN or sqlstate == _RAISED_BY_THE_LEDGER
