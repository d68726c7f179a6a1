"""`aibridge-router`: serve, migrate, seed, conversion-page."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from aibridge_common.bus.nats import Bus
from aibridge_common.catalog import load_catalog
from aibridge_common.db.engine import open_database
from aibridge_common.db.migrate import migrate
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.changes import CATALOG_CHANGED_SUBJECT
from aibridge_common.sealed import Sealer
from aibridge_common.settings import load
from aibridge_common.telemetry.log import configure
from aibridge_common.web.drain import Drain
from aibridge_common.web.serve import Listen, serve, tune_garbage_collection
from aibridge_router.app import SCHEMA, create_app
from aibridge_router.dialects.page import conversion_page
from aibridge_router.seed import seed_catalog, with_stand_ins
from aibridge_router.settings import PREFIX, Settings

MIGRATIONS = Path(__file__).parent / "migrations"


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="aibridge-router", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="relay requests to the vendors")
    commands.add_parser("migrate", help="bring the schema to the newest version")
    seed = commands.add_parser("seed", help="take providers, models and chains from a file")
    seed.add_argument("--catalog", type=Path, required=True)
    seed.add_argument(
        "--stand-in",
        action="append",
        default=[],
        metavar="PROVIDER=URL",
        help="use this base URL and no real key for a provider",
    )
    commands.add_parser("conversion-page", help="print what conversion keeps, as Markdown")
    arguments = parser.parse_args()
    if arguments.command == "conversion-page":
        print(conversion_page(), end="")
        return
    try:
        settings = load(Settings, os.environ, PREFIX)
        configure("router", settings.log_level)
        _run(arguments, settings)
    except (AIBridgeError, ValueError) as error:
        sys.exit(f"aibridge-router: {error}")


def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    if arguments.command == "serve":
        drain = Drain(settings.drain_s)
        app = create_app(settings, drain)
        tune_garbage_collection()
        serve(app, Listen.parse(settings.listen), drain=drain)
    elif arguments.command == "migrate":
        print(migrate(settings.database_url.reveal(), SCHEMA, MIGRATIONS))
    else:
        stand_ins = dict(entry.partition("=")[::2] for entry in arguments.stand_in)
        asyncio.run(_seed(settings, arguments.catalog, stand_ins))


async def _seed(settings: Settings, path: Path, stand_ins: dict[str, str]) -> None:
    catalog = with_stand_ins(load_catalog(path), stand_ins)
    database = open_database(settings.database_url.reveal(), SCHEMA)
    try:
        keyless = await seed_catalog(database, Sealer(settings.secrets_key), catalog)
    finally:
        await database.dispose()
    for name in keyless:
        print(f"provider {name} has no key: its models cannot be served", file=sys.stderr)
    bus = await Bus.connect(settings.nats_url.reveal(), "router-seed")
    await bus.publish(CATALOG_CHANGED_SUBJECT, b"")
    await bus.close()
