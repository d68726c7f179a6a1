"""Dated multipliers. A version, once written, is never changed: old charges keep their price."""

from sqlalchemy import text

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


async def put_multipliers(tx: Transaction, model: str, multipliers: Multipliers) -> int:
    """Make `multipliers` the newest version for `model` from now on, unless they already are; returns the version."""
    newest = [card for card in await rate_cards(tx) if card.model == model][-1:]
    if newest and newest[0].multipliers == multipliers:
        return newest[0].version
    version = newest[0].version + 1 if newest else 1
    await tx.execute(
        text(
            "INSERT INTO rate_card"
            " (model, version, input, output, cache_read, cache_write_5m, cache_write_1h, reasoning)"
            " VALUES (:model, :version, :input, :output, :cache_read, :cache_write_5m, :cache_write_1h, :reasoning)"
        ),
        {
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
