"""Throwaway PostgreSQL and NATS for tests and benchmarks."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from aibridge_devstack.echo import Echo
from aibridge_devstack.nats import nats_service, nats_url
from aibridge_devstack.ports import free_ports
from aibridge_devstack.postgres import ensure_cluster, postgres_service, postgres_url
from aibridge_devstack.supervisor import Supervisor


class Servers(Struct, frozen=True, kw_only=True):
    """Where a running pair of servers answers."""

    database_url: str
    """The superuser's, for the database `postgres`."""
    nats_url: str


@asynccontextmanager
async def servers(folder: Path) -> AsyncGenerator[Servers]:
    """Both servers, data and log in `folder`, until the context is left or this process dies."""
    with (folder / "servers.log").open("w", encoding="utf-8") as log:
        async with Supervisor(echo=Echo(log)) as supervisor:
            database_url = await start_postgres(supervisor, folder / "postgres")
            bus_url = await start_nats(supervisor, folder / "nats")
            yield Servers(database_url=database_url, nats_url=bus_url)


async def start_postgres(supervisor: Supervisor, folder: Path) -> str:
    """A new cluster under this supervisor; its superuser's URL of the database `postgres`."""
    password = secrets.token_urlsafe(16)
    [port] = free_ports(1)
    await ensure_cluster(supervisor, folder, password=password, throwaway=True)
    await supervisor.start(postgres_service(folder, port=port, password=password))
    return postgres_url(port=port, password=password, database="postgres")


async def start_nats(supervisor: Supervisor, folder: Path) -> str:
    """A new server under this supervisor; its URL with user and password."""
    password = secrets.token_urlsafe(16)
    port, monitor_port = free_ports(2)
    await supervisor.start(
        nats_service(folder, port=port, monitor_port=monitor_port, password=password)
    )
    return nats_url(port=port, password=password)
