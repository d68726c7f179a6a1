"""`aibridge-auth`: serve, migrate, seed, create-admin, new-key."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import msgspec

from aibridge_auth.api_keys.service import ApiKeys
from aibridge_auth.app import SCHEMA, create_app
from aibridge_auth.changes.notices import Notices
from aibridge_auth.crypto.key_format import is_well_formed, new_key
from aibridge_auth.crypto.password import NO_PASSWORD, hash_password
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_auth.settings import PREFIX, SeedSettings, Settings
from aibridge_auth.users.store import ensure_user
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import open_database, transaction
from aibridge_common.db.migrate import migrate
from aibridge_common.errors import AIBridgeError
from aibridge_common.settings import load
from aibridge_common.telemetry.log import configure
from aibridge_common.web.serve import Listen, serve, tune_garbage_collection

MIGRATIONS = Path(__file__).parent / "migrations"


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="aibridge-auth", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the API")
    commands.add_parser("migrate", help="bring the schema to the newest version")
    commands.add_parser("new-key", help="print a fresh well-formed key; it is not stored")
    admin = commands.add_parser(
        "create-admin", help="add an administrator; the password is in AIBRIDGE_AUTH_ADMIN_PASSWORD"
    )
    admin.add_argument("--email", required=True)
    seed = commands.add_parser("seed", help="add an administrator and a demo customer with a key")
    seed.add_argument("--admin-email", required=True)
    seed.add_argument("--demo-email", required=True)
    arguments = parser.parse_args()
    if arguments.command == "new-key":
        print(new_key())
        return
    try:
        settings = load(Settings, os.environ, PREFIX)
        configure("auth", settings.log_level)
        _run(arguments, settings)
    except (AIBridgeError, ValueError) as error:
        sys.exit(f"aibridge-auth: {error}")


def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    if arguments.command == "serve":
        app = create_app(settings)
        tune_garbage_collection()
        serve(app, Listen.parse(settings.listen), drain_s=30)
    elif arguments.command == "migrate":
        print(migrate(settings.database_url.reveal(), SCHEMA, MIGRATIONS))
    elif arguments.command == "create-admin":
        asyncio.run(_create_admin(settings, arguments.email))
    else:
        asyncio.run(_seed(settings, arguments.admin_email, arguments.demo_email))


async def _create_admin(settings: Settings, email: str) -> None:
    password = load(SeedSettings, os.environ, PREFIX).admin_password
    if password is None:
        raise ValueError("AIBRIDGE_AUTH_ADMIN_PASSWORD is not set")
    database = open_database(settings.database_url.reveal(), SCHEMA)
    try:
        async with transaction(database) as tx:
            await ensure_user(
                tx, email=email, password_hash=hash_password(password.reveal()), role="admin"
            )
    finally:
        await database.dispose()


async def _seed(settings: Settings, admin_email: str, demo_email: str) -> None:
    secrets = load(SeedSettings, os.environ, PREFIX)
    if secrets.demo_key is None or not is_well_formed(secrets.demo_key.reveal()):
        raise ValueError("AIBRIDGE_AUTH_DEMO_KEY is not a well-formed key; `new-key` prints one")
    await _create_admin(settings, admin_email)
    database = open_database(settings.database_url.reveal(), SCHEMA)
    try:
        async with transaction(database) as tx:
            account_id = await ensure_user(
                tx,
                email=demo_email,
                password_hash=NO_PASSWORD,
                role="customer",
            )
        keys = ApiKeys(database, KeyHasher(settings.key_pepper), Notices(bus=None), SystemClock())
        issued = await keys.issue(account_id, "demo", secrets.demo_key.reveal())
    finally:
        await database.dispose()
    answer = {"demo_account_id": str(account_id), "demo_key": issued.key}
    print(msgspec.json.encode(answer).decode())
