"""Ends orders that nobody pays, after one last look whether somebody did: a notice may have been lost."""

import anyio
from sqlalchemy.exc import DBAPIError

from aibridge_billing.orders.store import give_up, orders_waiting
from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.protocol import PaymentProvider
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import Unavailable
from aibridge_common.telemetry.log import get_logger

EVERY_S = 60.0


async def run_lookout(database: Database, desk: PaymentDesk) -> None:
    """For ever; several replicas may, every step can be repeated."""
    while True:
        for provider in desk.providers:
            try:
                await end_waiting(database, desk, provider, provider.waits_s)
            except (DBAPIError, OSError, TimeoutError) as error:
                get_logger().warning(
                    "payment.lookout_failed", provider=provider.name, error=type(error).__name__
                )
        await anyio.sleep(EVERY_S)


async def end_waiting(
    database: Database, desk: PaymentDesk, provider: PaymentProvider, waits_s: float
) -> int:
    """How many orders were given up."""
    async with transaction(database) as tx:
        waiting = await orders_waiting(tx, provider.name, waits_s)
    ended = 0
    for order in waiting:
        try:
            await desk.look(order)
        except Unavailable:  # the next round asks again
            continue
        async with transaction(database) as tx:
            ended += await give_up(tx, order.id)
    return ended
