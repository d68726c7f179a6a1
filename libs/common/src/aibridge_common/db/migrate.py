"""Apply a service's migrations (Alembic) in order, one runner at a time, in the service's own schema."""

import asyncio
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aibridge_common.db.engine import asyncpg_url

_LOCK = 7_403_001
"""Advisory lock: two replicas that start together must not migrate together."""


def migrate(url: str, schema: str, migrations: Path) -> str:
    """Bring `schema` to the newest version this code knows; returns the version it then has.

    Safe to call again at any time. A schema that is already newer is left as it is: during a rollout old and new code
    run side by side, and migrations only ever add.
    """
    return asyncio.run(_migrate(url, schema, migrations))


def execute_script(operations: Any, path: Path) -> None:
    """Run a file of SQL statements inside the migration's transaction."""
    script = path.read_text(encoding="utf-8")

    async def run(driver: Any) -> None:
        await driver.execute(script)

    operations.get_bind().connection.dbapi_connection.run_async(run)


async def _migrate(url: str, schema: str, migrations: Path) -> str:
    engine = create_async_engine(
        asyncpg_url(url),
        poolclass=NullPool,
        connect_args={"server_settings": {"search_path": schema, "lock_timeout": "5s"}},
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
            return await connection.run_sync(_upgrade, schema, migrations)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, schema: str, migrations: Path) -> str:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head() or ""

    known = {revision.revision for revision in script.walk_revisions()}
    applied = ""

    def steps(revision: Any, _context: Any) -> Any:
        nonlocal applied
        applied = head
        newer = [name for name in revision if name not in known]
        if newer:
            applied = newer[0]
            return []
        return script._upgrade_revs("head", revision)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    with EnvironmentContext(config, script, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table_schema=schema)
        with environment.begin_transaction():
            environment.run_migrations()
    return applied
