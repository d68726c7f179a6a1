"""The composition root of auth."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from aibridge_auth.accounts.controllers import AccountController
from aibridge_auth.accounts.service import Accounts
from aibridge_auth.api_keys.controllers import ApiKeyController
from aibridge_auth.api_keys.service import ApiKeys
from aibridge_auth.changes.heartbeat import run_heartbeat
from aibridge_auth.changes.notices import Notices
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_auth.settings import Settings
from aibridge_common.bus.nats import Bus
from aibridge_common.db.engine import answers, open_database
from aibridge_common.settings import parse_tokens
from aibridge_common.web.database import DATABASE_PROBLEMS
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.health import health_routes
from aibridge_common.web.problems import problem_details
from aibridge_common.web.tasks import supervised

SCHEMA = "auth"


def create_app(settings: Settings) -> Litestar:
    """Auth's API."""
    database = open_database(settings.database_url.reveal(), SCHEMA)
    hasher = KeyHasher(settings.key_pepper)
    buses: list[Bus] = []

    async def database_ready() -> bool:
        return await answers(database)

    async def bus_ready() -> bool:
        return bool(buses) and buses[0].connected

    def api_keys(state: State) -> ApiKeys:
        return state["api_keys"]

    def accounts(state: State) -> Accounts:
        return state["accounts"]

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncGenerator[None]:
        bus = await Bus.connect(settings.nats_url.reveal(), "auth")
        buses.append(bus)
        notices = Notices(bus)
        app.state["api_keys"] = ApiKeys(database, hasher, notices)
        app.state["accounts"] = Accounts(database, notices)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervised, "heartbeat", partial(run_heartbeat, database, bus))
                yield
                tasks.cancel_scope.cancel()
        finally:
            await bus.close()
            await database.dispose()

    api = Router(
        "/",
        route_handlers=[ApiKeyController, AccountController],
        guards=[ServiceGuard(parse_tokens(settings.service_tokens))],
    )
    return Litestar(
        [api, *health_routes({"database": database_ready, "bus": bus_ready})],
        dependencies={
            "keys": Provide(api_keys, sync_to_thread=False),
            "accounts": Provide(accounts, sync_to_thread=False),
        },
        plugins=[problem_details(DATABASE_PROBLEMS)],
        lifespan=[running],
        openapi_config=OpenAPIConfig(title="AI-Bridge auth", version="1"),
        logging_config=None,
    )
