"""Dated multipliers. A version, once written, is never changed: old charges keep their price."""

from datetime import datetime

from sqlalchemy import text

from aibridge_common.clock import SystemClock
from aibridge_common.contracts.billing import RateCard
from aibridge_common.db.engine import Transaction
from aibridge_common.usage import Multipliers


async def rate_cards(tx: Transaction) -> list[RateCard]:
    """All rate cards, by model and version."""
    rows = await tx.execute(
        text(
            "SELECT model, version, valid_from, input, output, cache_read, cache_write_5m, cache_write_1h, reasoning"
            " FROM rate_card ORDER BY model, version"
        )
    )
    return [
        RateCard(
            model=row.model,
            version=row.version,
            valid_from=row.valid_from,
            multipliers=Multipliers(
                input=row.input,
                output=row.output,
                cache_read=row.cache_read,
                cache_write_5m=row.cache_write_5m,
                cache_write_1h=row.cache_write_1h,
                reasoning=row.reasoning,
            ),
        )
        for row in rows
    ]


_LOCK = 7_403_011
"""Advisory lock: two that set prices at once must not both make the same version."""


async def put_multipliers(
    tx: Transaction, model: str, multipliers: Multipliers, valid_from: datetime | None = None
) -> int:
    """Make `multipliers` the newest version for `model`, unless they already are; returns the version.

    They hold from `valid_from` on, None for now.
    """
    await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    newest = [card for card in await rate_cards(tx) if card.model == model][-1:]
    begun = [card for card in newest if card.valid_from <= SystemClock().now()]
    if begun and begun[0].multipliers == multipliers and valid_from is None:
        return newest[0].version
    version = newest[0].version + 1 if newest else 1
    await tx.execute(
        text(
            "INSERT INTO rate_card"
            " (model, version, valid_from, input, output, cache_read, cache_write_5m, cache_write_1h, reasoning)"
            " VALUES (:model, :version, coalesce(:valid_from, now()), :input, :output, :cache_read,"
            " :cache_write_5m, :cache_write_1h, :reasoning)"
        ),
        {
            "valid_from": valid_from,
            "model": model,
            "version": version,
            "input": multipliers.input,
            "output": multipliers.output,
            "cache_read": multipliers.cache_read,
            "cache_write_5m": multipliers.cache_write_5m,
            "cache_write_1h": multipliers.cache_write_1h,
            "reasoning": multipliers.reasoning,
        },
    )
    return version
