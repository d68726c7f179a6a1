"""Which usage of which router run is committed; a router deletes from its disk only what stands here."""

import anyio
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aibridge_common.contracts.billing import AppliedRange, SpoolApplied, SpoolEpoch
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.telemetry.log import get_logger

COMPACT_EVERY_S = 5.0
"""Between two times a busy router leaves a few hundred rows."""


class Numbers(Struct, frozen=True, kw_only=True):
    """The sequence numbers of one envelope."""

    router: str
    epoch: int
    first: int
    last: int


async def note_applied(tx: Transaction, envelopes: list[Numbers]) -> None:
    """Part of the transaction that settles them. Noting the same again changes nothing."""
    if not envelopes:
        return
    await tx.execute(
        text(
            "SELECT note_applied(CAST(:router AS text[]), CAST(:epoch AS bigint[]),"
            " CAST(:first AS bigint[]), CAST(:last AS bigint[]))"
        ),
        {
            "router": [each.router for each in envelopes],
            "epoch": [each.epoch for each in envelopes],
            "first": [each.first for each in envelopes],
            "last": [each.last for each in envelopes],
        },
    )


async def spool_applied(tx: Transaction, router: str, epoch_min: int) -> SpoolApplied:
    """What of a router's usage is committed, from its run `epoch_min` on."""
    rows = await tx.execute(
        text("SELECT epoch, first_seq, last_seq FROM spool_ranges(:router, :epoch_min)"),
        {"router": router, "epoch_min": epoch_min},
    )
    epochs: dict[int, list[AppliedRange]] = {}
    for epoch, first, last in rows:
        epochs.setdefault(epoch, []).append(AppliedRange(first=first, last=last))
    return SpoolApplied(
        router=router,
        epochs=[SpoolEpoch(epoch=epoch, applied=ranges) for epoch, ranges in epochs.items()],
    )


async def compact(tx: Transaction) -> int:
    """Make one row of the rows that touch; returns how many went."""
    return int((await tx.execute(text("SELECT compact_spool_applied()"))).scalar_one())


async def run_compaction(database: Database) -> None:
    """Compact for ever; several replicas may."""
    log = get_logger()
    while True:
        await anyio.sleep(COMPACT_EVERY_S)
        try:
            async with transaction(database) as tx:
                await compact(tx)
        except (DBAPIError, OSError, TimeoutError) as error:
            log.warning("spool.compaction_failed", error=type(error).__name__)
