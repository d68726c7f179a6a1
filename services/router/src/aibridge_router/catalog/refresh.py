"""Keeps the registry current: at start, on a notice, and now and then in case a notice was lost."""

from collections.abc import Callable

import anyio
from msgspec import structs
from sqlalchemy.exc import DBAPIError

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import Clock
from aibridge_common.contracts.billing import RateCard
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.changes import CATALOG_CHANGED_SUBJECT, PRICES_CHANGED_SUBJECT
from aibridge_common.proxy import Proxy
from aibridge_common.sealed import CannotUnseal, Sealer
from aibridge_common.settings import Secret
from aibridge_common.telemetry.log import get_logger
from aibridge_router.catalog.own_keys import SealedOwnKey, read_own_keys
from aibridge_router.catalog.registry import OwnKey, Registry, UpstreamKey
from aibridge_router.catalog.store import SealedEgress, read_catalog
from aibridge_router.upstream.egress import WayOut

EVERY_S = 30.0
RETRY_S = 0.5


class CatalogRefresh:
    """Owns the current `registry`; None until the first load. `on_loaded` sees each before requests do."""

    def __init__(
        self,
        database: Database,
        billing: BillingClient,
        sealer: Sealer,
        clock: Clock,
        on_loaded: Callable[[Registry], None],
    ) -> None:
        self._database = database
        self._billing = billing
        self._sealer = sealer
        self._clock = clock
        self._on_loaded = on_loaded
        self._changed = anyio.Event()
        self._opened: dict[bytes, Secret] = {}
        self._log = get_logger()
        self.registry: Registry | None = None

    async def run(self, bus: Bus) -> None:
        """Load, then reload for ever. A failed reload keeps what is there."""

        async def on_notice(_payload: bytes) -> None:
            self._changed.set()

        await bus.subscribe(CATALOG_CHANGED_SUBJECT, on_notice)
        await bus.subscribe(PRICES_CHANGED_SUBJECT, on_notice)
        while True:
            self._changed = anyio.Event()
            pause_s = EVERY_S
            try:
                registry = await self.load()
                self._on_loaded(registry)
                self.registry = registry
            except (
                DBAPIError,
                OSError,
                TimeoutError,
                AIBridgeError,
                ValueError,  # a row that a newer release wrote: msgspec's is one of these
            ) as error:
                self._log.warning("catalog.not_loaded", error=str(error))
                pause_s = RETRY_S if self.registry is None else EVERY_S
            with anyio.move_on_after(pause_s):
                await self._changed.wait()

    def base_urls(self) -> dict[str, str]:
        """Where each provider answers that a request may go to now, by name."""
        if self.registry is None:
            return {}
        chains = [self.registry.chain(model.id) for model in self.registry.models]
        targets = [target for chain in chains for target in chain.targets]
        return {target.provider.name: target.provider.base_url for target in targets}

    async def load(self) -> Registry:
        """The catalogue as it is now, with today's prices."""
        async with transaction(self._database) as tx:
            rows = await read_catalog(tx)
            own = await read_own_keys(tx)
        cards = await self._billing.rate_cards()
        keys: dict[str, list[UpstreamKey]] = {}
        for row in rows.keys:
            secret = self._sealer.unseal(row.sealed, row.id, row.provider)
            keys.setdefault(row.provider, []).append(UpstreamKey(id=row.id, secret=secret))
        catalog = rows.catalog
        return Registry(
            catalog.models,
            catalog.providers,
            keys,
            self._in_force(cards),
            chains=catalog.chains,
            egresses=self._ways_out(rows.egresses),
            routing=catalog.routing,
            own_keys=self._own_keys(own),
        )

    def _own_keys(self, rows: list[SealedOwnKey]) -> list[OwnKey]:
        """One that does not open concerns its owner alone; the others are opened once."""
        opened: dict[bytes, Secret] = {}
        keys: list[OwnKey] = []
        for row in rows:
            try:
                secret = self._opened.get(row.sealed) or self._sealer.unseal(
                    row.sealed, row.id, row.bound_to
                )
            except CannotUnseal:
                self._log.error("own_key.not_opened", key_id=str(row.id))
                continue
            opened[row.sealed] = secret
            keys.append(
                OwnKey(
                    id=row.id,
                    account_id=row.account_id,
                    provider=row.provider,
                    secret=secret,
                    priority=row.priority,
                    on_failure=row.on_failure,
                )
            )
        self._opened = opened
        return keys

    def _ways_out(self, rows: list[SealedEgress]) -> list[WayOut]:
        """Those that are on. Where all are off none takes a request: that must not mean to leave directly."""
        ways = {row: self._way_out(row) for row in rows}
        on = [way for row, way in ways.items() if row.state != "off"]
        return on or [structs.replace(way, draining=True) for way in ways.values()]

    def _way_out(self, row: SealedEgress) -> WayOut:
        url = self._sealer.unseal(row.sealed, row.id, row.name).reveal()
        return WayOut(
            name=row.name,
            proxy=None if url == "direct" else Proxy.parse(url),
            draining=row.state == "draining",
        )

    def _in_force(self, cards: list[RateCard]) -> list[RateCard]:
        now = self._clock.now()
        begun = [card for card in cards if card.valid_from <= now]
        return list({card.model: card for card in sorted(begun, key=lambda c: c.version)}.values())
