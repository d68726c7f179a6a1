"""The composition root of the router."""

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

import anyio
from litestar import Litestar, asgi
from litestar.openapi import OpenAPIConfig
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import Clock, SystemClock
from aibridge_common.db.engine import Database, answers, open_database
from aibridge_common.db.idempotency import run_forgetting
from aibridge_common.dialect import EXACT, NATIVE_PREFIX
from aibridge_common.sealed import Sealer
from aibridge_common.settings import parse_tokens
from aibridge_common.web.database import DATABASE_PROBLEMS
from aibridge_common.web.drain import Drain
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.health import health_routes
from aibridge_common.web.metrics import Measured, metrics_route
from aibridge_common.web.openapi import with_refusals
from aibridge_common.web.overload import Limiter, watch_lag
from aibridge_common.web.problems import problem_details
from aibridge_common.web.tasks import supervised
from aibridge_router.api.admin.catalogue import CatalogueAdministration
from aibridge_router.api.admin.draft import Drafts
from aibridge_router.api.admin.routing import RoutingAdministration
from aibridge_router.api.admin.routing_controllers import admin_api
from aibridge_router.api.own_keys.controllers import own_keys_api
from aibridge_router.api.own_keys.service import OwnKeys
from aibridge_router.api.relay import Relay
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.catalog.registry import Registry
from aibridge_router.credit.wallet import Wallets
from aibridge_router.exchange.exchange import Services
from aibridge_router.exchange.pump import Pumps
from aibridge_router.exchange.repeats import Repeats
from aibridge_router.failover.health import Health
from aibridge_router.failover.walk import further_budget
from aibridge_router.gossip import Gossip
from aibridge_router.limits.meters import KeyMeters
from aibridge_router.metrics import measure
from aibridge_router.settings import Settings
from aibridge_router.spool.spool import Spool
from aibridge_router.upstream.egress import EgressPool
from aibridge_router.upstream.fetch import Fetcher
from aibridge_router.upstream.key_check import KeyChecker
from aibridge_router.upstream.pools import Pools
from aibridge_router.upstream.probe import EgressProber

SCHEMA = "router"
SETTLE_TIMEOUT_S = 10.0
CONFINED = {"gateway": frozenset[str]()}
"""The public paths are for the gateway, the admin API is not."""


class Served(Struct, frozen=True, kw_only=True):
    """What the APIs beside the relay work on."""

    admin: RoutingAdministration
    catalogue: CatalogueAdministration
    own_keys: OwnKeys


