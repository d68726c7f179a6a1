"""The catalogue's rows."""

from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import text

from aibridge_common.catalog import Catalog, Chain, Model, Provider, Routing
from aibridge_common.contracts.router import EgressState
from aibridge_common.db.engine import Transaction
from aibridge_common.ids import uuid7
from aibridge_router.catalog.keys import SealFunction

_LOCK = 7_403_002
"""Advisory lock: no write may be checked against a catalogue that another one changes meanwhile."""


class SealedKey(Struct, frozen=True, kw_only=True):
    """An upstream key as it is stored."""

    id: UUID
    provider: str
    sealed: bytes


class SealedEgress(Struct, frozen=True, kw_only=True):
    """An egress as it is stored: its URL may carry credentials."""

    id: UUID
    name: str
    sealed: bytes
    state: EgressState


class CatalogRows(Struct, frozen=True, kw_only=True):
    """Everything the router needs to know to route."""

    catalog: Catalog
    keys: list[SealedKey]
    egresses: list[SealedEgress]


async def lock_catalog(tx: Transaction) -> None:
    """Let no one else change the catalogue until this transaction ends. Readers do not wait."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


async def read_catalog(tx: Transaction) -> CatalogRows:
    """The whole catalogue."""
    providers = await tx.execute(text("SELECT document FROM provider ORDER BY name"))
    models = await tx.execute(text("SELECT document FROM model ORDER BY id"))
    chains = await tx.execute(text("SELECT model, backups FROM chain ORDER BY model"))
    keys = await tx.execute(
        text("SELECT id, provider, sealed FROM upstream_key WHERE active ORDER BY id")
    )
    egresses = await tx.execute(text("SELECT id, name, sealed, state FROM egress ORDER BY name"))
    routing = (await tx.execute(text("SELECT document FROM routing"))).scalar_one_or_none()
    return CatalogRows(
        catalog=Catalog(
            providers=[msgspec.convert(row.document, Provider) for row in providers],
            models=[msgspec.convert(row.document, Model) for row in models],
            chains=[Chain(model=row.model, backups=list(row.backups)) for row in chains],
            routing=msgspec.convert(routing or {}, Routing),
        ),
        keys=[SealedKey(id=row.id, provider=row.provider, sealed=row.sealed) for row in keys],
        egresses=[
            SealedEgress(id=row.id, name=row.name, sealed=row.sealed, state=row.state)
            for row in egresses
        ],
    )


async def replace_catalog(tx: Transaction, catalog: Catalog) -> None:
    """Make the rows say what `catalog` says; keys stay as they are, except those of removed providers."""
    await tx.execute(text("DELETE FROM chain"))
    await tx.execute(
        text("DELETE FROM model WHERE NOT id = ANY(:ids)"),
        {"ids": [model.id for model in catalog.models]},
    )
    names = [provider.name for provider in catalog.providers]
    await tx.execute(text("DELETE FROM model WHERE NOT provider = ANY(:names)"), {"names": names})
    await tx.execute(
        text("DELETE FROM upstream_key WHERE NOT provider = ANY(:names)"), {"names": names}
    )
    await tx.execute(text("DELETE FROM provider WHERE NOT name = ANY(:names)"), {"names": names})
    for provider in catalog.providers:
        await put_provider(tx, provider)
    for model in catalog.models:
        await put_model(tx, model)
    for chain in catalog.chains:
        await put_chain(tx, chain)
    await put_routing(tx, catalog.routing)


async def put_provider(tx: Transaction, provider: Provider) -> None:
    """Add a provider, or change the one of that name; its keys are rows of their own."""
    await tx.execute(
        text(
            "INSERT INTO provider (name, document) VALUES (:name, CAST(:document AS jsonb))"
            " ON CONFLICT (name) DO UPDATE SET document = excluded.document"
        ),
        {"name": provider.name, "document": _without_keys(provider)},
    )


async def delete_provider(tx: Transaction, name: str) -> None:
    """Remove a provider that hosts no model, with all keys for it."""
    await tx.execute(text("DELETE FROM upstream_key WHERE provider = :name"), {"name": name})
    await tx.execute(text("DELETE FROM provider WHERE name = :name"), {"name": name})


async def delete_model(tx: Transaction, model: str) -> None:
    """Remove a model that no chain names."""
    await tx.execute(text("DELETE FROM model WHERE id = :id"), {"id": model})


async def put_model(tx: Transaction, model: Model) -> None:
    """Add a model, or change the one of that id."""
    await tx.execute(
        text(
            "INSERT INTO model (id, provider, document) VALUES (:id, :provider, CAST(:document AS jsonb))"
            " ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, document = excluded.document"
        ),
        {
            "id": model.id,
            "provider": model.provider,
            "document": msgspec.json.encode(model).decode(),
        },
    )


async def put_chain(tx: Transaction, chain: Chain) -> None:
    """Add a chain, or change the one of that model."""
    await tx.execute(
        text(
            "INSERT INTO chain (model, backups) VALUES (:model, :backups)"
            " ON CONFLICT (model) DO UPDATE SET backups = excluded.backups"
        ),
        {"model": chain.model, "backups": chain.backups},
    )


async def delete_chain(tx: Transaction, model: str) -> None:
    """Remove the chain of a model."""
    await tx.execute(text("DELETE FROM chain WHERE model = :model"), {"model": model})


async def put_routing(tx: Transaction, routing: Routing) -> None:
    """Make this the routing of every router."""
    await tx.execute(
        text(
            "INSERT INTO routing (document) VALUES (CAST(:document AS jsonb))"
            " ON CONFLICT (only_one) DO UPDATE SET document = excluded.document"
        ),
        {"document": msgspec.json.encode(routing).decode()},
    )


async def put_egress(
    tx: Transaction, name: str, url: str, state: str, seal_with: SealFunction
) -> None:
    """Add an egress, or change the one of that name."""
    row = await tx.execute(text("SELECT id FROM egress WHERE name = :name"), {"name": name})
    egress_id = row.scalar_one_or_none() or uuid7()
    await tx.execute(
        text(
            "INSERT INTO egress (id, name, sealed, state) VALUES (:id, :name, :sealed, :state)"
            " ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, state = excluded.state"
        ),
        {"id": egress_id, "name": name, "sealed": seal_with(url, egress_id, name), "state": state},
    )


async def keep_egresses(tx: Transaction, names: list[str]) -> None:
    """Remove every other egress."""
    await tx.execute(text("DELETE FROM egress WHERE NOT name = ANY(:names)"), {"names": names})


def _without_keys(provider: Provider) -> str:
    return msgspec.json.encode(msgspec.structs.replace(provider, keys=[])).decode()
