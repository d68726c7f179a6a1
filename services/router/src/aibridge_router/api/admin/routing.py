"""How requests are routed: chains, the failover switch, egresses, timers, and the ways as they are doing."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from aibridge_common.catalog import (
    Chain,
    InvalidCatalog,
    Model,
    Routing,
    check_catalog,
)
from aibridge_common.catalog import Egress as CatalogEgress
from aibridge_common.clock import Clock
from aibridge_common.contracts.audit import AuditPage
from aibridge_common.contracts.router import (
    Egress,
    EgressReport,
    EgressStatus,
    ModelChain,
    ModelTimeouts,
    PutEgress,
    PutRouting,
    PutTimeouts,
    RoutingRules,
    WayReport,
)
from aibridge_common.db.audit import audit_page
from aibridge_common.db.engine import transaction
from aibridge_common.proxy import Proxy
from aibridge_router.api.admin.draft import Drafts, named
from aibridge_router.catalog.store import (
    delete_chain,
    keep_egresses,
    put_chain,
    put_egress,
    put_model,
    put_routing,
)
from aibridge_router.failover.health import Health
from aibridge_router.upstream.egress import EgressPool, address_of, kind_of

_TIMEOUTS = tuple(field.name for field in msgspec.structs.fields(PutTimeouts))


class RoutingAdministration:
    """What operators and their tools may change while routers run.

    Every change raises `InvalidCatalog` naming the place that breaks a rule, or `NotFound`, and then changes nothing.
    """

    def __init__(
        self,
        drafts: Drafts,
        pool: EgressPool,
        health: Health,
        clock: Clock,
        router: str,
    ) -> None:
        self._drafts = drafts
        self._pool = pool
        self._health = health
        self._clock = clock
        self._router = router

    async def chains(self) -> list[ModelChain]:
        """Every chain, by model."""
        return [_chain(chain) for chain in (await self._drafts.read()).chains]

    async def put_chain(self, caller: str, model: str, backups: list[str]) -> ModelChain:
        """Make these the backups of a model."""
        chain = Chain(model=model, backups=backups)
        async with self._drafts.changing(caller) as draft:
            others = [other for other in draft.catalog.chains if other.model != model]
            check_catalog(replace(draft.catalog, chains=[*others, chain]))
            await put_chain(draft.tx, chain)
            await draft.note("chain.put", model, {"backups": backups})
        return _chain(chain)

    async def delete_chain(self, caller: str, model: str) -> None:
        """Let nothing stand in for a model."""
        async with self._drafts.changing(caller) as draft:
            named("chain", model, [chain.model for chain in draft.catalog.chains])
            await delete_chain(draft.tx, model)
            await draft.note("chain.delete", model, {})

    async def routing(self) -> RoutingRules:
        """What holds for every request."""
        return _routing((await self._drafts.read()).routing)

    async def put_routing(self, caller: str, command: PutRouting) -> RoutingRules:
        """Change what holds for every request."""
        async with self._drafts.changing(caller) as draft:
            routing = replace(draft.catalog.routing, **_said(command))
            check_catalog(replace(draft.catalog, routing=routing))
            await put_routing(draft.tx, routing)
            await draft.note("routing.put", "routing", _said(command))
        return _routing(routing)

    async def egresses(self) -> EgressReport:
        """The pool as this router uses it, and the egresses that are off, by name."""
        seen = {status.name: status for status in self._pool.status(self._clock.monotonic_s())}
        for egress in (await self._drafts.read()).egresses:
            if egress.state == "off":
                seen[egress.name] = _off(egress)
        return EgressReport(
            router=self._router, egresses=[status for _, status in sorted(seen.items())]
        )

    async def put_egress(self, caller: str, name: str, command: PutEgress) -> Egress:
        """Add an egress, or change the one of that name."""
        async with self._drafts.changing(caller) as draft:
            known = {egress.name: egress for egress in draft.catalog.egresses}
            egress = _merged(known.get(name), name, command)
            known[name] = egress
            check_catalog(replace(draft.catalog, egresses=list(known.values())))
            await put_egress(draft.tx, name, egress.url, egress.state, self._drafts.seal)
            stored = _egress(egress)
            shown = {"kind": stored.kind, "address": stored.address, "state": stored.state}
            await draft.note("egress.put", name, shown)
        return stored

    async def delete_egress(self, caller: str, name: str) -> None:
        """Remove an egress; what runs through it goes on."""
        async with self._drafts.changing(caller) as draft:
            named("egress", name, [egress.name for egress in draft.catalog.egresses])
            kept = [egress for egress in draft.catalog.egresses if egress.name != name]
            check_catalog(replace(draft.catalog, egresses=kept))
            await keep_egresses(draft.tx, [egress.name for egress in kept])
            await draft.note("egress.delete", name, {})

    def ways(self) -> WayReport:
        """How every way to the vendors is doing."""
        ways = self._health.status(self._clock.monotonic_s())
        return WayReport(router=self._router, ways=ways)

    async def forget_ways(self, caller: str, provider: str) -> None:
        """Try everything at a provider anew: its keys were put right, its outage is known to be over."""
        async with self._drafts.changing(caller) as draft:
            named("provider", provider, [one.name for one in draft.catalog.providers])
            await draft.note("ways.forget", provider, {})
        self._health.forget(provider)

    async def timeouts(self) -> list[ModelTimeouts]:
        """How long an attempt at each model may take."""
        return [_timeouts(model) for model in (await self._drafts.read()).models]

    async def put_timeouts(self, caller: str, name: str, command: PutTimeouts) -> ModelTimeouts:
        """Change how long an attempt at a model may take."""
        async with self._drafts.changing(caller) as draft:
            models = {model.id: model for model in draft.catalog.models}
            named("model", name, models)
            model = models[name] = replace(models[name], **_said(command))
            check_catalog(replace(draft.catalog, models=list(models.values())))
            await put_model(draft.tx, model)
            await draft.note("timeouts.put", name, _said(command))
        return _timeouts(model)

    async def audit(self, limit: int, cursor: UUID | None) -> AuditPage:
        """Who changed what, newest first."""
        async with transaction(self._drafts.database) as tx:
            return await audit_page(tx, limit, cursor)


def _said(command: Struct) -> dict[str, Any]:
    return {
        name: value for name, value in msgspec.structs.asdict(command).items() if value is not UNSET
    }


def _merged(known: CatalogEgress | None, name: str, command: PutEgress) -> CatalogEgress:
    said = _said(command)
    if known is None and "url" not in said:
        raise InvalidCatalog(f"{name} is new and needs a url", param="egresses.url")
    if said.get("url", "").startswith("env:"):
        # A router reads no such variable; only seeding does.
        raise InvalidCatalog(
            "write the URL itself, not the name of a variable", param="egresses.url"
        )
    document = (msgspec.structs.asdict(known) if known is not None else {"name": name}) | said
    try:
        return msgspec.convert(document, CatalogEgress)
    except msgspec.ValidationError as error:  # the name, which comes by the path
        raise InvalidCatalog(f"{error}", param="egresses.name") from None


def _proxy(egress: CatalogEgress) -> Proxy | None:
    return None if egress.url == "direct" else Proxy.parse(egress.url)


def _chain(chain: Chain) -> ModelChain:
    return ModelChain(model=chain.model, backups=chain.backups)


def _routing(routing: Routing) -> RoutingRules:
    return RoutingRules(failover=routing.failover, attempts_max=routing.attempts_max)


def _egress(egress: CatalogEgress) -> Egress:
    proxy = _proxy(egress)
    return Egress(
        name=egress.name, kind=kind_of(proxy), address=address_of(proxy), state=egress.state
    )


def _off(egress: CatalogEgress) -> EgressStatus:
    stored = _egress(egress)
    return EgressStatus(
        name=stored.name,
        kind=stored.kind,
        address=stored.address,
        state="off",
        health="healthy",
        running=0,
        served=0,
        failed=0,
        providers=[],
    )


def _timeouts(model: Model) -> ModelTimeouts:
    return ModelTimeouts(model=model.id, **{name: getattr(model, name) for name in _TIMEOUTS})
