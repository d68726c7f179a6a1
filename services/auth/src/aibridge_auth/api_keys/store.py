"""Keys by digest; the key itself is never here."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, text

from aibridge_common.contracts.auth import KeyFacts, KeySummary, KeyVerdict
from aibridge_common.db.engine import Transaction
from aibridge_common.limits import NO_LIMITS, KeyLimits
from aibridge_common.routing import KeyRouting, RoutingOptions, for_key

LAST_USED_EVERY_S = 60
"""How precisely last use is kept: a key in constant use costs one write a minute."""


async def add_key(
    tx: Transaction,
    *,
    key_id: UUID,
    account_id: UUID,
    name: str,
    digest: bytes,
    hint: str,
    routing: KeyRouting,
    limits: KeyLimits = NO_LIMITS,
) -> UUID | None:
    """Store a key; None when the account does not exist.

    The same digest again renames the key that is there, with its options as they are, and answers with its id.
    """
    row = await tx.execute(
        text(
            "INSERT INTO api_key"
            " (id, account_id, name, digest, hint, failover, continuation, larger_context, limits)"
            " SELECT :id, u.account_id, :name, :digest, :hint, :failover, :continuation, :larger_context,"
            " CAST(:limits AS jsonb)"
            " FROM app_user u WHERE u.account_id = :account"
            " ON CONFLICT (digest) DO UPDATE SET name = excluded.name RETURNING id"
        ),
        {
            "id": key_id,
            "account": account_id,
            "name": name,
            "digest": digest,
            "hint": hint,
            **_columns(routing),
            "limits": _kept(limits),
        },
    )
    return row.scalar_one_or_none()


async def verdict_on(tx: Transaction, digest: bytes) -> KeyVerdict:
    """Whether the key behind `digest` may be used now, and if not why."""
    result = await tx.execute(
        text(
            "SELECT k.id, k.account_id, k.revoked_at, k.failover, k.continuation, k.larger_context, u.state,"
            " u.failover AS account_failover, u.continuation AS account_continuation,"
            " u.larger_context AS account_larger_context, k.limits::text AS limits,"
            " (k.limits->>'expires_at')::timestamptz <= now() AS expired FROM api_key k"
            " JOIN app_user u ON u.account_id = k.account_id WHERE k.digest = :digest"
        ),
        {"digest": digest},
    )
    row = result.one_or_none()
    if row is None:
        return KeyVerdict(reason="unknown")
    if row.revoked_at is not None:
        return KeyVerdict(reason="revoked")
    if row.expired:
        return KeyVerdict(reason="expired")
    if row.state != "active":
        return KeyVerdict(reason=f"account {row.state}")
    await tx.execute(
        text(
            "UPDATE api_key SET last_used_at = now() WHERE id = :id AND"
            " (last_used_at IS NULL OR last_used_at < now() - make_interval(secs => :every))"
        ),
        {"id": row.id, "every": LAST_USED_EVERY_S},
    )
    account = RoutingOptions(
        failover=row.account_failover,
        continuation=row.account_continuation,
        larger_context=row.account_larger_context,
    )
    routing = for_key(account, _key_routing(row))
    limits = _limits(row)
    return KeyVerdict(
        facts=KeyFacts(
            key_id=row.id,
            account_id=row.account_id,
            routing=routing,
            limits=None if limits == NO_LIMITS else limits,
        )
    )


async def list_keys(tx: Transaction, account_id: UUID) -> list[KeySummary]:
    """The account's keys, newest first."""
    rows = await tx.execute(
        text(
            "SELECT id, name, hint, created_at, last_used_at, revoked_at,"
            " failover, continuation, larger_context, limits::text AS limits, replaced_by FROM api_key"
            " WHERE account_id = :account ORDER BY id DESC LIMIT 1000"
        ),
        {"account": account_id},
    )
    return [
        KeySummary(
            key_id=row.id,
            name=row.name,
            hint=row.hint,
            routing=_key_routing(row),
            limits=_limits(row),
            replaced_by=row.replaced_by,
            created_at=row.created_at.isoformat(),
            last_used_at=_iso(row.last_used_at),
            revoked_at=_iso(row.revoked_at),
        )
        for row in rows
    ]


