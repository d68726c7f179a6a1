"""The router's API for operators and their tools. Not among the public paths, so no gateway forwards to it."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from litestar import Controller, Router, delete, get, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from aibridge_common.contracts.audit import AuditPage
from aibridge_common.contracts.router import (
    Egress,
    EgressReport,
    ModelChain,
    ModelTimeouts,
    PutChain,
    PutEgress,
    PutRouting,
    PutTimeouts,
    RoutingRules,
    WayReport,
)
from aibridge_common.web.caller import calling
from aibridge_common.web.guard import ServiceGuard
from aibridge_router.api.admin.catalogue import CatalogueAdministration
from aibridge_router.api.admin.catalogue_controllers import (
    PREFIX,
    ModelController,
    ProviderController,
    UpstreamKeyController,
)
from aibridge_router.api.admin.routing import RoutingAdministration

Admin = NamedDependency[RoutingAdministration]


class ChainController(Controller):
    """Which models stand in for one that cannot answer."""

    path, tags = f"{PREFIX}/chains", ["chains"]

    @get(operation_id="ListChains")
    async def list_chains(self, admin: Admin) -> list[ModelChain]:
        """Every chain, by model."""
        return await admin.chains()

    @put("/{model:path}", operation_id="PutChain")
    async def put_chain(
        self,
        model: FromPath[str],
        data: JSONBody[PutChain],
        admin: Admin,
        caller: NamedDependency[str],
    ) -> ModelChain:
        """Make these the backups of a model, in order."""
        return await admin.put_chain(caller, model.strip("/"), data.backups)

    @delete("/{model:path}", operation_id="DeleteChain")
    async def delete_chain(
        self, model: FromPath[str], admin: Admin, caller: NamedDependency[str]
    ) -> None:
        """Let nothing stand in for a model."""
        await admin.delete_chain(caller, model.strip("/"))


class RoutingController(Controller):
    """What holds for every request."""

    path, tags = f"{PREFIX}/routing", ["routing"]

    @get(operation_id="GetRouting")
    async def get_routing(self, admin: Admin) -> RoutingRules:
        """Whether chains are followed, and after how many calls a request ends."""
        return await admin.routing()

    @put(operation_id="PutRouting")
    async def put_routing(
        self, data: JSONBody[PutRouting], admin: Admin, caller: NamedDependency[str]
    ) -> RoutingRules:
        """Switch failover on or off, everywhere. What is left out stays as it is."""
        return await admin.put_routing(caller, data)


class EgressController(Controller):
    """The pool of ways out to the vendors."""

    path, tags = f"{PREFIX}/egresses", ["egresses"]

    @get(operation_id="ListEgresses")
    async def list_egresses(self, admin: Admin) -> EgressReport:
        """Every egress with its health, as the router that answers sees it."""
        return await admin.egresses()

    @put("/{name:path}", operation_id="PutEgress")
    async def put_egress(
        self,
        name: FromPath[str],
        data: JSONBody[PutEgress],
        admin: Admin,
        caller: NamedDependency[str],
    ) -> Egress:
        """Add an egress, or change the one of that name: its URL, its state, or both."""
        return await admin.put_egress(caller, name.strip("/"), data)

    @delete("/{name:path}", operation_id="DeleteEgress")
    async def delete_egress(
        self, name: FromPath[str], admin: Admin, caller: NamedDependency[str]
    ) -> None:
        """Remove an egress that no provider names; what runs through it goes on."""
        await admin.delete_egress(caller, name.strip("/"))


class TimeoutController(Controller):
    """How long an attempt at a model may take."""

    path, tags = f"{PREFIX}/timeouts", ["timeouts"]

    @get(operation_id="ListTimeouts")
    async def list_timeouts(self, admin: Admin) -> list[ModelTimeouts]:
        """Every model's timers."""
        return await admin.timeouts()

    @put("/{model:path}", operation_id="PutTimeouts")
    async def put_timeouts(
        self,
        model: FromPath[str],
        data: JSONBody[PutTimeouts],
        admin: Admin,
        caller: NamedDependency[str],
    ) -> ModelTimeouts:
        """Change a model's timers. What is left out stays as it is."""
        return await admin.put_timeouts(caller, model.strip("/"), data)


class WayController(Controller):
    """Keys at providers, by model: their circuits, ejections and cool-downs."""

    path, tags = f"{PREFIX}/ways", ["ways"]

    @get(operation_id="ListWays")
    async def list_ways(self, admin: Admin) -> WayReport:
        """How every way to the vendors is doing, as the answering router sees it."""
        return admin.ways()

    @delete("/{provider:path}", operation_id="ForgetWays")
    async def forget_ways(
        self, provider: FromPath[str], admin: Admin, caller: NamedDependency[str]
    ) -> None:
        """Try everything at a provider anew, in every router: close circuits, readmit keys."""
        await admin.forget_ways(caller, provider.strip("/"))


class AuditController(Controller):
    """Who changed what."""

    path, tags = f"{PREFIX}/audit", ["audit"]

    @get(operation_id="ListAudit")
    async def list_audit(
        self,
        admin: Admin,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[UUID | None] = None,
    ) -> AuditPage:
        """Changes made through this API, newest first."""
        return await admin.audit(limit, cursor)


def admin_api(
    guard: ServiceGuard,
    admin: Callable[[], RoutingAdministration],
    catalogue: Callable[[], CatalogueAdministration],
) -> Router:
    """Every route, behind the guard, whose name for a caller goes into the audit."""
    return Router(
        "/",
        route_handlers=[
            ProviderController,
            UpstreamKeyController,
            ModelController,
            ChainController,
            RoutingController,
            EgressController,
            TimeoutController,
            WayController,
            AuditController,
        ],
        guards=[guard],
        dependencies={
            "admin": Provide(admin, sync_to_thread=False),
            "catalogue": Provide(catalogue, sync_to_thread=False),
            "caller": Provide(calling(guard), sync_to_thread=False),
        },
    )
