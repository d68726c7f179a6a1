"""Settle what was buried, once its reason is gone: a price was added, an account opened, a fault mended."""

from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Charge, settle
from aibridge_billing.metering.settlement import is_the_events_fault
from aibridge_billing.pricing.book import PriceBook
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.usage import UsageRecorded


class Replayed(Struct, frozen=True, kw_only=True):
    """What became of one dead letter."""

    letter_id: int
    event_id: UUID | None
    charge_microtokens: int = 0
    is_duplicate: bool = False
    """It had been charged already."""
    refused: str | None = None
    """Why it stays where it is; None when it is settled."""


async def replay_dead_letters(
    database: Database, prices: PriceBook, *, dry_run: bool, accept_doubtful: bool = False
) -> list[Replayed]:
    """Try every unresolved letter, the oldest first, each in a transaction of its own; `dry_run` undoes it.

    `accept_doubtful` charges counts that the router did not believe: somebody has asked the provider.
    """
    async with transaction(database) as tx:
        rows = await tx.execute(
            text("SELECT id, payload FROM usage_dead_letter WHERE resolved_at IS NULL ORDER BY id")
        )
        letters = [(row.id, row.payload) for row in rows]
    return [
        await _replay(
            database, prices, letter_id, payload, dry_run=dry_run, accept_doubtful=accept_doubtful
        )
        for letter_id, payload in letters
    ]


async def _replay(
    database: Database,
    prices: PriceBook,
    letter_id: int,
    payload: object,
    *,
    dry_run: bool,
    accept_doubtful: bool,
) -> Replayed:
    try:
        event = _event(payload)
    except (msgspec.MsgspecError, ValueError) as error:
        return Replayed(letter_id=letter_id, event_id=None, refused=f"cannot be read: {error}")
    done = Replayed(letter_id=letter_id, event_id=event.event_id)
    if event.doubt is not None and not accept_doubtful:
        return msgspec.structs.replace(done, refused=event.doubt)
    try:
        price = await prices.price(event)
        async with database.connect() as tx:
            settled = await settle(tx, [Charge(event=event, charge_microtokens=price)])
            await _resolve(tx, letter_id)
            await (tx.rollback() if dry_run else tx.commit())
    except AIBridgeError as error:
        return msgspec.structs.replace(done, refused=error.message)
    except DBAPIError as error:
        if not is_the_events_fault(error):
            raise
        return msgspec.structs.replace(done, refused=str(error.orig))
    return msgspec.structs.replace(
        done, charge_microtokens=price, is_duplicate=settled.applied == 0
    )


async def _resolve(tx: Transaction, letter_id: int) -> None:
    await tx.execute(
        text("UPDATE usage_dead_letter SET resolved_at = now() WHERE id = :id"), {"id": letter_id}
    )


def _event(payload: object) -> UsageRecorded:
    """What could not be read when it came is kept as the text that came; `Raw` can only be read from text."""
    document = payload if isinstance(payload, str) else msgspec.json.encode(payload)
    return msgspec.json.decode(document, type=UsageRecorded)
