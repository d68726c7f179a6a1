"""Bring a catalogue file into the router; running it again applies what changed."""

import os

import msgspec

from aibridge_common.catalog import (
    Catalog,
    InvalidCatalog,
    Provider,
    check_egress_url,
    keys_for,
    resolved,
)
from aibridge_common.db.engine import Database, transaction
from aibridge_common.sealed import Sealer
from aibridge_router.catalog.keys import replace_keys
from aibridge_router.catalog.store import (
    keep_egresses,
    lock_catalog,
    put_egress,
    replace_catalog,
)

STAND_IN_KEY = "sandbox-stand-in-key"


def with_stand_ins(catalog: Catalog, stand_ins: dict[str, str]) -> Catalog:
    """The catalogue with other base URLs for some providers. Raises `InvalidCatalog` for an unknown one."""
    unknown = set(stand_ins) - {provider.name for provider in catalog.providers}
    if unknown:
        raise InvalidCatalog(
            f"no provider is called {', '.join(sorted(unknown))}", param="stand-in"
        )
    providers = [
        _stand_in(provider, stand_ins[provider.name]) if provider.name in stand_ins else provider
        for provider in catalog.providers
    ]
    return msgspec.structs.replace(catalog, providers=providers)


async def seed_catalog(database: Database, sealer: Sealer, catalog: Catalog) -> list[str]:
    """Replace the rows; returns the providers that have no usable key."""
    keyless: list[str] = []
    async with transaction(database) as tx:
        await lock_catalog(tx)
        await replace_catalog(tx, catalog)
        for provider in catalog.providers:
            keys = keys_for(provider)
            if not keys:
                keyless.append(provider.name)
            await replace_keys(tx, provider.name, keys, sealer.seal)
        usable = {egress.name: resolved(egress.url, os.environ) for egress in catalog.egresses}
        await keep_egresses(tx, [name for name, url in usable.items() if url])
        for egress in catalog.egresses:
            if url := usable[egress.name]:
                check_egress_url(url)
                await put_egress(tx, egress.name, url, egress.state, sealer.seal)
    return keyless


def _stand_in(provider: Provider, base_url: str) -> Provider:
    return msgspec.structs.replace(provider, base_url=base_url, keys=[STAND_IN_KEY])
