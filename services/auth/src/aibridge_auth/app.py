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
from aibridge_auth.crypto.passwords import Passwords
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_auth.mail.opening import open_mailer
from aibridge_auth.mail.queue import run_queue
from aibridge_auth.people.controllers import PeopleController
from aibridge_auth.sessions.controllers import SessionController
from aibridge_auth.sessions.proofs import Proofs
from aibridge_auth.sessions.store import run_ending
from aibridge_auth.settings import Settings
from aibridge_auth.sign_up.controllers import SignUpController
from aibridge_auth.throttles.throttles import Throttles, tell_standing
from aibridge_common.bus.nats import Bus
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import answers, open_database
from aibridge_common.db.idempotency import run_forgetting
from aibridge_common.sealed import Sealer
from aibridge_common.settings import parse_tokens
from aibridge_common.telemetry.log import get_logger
from aibridge_common.web.audit import AuditController
from aibridge_common.web.caller import calling
from aibridge_common.web.database import DATABASE_PROBLEMS
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.health import health_routes
from aibridge_common.web.idempotency import idempotent
from aibridge_common.web.openapi import with_refusals
from aibridge_common.web.problems import problem_details
from aibridge_common.web.tasks import supervised

SCHEMA = "auth"
CONFINED = {"gateway": frozenset({"VerifyKey"})}
"""The token that meets customers' requests makes no keys and no administrators."""


def create_app(settings: Settings) -> Litestar:
    """Auth's API."""
    database = open_database(settings.database_url.reveal(), SCHEMA)
    hasher = KeyHasher(settings.key_pepper)
    clock = SystemClock()
    throttles = Throttles(database, clock)
    proofs = Proofs(Passwords(), Sealer(hasher.sealing_key(), "app_user"), clock)
    mailer = open_mailer(settings)
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
        app.state["api_keys"] = ApiKeys(database, hasher, notices, clock)
        app.state["accounts"] = Accounts(database, notices)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervised, "heartbeat", partial(run_heartbeat, database, bus))
                tasks.start_soon(supervised, "forgetting", partial(run_forgetting, database))
                tasks.start_soon(supervised, "sessions", partial(run_ending, database))
                tasks.start_soon(supervised, "throttles", throttles.run_forgetting)
                if mailer is not None:
                    tasks.start_soon(supervised, "mail", partial(run_queue, database, mailer))
                else:
                    get_logger().warning(
                        "mail.nowhere",
                        hint="set AIBRIDGE_AUTH_SMTP_URL, or AIBRIDGE_AUTH_OUTBOX_DIR",
                    )
                yield
                tasks.cancel_scope.cancel()
        finally:
            await bus.close()
            await database.dispose()

    guard = ServiceGuard(parse_tokens(settings.service_tokens), CONFINED)
    api = Router(
        "/",
        route_handlers=[
            ApiKeyController,
            AccountController,
            SignUpController,
            SessionController,
            PeopleController,
            AuditController,
        ],
        guards=[guard],
        dependencies={
            "caller": Provide(calling(guard), sync_to_thread=False),
            "call": Provide(idempotent(guard)),
        },
    )
    return with_refusals(
        Litestar(
            [api, *health_routes({"database": database_ready, "bus": bus_ready})],
            dependencies={
                "keys": Provide(api_keys, sync_to_thread=False),
                "accounts": Provide(accounts, sync_to_thread=False),
                "database": Provide(lambda: database, sync_to_thread=False),
                "proofs": Provide(lambda: proofs, sync_to_thread=False),
                "throttles": Provide(lambda: throttles, sync_to_thread=False),
                "notices": Provide(lambda: Notices(buses[0]), sync_to_thread=False),
                "public_url": Provide(lambda: settings.public_url, sync_to_thread=False),
            },
            plugins=[problem_details(DATABASE_PROBLEMS)],
            before_send=[tell_standing],
            lifespan=[running],
            openapi_config=OpenAPIConfig(title="AI-Bridge auth", version="1"),
            logging_config=None,
        )
    )
