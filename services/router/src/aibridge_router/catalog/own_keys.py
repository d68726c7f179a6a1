"""Customers' own keys as rows. A secret goes in and is never read out again but by the router itself."""

from uuid import UUID

from msgspec import Struct
from sqlalchemy import text

from aibridge_common.contracts.router import OnFailure, OwnKeyShown
from aibridge_common.db.engine import Transaction

PER_ACCOUNT_MAX = 10


class SealedOwnKey(Struct, frozen=True, kw_only=True):
    """A row as the router loads it."""

    id: UUID
    account_id: UUID
    provider: str
    sealed: bytes
    priority: int
    on_failure: OnFailure

    @property
    def bound_to(self) -> str:
        """What the ciphertext is bound to beside its row: it opens for no other account or provider."""
        return bound_to(self.account_id, self.provider)


def bound_to(account_id: UUID, provider: str) -> str:
    """See `SealedOwnKey.bound_to`."""
    return f"own|{account_id}|{provider}"


async def read_own_keys(tx: Transaction) -> list[SealedOwnKey]:
    """Everybody's."""
    rows = await tx.execute(
        text("SELECT id, account_id, provider, sealed, priority, on_failure FROM own_key")
    )
    return [SealedOwnKey(**row) for row in rows.mappings()]


_SHOWN = "id, provider, name, hint, priority, on_failure, created_at"


async def own_keys_of(tx: Transaction, account_id: UUID) -> list[OwnKeyShown]:
    """An account's, in the order in which they are tried."""
    rows = await tx.execute(
        text(
            f"SELECT {_SHOWN} FROM own_key WHERE account_id = :account ORDER BY priority, id"  # noqa: S608 - our own columns
        ),
        {"account": account_id},
    )
    return [OwnKeyShown(**row) for row in rows.mappings()]


async def add_own_key(tx: Transaction, row: SealedOwnKey, name: str, hint: str) -> None:
    """One more."""
    await tx.execute(
        text(
            "INSERT INTO own_key (id, account_id, provider, name, sealed, hint, priority, on_failure)"
            " VALUES (:id, :account, :provider, :name, :sealed, :hint, :priority, :on_failure)"
        ),
        {
            "id": row.id,
            "account": row.account_id,
            "provider": row.provider,
            "name": name,
            "sealed": row.sealed,
            "hint": hint,
            "priority": row.priority,
            "on_failure": row.on_failure,
        },
    )


async def change_own_key(
    tx: Transaction, account_id: UUID, key_id: UUID, priority: int, on_failure: OnFailure
) -> bool:
    """Whether the account has this key; it now has these."""
    row = await tx.execute(
        text(
            "UPDATE own_key SET priority = :priority, on_failure = :on_failure"
            " WHERE id = :id AND account_id = :account RETURNING id"
        ),
        {"id": key_id, "account": account_id, "priority": priority, "on_failure": on_failure},
    )
    return row.one_or_none() is not None


async def delete_own_key(tx: Transaction, account_id: UUID, key_id: UUID) -> bool:
    """Whether the account had this key."""
    row = await tx.execute(
        text("DELETE FROM own_key WHERE id = :id AND account_id = :account RETURNING id"),
        {"id": key_id, "account": account_id},
    )
    return row.one_or_none() is not None