async def revoke_key(tx: Transaction, key_id: UUID) -> UUID | None:
    """End a key, or leave an ended one as it is; returns its account, or None for an unknown key."""
    row = await tx.execute(
        text(
            "UPDATE api_key SET revoked_at = coalesce(revoked_at, now())"
            " WHERE id = :id RETURNING account_id"
        ),
        {"id": key_id},
    )
    return row.scalar_one_or_none()


async def put_routing(tx: Transaction, key_id: UUID, routing: KeyRouting) -> UUID | None:
    """Replace a key's options; returns its account, or None for an unknown key."""
    row = await tx.execute(
        text(
            "UPDATE api_key SET failover = :failover, continuation = :continuation,"
            " larger_context = :larger_context WHERE id = :id RETURNING account_id"
        ),
        {"id": key_id, **_columns(routing)},
    )
    return row.scalar_one_or_none()


async def put_limits(
    tx: Transaction, account_id: UUID, key_id: UUID, limits: KeyLimits
) -> UUID | None:
    """Replace a key's limits; returns its account, or None where the account has no such key."""
    row = await tx.execute(
        text(
            "UPDATE api_key SET limits = CAST(:limits AS jsonb)"
            " WHERE id = :id AND account_id = :account RETURNING account_id"
        ),
        {"id": key_id, "account": account_id, "limits": _kept(limits)},
    )
    return row.scalar_one_or_none()


async def put_name(tx: Transaction, account_id: UUID, key_id: UUID, name: str) -> bool:
    """Rename a key; False where the account has no such key."""
    row = await tx.execute(
        text(
            "UPDATE api_key SET name = :name WHERE id = :id AND account_id = :account RETURNING id"
        ),
        {"id": key_id, "account": account_id, "name": name},
    )
    return row.scalar_one_or_none() is not None


class Rotating(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is to be replaced: what its successor gets of it, and whether it may be."""

    name: str
    routing: KeyRouting
    limits: KeyLimits
    ended: bool
    """Revoked, or past its expiry."""
    replaced_by: UUID | None


async def lock_for_rotation(tx: Transaction, account_id: UUID, key_id: UUID) -> Rotating | None:
    """The key, locked; None where the account has no such key."""
    result = await tx.execute(
        text(
            "SELECT name, failover, continuation, larger_context, limits::text AS limits, replaced_by,"
            " revoked_at IS NOT NULL OR coalesce((limits->>'expires_at')::timestamptz <= now(), false) AS ended"
            " FROM api_key WHERE id = :id AND account_id = :account FOR UPDATE"
        ),
        {"id": key_id, "account": account_id},
    )
    row = result.one_or_none()
    if row is None:
        return None
    return Rotating(
        name=row.name,
        routing=_key_routing(row),
        limits=_limits(row),
        ended=row.ended,
        replaced_by=row.replaced_by,
    )


async def replace_key(
    tx: Transaction, key_id: UUID, successor_id: UUID, limits: KeyLimits, *, at_once: bool
) -> None:
    """Let a key end as its `limits` say, or now, and note which follows it."""
    await tx.execute(
        text(
            "UPDATE api_key SET replaced_by = :successor, limits = CAST(:limits AS jsonb),"
            " revoked_at = CASE WHEN :at_once THEN now() END WHERE id = :id"
        ),
        {
            "id": key_id,
            "successor": successor_id,
            "limits": _kept(limits),
            "at_once": at_once,
        },
    )


def _kept(limits: KeyLimits) -> str | None:
    return None if limits == NO_LIMITS else msgspec.json.encode(limits).decode()


def _limits(row: Row[Any]) -> KeyLimits:
    return NO_LIMITS if row.limits is None else msgspec.json.decode(row.limits, type=KeyLimits)


def _columns(routing: KeyRouting) -> dict[str, bool | None]:
    return {
        "failover": routing.failover,
        "continuation": routing.continuation,
        "larger_context": routing.larger_context,
    }


def _key_routing(row: Row[Any]) -> KeyRouting:
    return KeyRouting(
        failover=row.failover, continuation=row.continuation, larger_context=row.larger_context
    )


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
