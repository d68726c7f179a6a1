"""Keys by digest; the key itself is never here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from aibridge_common.contracts.auth import KeyFacts, KeySummary, KeyVerdict
from aibridge_common.db.engine import Transaction

LAST_USED_EVERY_S = 60
"""How precisely last use is kept: a key in constant use costs one write a minute."""


async def add_key(
    tx: Transaction, *, key_id: UUID, account_id: UUID, name: str, digest: bytes, hint: str
) -> UUID | None:
    """Store a key; None when the account does not exist.

    The same digest again renames the key that is there and answers with its id.
    """
    row = await tx.execute(
        text(
            "INSERT INTO api_key (id, account_id, name, digest, hint)"
            " SELECT :id, u.account_id, :name, :digest, :hint FROM app_user u WHERE u.account_id = :account"
            " ON CONFLICT (digest) DO UPDATE SET name = excluded.name RETURNING id"
        ),
        {"id": key_id, "account": account_id, "name": name, "digest": digest, "hint": hint},
    )
    return row.scalar_one_or_none()


async def verdict_on(tx: Transaction, digest: bytes) -> KeyVerdict:
    """Whether the key behind `digest` may be used now, and if not why."""
    result = await tx.execute(
        text(
            "SELECT k.id, k.account_id, k.revoked_at, u.state FROM api_key k"
            " JOIN app_user u ON u.account_id = k.account_id WHERE k.digest = :digest"
        ),
        {"digest": digest},
    )
    row = result.one_or_none()
    if row is None:
        return KeyVerdict(reason="unknown")
    if row.revoked_at is not None:
        return KeyVerdict(reason="revoked")
    if row.state != "active":
        return KeyVerdict(reason=f"account {row.state}")
    await tx.execute(
        text(
            "UPDATE api_key SET last_used_at = now() WHERE id = :id AND"
            " (last_used_at IS NULL OR last_used_at < now() - make_interval(secs => :every))"
        ),
        {"id": row.id, "every": LAST_USED_EVERY_S},
    )
    return KeyVerdict(facts=KeyFacts(key_id=row.id, account_id=row.account_id))


async def list_keys(tx: Transaction, account_id: UUID) -> list[KeySummary]:
    """The account's keys, newest first."""
    rows = await tx.execute(
        text(
            "SELECT id, name, hint, created_at, last_used_at, revoked_at FROM api_key"
            " WHERE account_id = :account ORDER BY id DESC LIMIT 1000"
        ),
        {"account": account_id},
    )
    return [
        KeySummary(
            key_id=row.id,
            name=row.name,
            hint=row.hint,
            created_at=row.created_at.isoformat(),
            last_used_at=_iso(row.last_used_at),
            revoked_at=_iso(row.revoked_at),
        )
        for row in rows
    ]


async def revoke_key(tx: Transaction, key_id: UUID) -> tuple[UUID, int] | None:
    """End a key; returns its account and the revocation's number, or None for an unknown key.

    Revoking again numbers again, which is harmless and lets a caller repeat after an unclear answer.
    """
    row = await tx.execute(
        text(
            "WITH k AS (UPDATE api_key SET revoked_at = coalesce(revoked_at, now())"
            " WHERE id = :id RETURNING account_id)"
            " INSERT INTO revocation (account_id, key_id) SELECT account_id, :id FROM k RETURNING account_id, sequence"
        ),
        {"id": key_id},
    )
    found = row.one_or_none()
    return (found.account_id, found.sequence) if found is not None else None


async def newest_revocation(tx: Transaction) -> int:
    """The number of the newest revocation; 0 when there was none."""
    row = await tx.execute(text("SELECT coalesce(max(sequence), 0) FROM revocation"))
    return int(row.scalar_one())


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
