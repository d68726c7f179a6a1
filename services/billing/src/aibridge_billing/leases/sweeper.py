"""Frees reservations whose holders never came back."""

import anyio
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.reservations import sweep
from aibridge_common.db.engine import Database, transaction
from aibridge_common.telemetry.log import get_logger

EVERY_S = 5.0


async def run_sweeper(database: Database) -> None:
    """Sweep for ever; several replicas may, each release is idempotent."""
    log = get_logger()
    while True:
        await anyio.sleep(EVERY_S)
        try:
            async with transaction(database) as tx:
                freed = await sweep(tx)
        except (DBAPIError, OSError, TimeoutError) as error:
            log.warning("leases.sweep_failed", error=type(error).__name__)
            continue
        if freed:
            log.warning("leases.expired", count=freed)
