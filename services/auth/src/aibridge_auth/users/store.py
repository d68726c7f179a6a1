"""Users and the account each of them owns."""

from uuid import UUID

from sqlalchemy import text

from aibridge_common.db.engine import Transaction
from aibridge_common.ids import uuid7


async def ensure_user(tx: Transaction, *, email: str, password_hash: str, role: str) -> UUID:
    """The account of the user with this address, who is added if new; the password becomes the given one."""
    row = await tx.execute(
        text(
            "INSERT INTO app_user (id, account_id, email, password_hash, role)"
            " VALUES (:id, :account, lower(:email), :password_hash, :role)"
            " ON CONFLICT (email) DO UPDATE SET password_hash = excluded.password_hash"
            " RETURNING account_id"
        ),
        {
            "id": uuid7(),
            "account": uuid7(),
            "email": email,
            "password_hash": password_hash,
            "role": role,
        },
    )
    account_id: UUID = row.scalar_one()
    return account_id
