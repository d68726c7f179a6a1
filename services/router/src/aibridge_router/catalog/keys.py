"""The operator's keys at providers, as rows. A secret goes in and is never read out again but by the router itself."""

import hashlib
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import text

from aibridge_common.contracts.router import UpstreamKeyShown
from aibridge_common.db.engine import Transaction
from aibridge_common.ids import uuid7

SealFunction = Callable[[str, UUID, str], bytes]
"""Turns a key, its row and its provider into what is stored."""


async def keys_shown(tx: Transaction) -> list[UpstreamKeyShown]:
    """All of them, by provider, the oldest first."""
    rows = await tx.execute(
        text(
            "SELECT id, provider, hint, active, created_at FROM upstream_key ORDER BY provider, id"
        )
    )
    return [UpstreamKeyShown(**row) for row in rows.mappings()]


async def add_key(tx: Transaction, provider: str, key: str, seal_with: SealFunction) -> UUID:
    """Keep a key, in use; the same one again is the row that is there. Returns the row's id."""
    key_id = uuid7()
    row = await tx.execute(
        text(
            "INSERT INTO upstream_key (id, provider, sealed, fingerprint, hint)"
            " VALUES (:id, :provider, :sealed, :fingerprint, :hint)"
            " ON CONFLICT (provider, fingerprint) DO UPDATE SET active = true RETURNING id"
        ),
        {
            "id": key_id,
            "provider": provider,
            "sealed": seal_with(key, key_id, provider),
            "fingerprint": _fingerprint(provider, key),
            "hint": f"…{key[-4:]}",
        },
    )
    found: UUID = row.scalar_one()
    return found


async def use_key(tx: Transaction, key_id: UUID, *, active: bool) -> bool:
    """Whether there is such a key; it is now in use, or not."""
    row = await tx.execute(
        text("UPDATE upstream_key SET active = :active WHERE id = :id RETURNING id"),
        {"id": key_id, "active": active},
    )
    return row.one_or_none() is not None


async def delete_key(tx: Transaction, key_id: UUID) -> bool:
    """Whether there was such a key."""
    row = await tx.execute(
        text("DELETE FROM upstream_key WHERE id = :id RETURNING id"), {"id": key_id}
    )
    return row.one_or_none() is not None


async def replace_keys(
    tx: Transaction, provider: str, keys: list[str], seal_with: SealFunction
) -> None:
    """Make these the provider's keys; one that is there already is kept as it is."""
    await tx.execute(
        text(
            "DELETE FROM upstream_key WHERE provider = :provider AND NOT fingerprint = ANY(:prints)"
        ),
        {"provider": provider, "prints": [_fingerprint(provider, key) for key in keys]},
    )
    for key in keys:
        await add_key(tx, provider, key, seal_with)


def _fingerprint(provider: str, key: str) -> bytes:
    # Slow on purpose, since a table of plain digests of vendor keys would be a list of guesses to check.
    return hashlib.scrypt(key.encode(), salt=provider.encode(), n=2**12, r=8, p=1, dklen=16)
