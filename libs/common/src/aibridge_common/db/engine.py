"""PostgreSQL: one pool per process, one transaction per request or message."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Database = AsyncEngine
Transaction = AsyncConnection


def open_database(url: str, schema: str, *, connections_max: int = 10) -> Database:
    """A pool of connections whose names resolve in `schema`.

    The limits make a stuck statement an error within seconds instead of a stuck service.
    """
    return create_async_engine(
        asyncpg_url(url),
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,  # an error names the statement, never what was in it
        connect_args={
            "timeout": 5,
            "server_settings": {
                "search_path": schema,
                "timezone": "UTC",
                "statement_timeout": "5s",
                "lock_timeout": "2s",
                "idle_in_transaction_session_timeout": "10s",
                "application_name": f"aibridge-{schema}",
            },
        },
    )


@asynccontextmanager
async def transaction(database: Database) -> AsyncGenerator[Transaction]:
    """Commit at the end, roll back on any error. Raises `TimeoutError` when no connection became free in time."""
    try:
        async with database.begin() as connection:
            yield connection
    except (
        PoolTimeout
    ) as error:  # which is no TimeoutError, so that loops which outlive those would end
        raise TimeoutError("no database connection became free in time") from error


async def answers(database: Database) -> bool:
    """Whether the database answers a trivial query now."""
    try:
        async with database.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (OSError, TimeoutError, PoolTimeout, DBAPIError):
        return False
    return True


_AWAY = ("08", "53", "57", "55P03", "40")
"""SQLSTATE: no connection, no resources, ended or cancelled by the operator or a time limit, not locked in time,
undone for another transaction's sake."""


def is_away(error: DBAPIError) -> bool:
    """Whether the database could not do it now and might another time; else the statement is at fault."""
    state: str = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_AWAY)


def asyncpg_url(url: str) -> str:
    """`url` with the driver named: the default driver is another one. Raises ValueError."""
    scheme, separator, rest = url.partition("://")
    if scheme not in {"postgresql", "postgres", "postgresql+asyncpg"}:
        raise ValueError("a database URL starts with postgresql://")
    return f"postgresql+asyncpg{separator}{rest}"
