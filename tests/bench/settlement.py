"""How fast one billing process settles: from NATS to COMMIT, real servers, on the cores this machine has.

`python -m bench.settlement` prints events per second with one hot account and with many. Envelopes lie in the stream
before the clock starts, as they would after an outage.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from aibridge_billing.app import SCHEMA
from aibridge_billing.cli import MIGRATIONS
from aibridge_billing.ledger.audit import violations
from aibridge_billing.metering.consumer import UsageConsumer, usage_stream
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.seed import seed_catalog, seed_demo_account
from aibridge_common.bus.nats import Bus
from aibridge_common.catalog import load_catalog, shipped_catalog_path
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import Database, open_database, transaction
from aibridge_common.db.migrate import migrate
from aibridge_common.events.usage import (
    SUBJECT,
    Outcome,
    UsageEnvelope,
    UsageRecorded,
    UsageSource,
)
from aibridge_common.ids import uuid7
from aibridge_common.usage import Usage
from aibridge_devstack.servers import Servers, servers
from aibridge_router.spool.records import encode_event

EVENTS_PER_S_MIN = 10_000
ENVELOPE_EVENTS = 200
MANY = 1000


async def main(events: int, rounds: int) -> bool:
    """Whether every figure is above its bound."""
    with tempfile.TemporaryDirectory() as folder:
        async with servers(Path(folder)) as running:
            await asyncio.to_thread(migrate, running.database_url, SCHEMA, MIGRATIONS)
            database = open_database(running.database_url, SCHEMA)
            try:
                return await measure(running, database, events, rounds)
            finally:
                await database.dispose()


async def measure(running: Servers, database: Database, events: int, rounds: int) -> bool:
    catalog = load_catalog(shipped_catalog_path())
    await seed_catalog(database, catalog)
    accounts = [uuid7() for _ in range(MANY)]
    for account in accounts:
        await seed_demo_account(database, catalog, account)
    best = dict.fromkeys(("one hot account", f"{MANY} accounts"), 0.0)
    for number in range(rounds):
        for name, used in zip(best, (accounts[:1], accounts), strict=True):
            speed = await settle(running, database, used, events, epoch=2 * number + len(used))
            sys.stdout.write(f"{name}: {speed:,.0f} events/s\n")
            best[name] = max(best[name], speed)
    async with transaction(database) as tx:
        broken = await violations(tx)
    for name, speed in best.items():
        sys.stdout.write(f"best, {name}: {speed:,.0f} events/s (bound {EVENTS_PER_S_MIN:,})\n")
    sys.stdout.write(f"{len(broken)} violations\n")
    return not broken and min(best.values()) >= EVENTS_PER_S_MIN


async def settle(
    running: Servers, database: Database, accounts: list[UUID], events: int, epoch: int
) -> float:
    """Events per second."""
    bus = await Bus.connect(running.nats_url, "bench")
    await bus.ensure_stream(usage_stream(1))
    for number in range(events // ENVELOPE_EVENTS):
        payload = envelope(accounts, epoch, number)
        await bus.append(f"{SUBJECT}.bench", payload, f"{epoch}:{number}")
    before = await count(database)
    consumer = UsageConsumer(bus, Settlement(database, PriceBook(database)), SystemClock())
    began_s = time.perf_counter()
    task = asyncio.ensure_future(consumer.run())
    while await count(database) < before + events:  # noqa: ASYNC110 - the database has no event
        await asyncio.sleep(0.02)
    took_s = time.perf_counter() - began_s
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bus.close()
    return events / took_s


async def count(database: Database) -> int:
    async with transaction(database) as tx:
        row = await tx.execute(
            text("SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM spool_applied")
        )
        return int(row.scalar_one())


def envelope(accounts: list[UUID], epoch: int, number: int) -> bytes:
    first = number * ENVELOPE_EVENTS + 1
    recorded = [
        UsageRecorded(
            event_id=uuid7(),
            account_id=accounts[(first + offset) % len(accounts)],
            key_id=accounts[0],
            lease_id=None,
            requested_model="gpt-4o",
            billed_model="gpt-4o",
            provider="openai",
            price_version=1,
            usage=Usage(input=1000, cache_read=400, output=20),
            source=UsageSource.FINAL,
            outcome=Outcome.COMPLETED,
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
            endpoint="openai_chat",
            stream=True,
            first_content_ms=120,
            total_ms=900,
        )
        for offset in range(ENVELOPE_EVENTS)
    ]
    return encode_event(
        UsageEnvelope(
            router="bench",
            epoch=epoch,
            first=first,
            last=first + ENVELOPE_EVENTS - 1,
            events=recorded,
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    sys.exit(0 if asyncio.run(main(asked.events, asked.rounds)) else 1)
