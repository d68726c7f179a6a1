"""`aibridge-billing`: serve, migrate, seed, audit, replay-dead-letters, verify-receipts."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

import msgspec

from aibridge_billing.app import SCHEMA, create_app
from aibridge_billing.metering.replay import replay_dead_letters
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.receipts.chain import Link, read_export, verify
from aibridge_billing.receipts.report import audit, render
from aibridge_billing.seed import seed_catalog, seed_demo_account
from aibridge_billing.settings import PREFIX, Settings
from aibridge_common.bus.nats import Bus
from aibridge_common.catalog import load_catalog
from aibridge_common.db.engine import Database, open_database, transaction
from aibridge_common.db.migrate import migrate
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.changes import PRICES_CHANGED_SUBJECT
from aibridge_common.settings import load
from aibridge_common.telemetry.log import configure
from aibridge_common.usage import MICROTOKENS_PER_TOKEN
from aibridge_common.web.serve import Listen, serve, tune_garbage_collection

MIGRATIONS = Path(__file__).parent / "migrations"


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="aibridge-billing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the API and settle usage")
    commands.add_parser("migrate", help="bring the schema to the newest version")
    seed = commands.add_parser("seed", help="take prices and products from a catalogue file")
    seed.add_argument("--catalog", type=Path, required=True)
    seed.add_argument("--demo-account", type=UUID, help="give this account one paid demo order")
    report = commands.add_parser("audit", help="check every invariant and print the sums")
    report.add_argument("--days", type=int, default=7, help="how far back calls are counted")
    replay = commands.add_parser("replay-dead-letters", help="settle what could not be settled")
    replay.add_argument("--dry-run", action="store_true", help="only say what would happen")
    replay.add_argument(
        "--accept-doubtful", action="store_true", help="charge counts that were not believed"
    )
    check = commands.add_parser("verify-receipts", help="check an export, without a database")
    check.add_argument("file", nargs="?", default="-", help="what /v1/receipts gave; - is stdin")
    check.add_argument("--after", type=Link.parse, help="SEQ:HASH of the last one checked before")
    arguments = parser.parse_args()
    if arguments.command == "verify-receipts":
        sys.exit(_verify(arguments))
    try:
        settings = load(Settings, os.environ, PREFIX)
        configure("billing", settings.log_level)
        sys.exit(_run(arguments, settings))
    except (AIBridgeError, ValueError) as error:
        sys.exit(f"aibridge-billing: {error}")


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.command == "serve":
        app = create_app(settings)
        tune_garbage_collection()
        serve(app, Listen.parse(settings.listen), drain_s=30)
        return 0
    if arguments.command == "migrate":
        print(migrate(settings.database_url.reveal(), SCHEMA, MIGRATIONS))
        return 0
    return asyncio.run(_COMMANDS[arguments.command](arguments, settings))


async def _seed(arguments: argparse.Namespace, settings: Settings) -> int:
    catalog = load_catalog(arguments.catalog)
    database = open_database(settings.database_url.reveal(), SCHEMA)
    try:
        await seed_catalog(database, catalog)
        if arguments.demo_account is not None:
            balance = await seed_demo_account(database, catalog, arguments.demo_account)
            print(f'{{"demo_balance_tokens": "{balance // MICROTOKENS_PER_TOKEN}"}}')
    finally:
        await database.dispose()
    bus = await Bus.connect(settings.nats_url.reveal(), "billing-seed")
    await bus.publish(PRICES_CHANGED_SUBJECT, b"")
    await bus.close()
    return 0


async def _audit(arguments: argparse.Namespace, settings: Settings) -> int:
    database: Database = open_database(settings.database_url.reveal(), SCHEMA)
    try:
        async with transaction(database) as tx:
            found = await audit(tx, arguments.days)
    finally:
        await database.dispose()
    print(render(found))
    return 0 if found.sound else 1


def _verify(arguments: argparse.Namespace) -> int:
    """Reads no settings: it works on any machine."""
    try:
        raw = (
            sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
        )
        export = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        print(f"aibridge-billing: {error}", file=sys.stderr)
        return 2
    found = verify(read_export(export), arguments.after)
    if found.misfit is not None:
        print(f"{found.misfit}; the {found.receipts} before it fit")
        return 1
    print(f"{found.receipts} receipts fit; the last is {found.last}")
    return 0


async def _replay(arguments: argparse.Namespace, settings: Settings) -> int:
    database: Database = open_database(settings.database_url.reveal(), SCHEMA)
    try:
        replayed = await replay_dead_letters(
            database,
            PriceBook(database),
            dry_run=arguments.dry_run,
            accept_doubtful=arguments.accept_doubtful,
        )
    finally:
        await database.dispose()
    for letter in replayed:
        print(msgspec.json.encode(letter).decode())
    refused = sum(letter.refused is not None for letter in replayed)
    print(f"{len(replayed) - refused} settled, {refused} refused{_DRY[arguments.dry_run]}")
    return 1 if refused else 0


_DRY = {True: " (dry run: nothing was changed)", False: ""}

_COMMANDS = {"seed": _seed, "audit": _audit, "replay-dead-letters": _replay}
