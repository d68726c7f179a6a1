"""A change of the catalogue: alone, checked as a whole, written at once, then told to every router."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aibridge_common.bus.nats import Bus
from aibridge_common.catalog import Catalog
from aibridge_common.catalog import Egress as CatalogEgress
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import NotFound
from aibridge_common.sealed import Sealer
from aibridge_router.catalog.announcement import announce
from aibridge_router.catalog.store import lock_catalog, read_catalog


class Draft(Struct, frozen=True, kw_only=True):
    """A transaction that alone may change the catalogue, and the catalogue it found."""

    tx: Transaction
    caller: str
    catalog: Catalog

    async def note(self, action: str, subject: str, document: dict[str, Any]) -> None:
        """Into the audit."""
        await record(self.tx, self.caller, action, subject, document)


class Drafts:
    """Reads and changes the stored catalogue."""

    def __init__(self, database: Database, sealer: Sealer, bus: Bus) -> None:
        self.database = database
        self.seal = sealer.seal
        self._sealer = sealer
        self._bus = bus

    async def read(self) -> Catalog:
        """The catalogue as it is stored."""
        async with transaction(self.database) as tx:
            return await self._whole(tx)

    @asynccontextmanager
    async def changing(self, caller: str) -> AsyncGenerator[Draft]:
        """Commits at the end and tells the routers; any error leaves everything as it was."""
        async with transaction(self.database) as tx:
            await lock_catalog(tx)
            yield Draft(tx=tx, caller=caller, catalog=await self._whole(tx))
        await announce(self._bus)

    async def _whole(self, tx: Transaction) -> Catalog:
        rows = await read_catalog(tx)
        egresses = [
            CatalogEgress(
                name=row.name,
                url=self._sealer.unseal(row.sealed, row.id, row.name).reveal(),
                state=row.state,
            )
            for row in rows.egresses
        ]
        return replace(rows.catalog, egresses=egresses)


def named(what: str, name: str, known: Any) -> None:
    """Raise `NotFound` unless it is one of the known."""
    if name not in known:
        raise NotFound(f"there is no {what} called {name}", param=what)
