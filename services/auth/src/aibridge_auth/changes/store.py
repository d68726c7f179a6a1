"""The numbered list of what changed about keys. Its table is called `revocation`, after its first entries."""

from uuid import UUID

from sqlalchemy import text

from aibridge_common.db.engine import Transaction
from aibridge_common.events.keys import KeysChanged


async def number_change(tx: Transaction, account_id: UUID, key_id: UUID | None) -> KeysChanged:
    """Number a change to a key, or to every key of the account; returns the notice to send after the commit.

    One at a time, so that a number is never committed after a higher one: a gateway that heard of the higher would
    not miss it.
    """
    await tx.execute(text("LOCK TABLE revocation IN SHARE ROW EXCLUSIVE MODE"))
    row = await tx.execute(
        text(
            "INSERT INTO revocation (account_id, key_id) VALUES (:account, :key) RETURNING sequence"
        ),
        {"account": account_id, "key": key_id},
    )
    return KeysChanged(sequence=row.scalar_one(), account_id=account_id, key_id=key_id)


async def newest_change(tx: Transaction) -> int:
    """The number of the newest change; 0 when there was none."""
    row = await tx.execute(text("SELECT coalesce(max(sequence), 0) FROM revocation"))
    return int(row.scalar_one())