class Running:
    """What exists only while the service runs."""

    def __init__(self) -> None:
        self.bus: Bus | None = None
        self.relay: Relay | None = None
        self.catalog: CatalogRefresh | None = None
        self.egress = EgressPool()
        self.served: Served | None = None
        self.measure: Callable[[], list[Measured]] | None = None

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: Litestar copies what it is given, and a copy would stay as things were before start-up."""
        del memo
        return self

    def administration(self) -> RoutingAdministration:
        """What the admin API changes of how requests are routed."""
        return self._served().admin

    def catalogue_administration(self) -> CatalogueAdministration:
        """What the admin API changes of what can be routed to."""
        return self._served().catalogue

    def customers_keys(self) -> OwnKeys:
        """What customers do about their own keys."""
        return self._served().own_keys

    def _served(self) -> Served:
        assert self.served is not None, "the server serves only after start-up"
        return self.served

    async def measured(self) -> list[Measured]:
        """What to watch, now."""
        assert self.measure is not None, "the server serves only after start-up"
        return self.measure()


def _services(
    settings: Settings,
    clock: Clock,
    egress: EgressPool,
    wallets: Wallets,
    spool: Spool,
    meters: KeyMeters,
) -> Services:
    rng = random.Random()  # noqa: S311 - spreads load, guards nothing
    return Services(
        pools=Pools(),
        egress=egress,
        wallets=wallets,
        spool=spool,
        clock=clock,
        health=Health(rng),
        further=further_budget(),
        fetcher=Fetcher(enabled=settings.fetch_urls),
        rng=rng,
        repeats=Repeats(),
        meters=meters,
    )


def _served(
    settings: Settings,
    database: Database,
    sealer: Sealer,
    bus: Bus,
    catalog: CatalogRefresh,
    services: Services,
) -> Served:
    drafts = Drafts(database, sealer, bus)
    checker = KeyChecker(services.pools, services.egress, services.clock)
    return Served(
        admin=RoutingAdministration(
            drafts, services.egress, services.health, services.clock, settings.name
        ),
        catalogue=CatalogueAdministration(
            drafts, checker, private_providers=settings.private_providers
        ),
        own_keys=OwnKeys(database, sealer, bus, catalog, checker),
    )


def create_app(settings: Settings, drain: Drain) -> Litestar:
    """The relay, the admin API and the health routes."""
    guard = ServiceGuard(parse_tokens(settings.service_tokens), CONFINED)
    sealer = Sealer(settings.secrets_key)
    clock = SystemClock()
    database = open_database(settings.database_url.reveal(), SCHEMA, connections_max=4)
    state = Running()

    async def relay(scope: Scope, receive: Receive, send: Send) -> None:
        assert state.relay is not None, "the server serves only after start-up"
        await state.relay(scope, receive, send)

    async def database_ready() -> bool:
        return await answers(database)

    async def bus_ready() -> bool:
        return state.bus is not None and state.bus.connected

    async def catalog_ready() -> bool:
        return state.catalog is not None and state.catalog.registry is not None

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncGenerator[None]:
        bus = state.bus = await Bus.connect(settings.nats_url.reveal(), settings.name)
        billing = BillingClient(settings.billing_url, settings.service_token)
        spool = Spool(
            Path(settings.spool_dir), settings.name, clock, bytes_max=settings.spool_bytes_max
        )
        pumps = Pumps()
        wallets = Wallets(billing, clock, settings.name)
        services = _services(
            settings, clock, state.egress, wallets, spool, KeyMeters(billing, clock)
        )
        state.measure = partial(measure, spool, pumps)
        pools, health = services.pools, services.health
        egress = state.egress

        def on_loaded(registry: Registry) -> None:
            egress.configure(registry.egresses)
            pools.keep_only(registry.egresses)

        catalog = state.catalog = CatalogRefresh(database, billing, sealer, clock, on_loaded)
        prober = EgressProber(egress, pools, catalog.base_urls, clock)
        state.served = _served(settings, database, sealer, bus, catalog, services)
        limiter = Limiter(settings.concurrency_max, settings.lag_max_ms / 1000)
        state.relay = Relay(guard, catalog, services, pumps, limiter, drain)
        drain.on_last_call(pumps.cut)
        gossip = Gossip(health, clock, settings.name)
        background: dict[str, Callable[[], Awaitable[None]]] = {
            "catalog": partial(catalog.run, bus),
            "spool": partial(spool.run, bus, billing, wallets.applied),
            "wallets": partial(wallets.run, bus),
            "egress": prober.run,
            "pumps": pumps.watch,
            "gossip": partial(gossip.run, bus),
            "overload": partial(watch_lag, limiter),
            "forgetting": partial(run_forgetting, database),
        }
        try:
            async with anyio.create_task_group() as tasks:
                for name, work in background.items():
                    tasks.start_soon(supervised, name, work)
                yield
                await pumps.drain(drain.remaining_s)
                await spool.drain(SETTLE_TIMEOUT_S)
                await wallets.give_all_back()
                tasks.cancel_scope.cancel()
        finally:
            pools.close()
            spool.close()
            await billing.close()
            await bus.close()
            await database.dispose()

    paths = [path for path in EXACT if not path.endswith("/models")]
    return with_refusals(
        Litestar(
            [
                admin_api(guard, state.administration, state.catalogue_administration),
                own_keys_api(guard, state.customers_keys),
                asgi(paths, copy_scope=False)(relay),
                *(
                    asgi(prefix, is_mount=True, copy_scope=False)(relay)
                    for prefix in (NATIVE_PREFIX, "/v1/models", "/v1beta/models")
                ),
                metrics_route(guard, state.measured),
                *health_routes(
                    {
                        "accepting": drain.accepting,
                        "database": database_ready,
                        "bus": bus_ready,
                        "catalog": catalog_ready,
                    }
                ),
            ],
            plugins=[problem_details(DATABASE_PROBLEMS)],
            lifespan=[running],
            openapi_config=OpenAPIConfig(title="AI-Bridge router", version="1"),
            logging_config=None,
        )
    )
