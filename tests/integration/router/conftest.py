"""A running router with a stored catalogue, and the catalogue of another router that follows it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import open_database
from aibridge_common.sealed import Sealer
from aibridge_common.settings import Secret
from aibridge_router.app import SCHEMA
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.seed import seed_catalog
from tests.fixtures.services import (
    SECRETS_KEY,
    TOKEN,
    http_to,
    running_billing,
    running_router,
)

from .stored import catalogue, follows

Connection = Any


@pytest.fixture(scope="module")
async def at(
    router_url: str, billing_url: str, clean_stream: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, str]]:
    """Where billing and a router answer that has the catalogue of `stored`."""
    catalog = catalogue(tmp_path_factory.mktemp("catalogue") / "catalog.toml")
    database = open_database(router_url, SCHEMA)
    await seed_catalog(database, Sealer(Secret(SECRETS_KEY)), catalog)
    await database.dispose()
    async with (
        running_billing(billing_url, clean_stream) as billing,
        running_router(router_url, clean_stream, billing) as router,
    ):
        yield billing, router


@pytest.fixture(scope="module")
async def http(at: tuple[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with http_to(at[1]) as client:
        yield client


@pytest.fixture(scope="module")
async def table(router_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(router_url, server_settings={"search_path": SCHEMA})
    yield connection
    await connection.close()


@pytest.fixture
async def follower(
    at: tuple[str, str], router_url: str, nats_url: str
) -> AsyncIterator[CatalogRefresh]:
    """Another router's catalogue."""
    database = open_database(router_url, SCHEMA)
    billing = BillingClient(at[0], Secret(TOKEN))
    bus = await Bus.connect(nats_url, "follower")
    catalog = CatalogRefresh(
        database, billing, Sealer(Secret(SECRETS_KEY)), SystemClock(), lambda _registry: None
    )
    task = asyncio.create_task(catalog.run(bus))
    await follows(catalog, lambda _registry: True)
    yield catalog
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bus.close()
    await billing.close()
    await database.dispose()
