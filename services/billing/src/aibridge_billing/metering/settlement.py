"""From envelopes to the ledger: price every event, settle the batch, set aside what cannot be settled."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Charge, Settled, settle
from aibridge_billing.metering.applied import Numbers, note_applied
from aibridge_billing.metering.dead_letters import bury
from aibridge_billing.metering.own_keys import count_own_usage, uncountable
from aibridge_billing.pricing.book import PriceBook
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.usage import UsageEnvelope, UsageRecorded
from aibridge_common.structs import Event
from aibridge_common.telemetry.log import get_logger


class _Opened(Event, frozen=True, kw_only=True, tag_field="type", tag="usage.recorded.v1"):
    """A `UsageEnvelope` whose events are still sealed, for when one of them cannot be read."""

    router: str
    epoch: int
    first: int
    last: int
    events: list[msgspec.Raw]


class _Named(Struct, frozen=True):
    """As much of an event that cannot be read as keeps it from being buried twice."""

    event_id: UUID


class _Unsettled(Struct, frozen=True, kw_only=True):
    """What goes to the dead letters, and why."""

    document: object
    event_id: UUID | None = None
    reason: str


class _Read(Struct, frozen=True, kw_only=True):
    """What an envelope holds: its numbers, if they can be believed, and its events."""

    numbers: Numbers | None = None
    events: list[UsageRecorded] = []
    unreadable: list[_Unsettled] = []


_DECODE = msgspec.json.Decoder(UsageEnvelope).decode
_DECODE_OPENED = msgspec.json.Decoder(_Opened).decode
_DECODE_EVENT = msgspec.json.Decoder(UsageRecorded).decode
_DECODE_NAMED = msgspec.json.Decoder(_Named).decode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_RULE_BROKEN = frozenset({"22", "23"})
"""SQLSTATE classes: data exception, integrity constraint violation."""

_RAISED_BY_THE_LEDGER = "P0001"

_SEQUENCE_MAX = 2**63 - 1

_NOTHING = Settled(applied=0, duplicates=0)

Refused = tuple[Charge, str]
"""A charge that breaks a rule of the ledger, and which."""

Settle = Callable[[Transaction, list[Charge], list[Refused]], Awaitable[Settled]]


class Settlement:
    """Settles what the bus delivers; the same delivery twice has the effect of one."""

    def __init__(self, database: Database, prices: PriceBook) -> None:
        self._database = database
        self._prices = prices
        self._log = get_logger()
        self.buried = 0
        """Events that went to the dead letters since the start."""

    async def apply(self, payloads: list[bytes]) -> Settled:
        """Settle a batch of envelopes, and note it for their routers, in one transaction.

        Raises `DBAPIError` when the database is away, locked or misconfigured: nothing is acknowledged then, and it
        comes again. An event that breaks a rule of the ledger is buried and the others are settled.
        """
        read = [_read(payload) for payload in payloads]
        charges: list[Charge] = []
        own: list[UsageRecorded] = []
        unsettled: list[_Unsettled] = []
        for envelope in read:
            unsettled += envelope.unreadable
            for event in envelope.events:
                reason = event.doubt or (uncountable(event) if event.own_key else None)
                if reason is not None:
                    unsettled.append(_of(event, reason))
                    continue
                if event.own_key:
                    own.append(event)
                    continue
                try:
                    price = await self._prices.price(event)
                except AIBridgeError as error:
                    unsettled.append(_of(event, error.message))
                else:
                    charges.append(Charge(event=event, charge_microtokens=price))
        numbers = [envelope.numbers for envelope in read if envelope.numbers is not None]
        try:
            settled, buried = await self._commit(charges, own, unsettled, numbers, settle_all)
        except DBAPIError as error:
            if not is_the_events_fault(error):
                raise
            settled, buried = await self._commit(charges, own, unsettled, numbers, settle_the_good)
        for letter in buried:
            self._log.error(
                "usage.dead_letter", event_id=str(letter.event_id), reason=letter.reason
            )
        self.buried += len(buried)
        return settled

    async def _commit(
        self,
        charges: list[Charge],
        own: list[UsageRecorded],
        unsettled: list[_Unsettled],
        numbers: list[Numbers],
        settle_them: Settle,
    ) -> tuple[Settled, list[_Unsettled]]:
        async with transaction(self._database) as tx:
            refused: list[Refused] = []
            settled = await settle_them(tx, charges, refused)
            letters = [*unsettled, *(_of(charge.event, reason) for charge, reason in refused)]
            for letter in letters:
                await bury(tx, letter.event_id, letter.document, letter.reason)
            counted = await count_own_usage(tx, own)
            await note_applied(tx, numbers)
        return Settled(
            applied=settled.applied + counted,
            duplicates=settled.duplicates + len(own) - counted,
        ), letters


async def settle_all(tx: Transaction, charges: list[Charge], _refused: list[Refused]) -> Settled:
    """In one statement; one bad event undoes it."""
    return await settle(tx, charges) if charges else _NOTHING


async def settle_the_good(
    tx: Transaction, charges: list[Charge], refused: list[Refused]
) -> Settled:
    """By halves, until what breaks a rule stands alone; accounts in order, so that two consumers lock alike."""
    charges = sorted(charges, key=lambda charge: charge.event.account_id)
    try:
        async with tx.begin_nested():
            return await settle(tx, charges)
    except DBAPIError as error:
        if not is_the_events_fault(error):
            raise
        if len(charges) == 1:
            refused.append((charges[0], str(error.orig)))
            return _NOTHING
    half = len(charges) // 2
    first = await settle_the_good(tx, charges[:half], refused)
    second = await settle_the_good(tx, charges[half:], refused)
    return Settled(
        applied=first.applied + second.applied, duplicates=first.duplicates + second.duplicates
    )


def _read(payload: bytes) -> _Read:
    """One event that cannot be read must not take the others of its envelope with it."""
    try:
        envelope = _DECODE(payload)
    except _UNREADABLE as error:
        reason = str(error)
    else:
        return _Read(numbers=_numbers(envelope), events=envelope.events)
    try:
        opened = _DECODE_OPENED(payload)
    except _UNREADABLE:
        whole = _Unsettled(document=payload.decode("utf-8", "replace"), reason=reason)
        return _Read(unreadable=[whole])
    events: list[UsageRecorded] = []
    unreadable: list[_Unsettled] = []
    for raw in opened.events:
        try:
            events.append(_DECODE_EVENT(raw))
        except _UNREADABLE as error:
            text = bytes(raw).decode("utf-8", "replace")
            unreadable.append(_Unsettled(document=text, event_id=_name(raw), reason=str(error)))
    return _Read(numbers=_numbers(opened), events=events, unreadable=unreadable)


def _numbers(envelope: UsageEnvelope | _Opened) -> Numbers | None:
    """A router believes what is noted and deletes: numbers that do not fit the events are not noted."""
    if not envelope.events:
        return None
    fits = (
        0 < envelope.first <= envelope.last <= _SEQUENCE_MAX
        and envelope.last - envelope.first + 1 == len(envelope.events)
        and 0 <= envelope.epoch <= _SEQUENCE_MAX
        and "\0" not in envelope.router
    )
    if not fits:
        get_logger().error("usage.numbers_do_not_fit", router=envelope.router)
        return None
    return Numbers(
        router=envelope.router, epoch=envelope.epoch, first=envelope.first, last=envelope.last
    )


def _name(raw: msgspec.Raw) -> UUID | None:
    try:
        return _DECODE_NAMED(raw).event_id
    except _UNREADABLE:
        return None


def _of(event: UsageRecorded, reason: str) -> _Unsettled:
    return _Unsettled(document=event, event_id=event.event_id, reason=reason)


def is_the_events_fault(error: DBAPIError) -> bool:
    """Whether the same event would be refused again: a constraint or a value, as opposed to the database's state."""
    sqlstate = str(getattr(error.orig, "sqlstate", ""))
    return sqlstate[:2] in _RULE_BROKEN or sqlstate == _RAISED_BY_THE_LEDGER
