"""Tokens that a mail brings: worth something once, for half an hour, for the address they were sent to."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from sqlalchemy import text

from aibridge_auth.crypto.tokens import digest, new_token
from aibridge_auth.mail.queue import WORTH_S
from aibridge_auth.users.store import User
from aibridge_common.db.engine import Transaction

Purpose = Literal["verify", "reset"]


class Worth(Struct, frozen=True):
    """Whose a token was, and the password chosen by who asked for it."""

    user_id: UUID
    password_hash: str | None


async def issue_token(
    tx: Transaction, user: User, purpose: Purpose, password_hash: str | None = None
) -> str:
    """A new one beside those of before: who signs up with another's address must not void the other's link.

    Each brings the password that its own sign-up chose.
    """
    token = new_token()
    await tx.execute(
        text(
            "INSERT INTO mail_token (digest, user_id, purpose, email, password_hash, expires_at)"
            " VALUES (:digest, :user, :purpose, :email, :hash, now() + make_interval(secs => :worth))"
        ),
        {
            "digest": digest(token),
            "user": user.id,
            "purpose": purpose,
            "email": user.email,
            "hash": password_hash,
            "worth": WORTH_S,
        },
    )
    return token


async def use_token(tx: Transaction, token: str, purpose: Purpose) -> Worth | None:
    """What it is worth, once; the others of its kind are void then."""
    row = await tx.execute(
        text(
            "DELETE FROM mail_token t USING app_user u WHERE t.digest = :digest AND t.purpose = :purpose"
            " AND t.expires_at > now() AND u.id = t.user_id AND u.email = t.email AND u.state <> 'closed'"
            " RETURNING u.id, t.password_hash"
        ),
        {"digest": digest(token), "purpose": purpose},
    )
    found = row.one_or_none()
    if found is None:
        return None
    await tx.execute(
        text("DELETE FROM mail_token WHERE user_id = :user AND purpose = :purpose"),
        {"user": found.id, "purpose": purpose},
    )
    return Worth(found.id, found.password_hash)
