"""Sessions by digest; the token itself is never here."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
from msgspec import Struct
from sqlalchemy import text

from aibridge_auth.users.store import COLUMNS, User, user_of
from aibridge_common.contracts.people import Role, SessionShown
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.ids import uuid7

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
FORGET_EVERY_S = 600.0
SEEN_EVERY_S = 60
"""How precisely use is kept: a session in constant use costs one write a minute."""


class Session(Struct, frozen=True, kw_only=True):
    """A live session and whose it is."""

    id: UUID
    user: User
    created_at: Any
    seen_at: Any
    proven_at: Any
    second_factor: bool

    @property
    def rights(self) -> Role:
        """Staff have theirs only where a second factor was shown."""
        return self.user.role if self.second_factor or not self.user.is_staff else "customer"

    def shown(self) -> SessionShown:
        """What its owner's portal may see."""
        ends_at = self.created_at + LONGEST
        return SessionShown(
            session_id=self.id,
            user=self.user.shown(),
            rights=self.rights,
            proven_at=self.proven_at,
            ends_at=ends_at,
            idle_ends_at=min(ends_at, self.seen_at + IDLE),
        )


async def add_session(
    tx: Transaction, user_id: UUID, digest: bytes, *, second_factor: bool
) -> None:
    """A new one."""
    await tx.execute(
        text(
            "INSERT INTO login_session (id, user_id, digest, second_factor)"
            " VALUES (:id, :user, :digest, :second)"
        ),
        {"id": uuid7(), "user": user_id, "digest": digest, "second": second_factor},
    )


async def find_session(tx: Transaction, digest: bytes) -> Session | None:
    """The live session behind a digest; it counts as seen now."""
    values = {
        "digest": digest,
        "idle": IDLE,
        "longest": LONGEST,
        "every": SEEN_EVERY_S,
    }
    rows = await tx.execute(
        text(
            f"SELECT s.id AS session_id, s.created_at AS begun_at, s.seen_at, s.proven_at,"  # noqa: S608
            f" s.second_factor AS shown_second, {COLUMNS} FROM login_session s JOIN app_user u ON u.id = s.user_id"
            " WHERE s.digest = :digest AND s.seen_at > now() - CAST(:idle AS interval)"
            " AND s.created_at > now() - CAST(:longest AS interval) AND u.state = 'active'"
        ),
        {name: values[name] for name in ("digest", "idle", "longest")},
    )
    row = rows.mappings().one_or_none()
    if row is None:
        return None
    await tx.execute(
        text(
            "UPDATE login_session SET seen_at = now() WHERE digest = :digest"
            " AND seen_at < now() - make_interval(secs => :every)"
        ),
        {name: values[name] for name in ("digest", "every")},
    )
    return Session(
        id=row["session_id"],
        user=user_of(row),
        created_at=row["begun_at"],
        seen_at=row["seen_at"],
        proven_at=row["proven_at"],
        second_factor=row["shown_second"],
    )


async def renew_session(
    tx: Transaction, session_id: UUID, digest: bytes, *, second_factor: bool
) -> None:
    """The same session under another token, since more may be done with it now; it ends when it would have."""
    await tx.execute(
        text(
            "UPDATE login_session SET digest = :digest, proven_at = now(), seen_at = now(),"
            " second_factor = second_factor OR :second WHERE id = :id"
        ),
        {"id": session_id, "digest": digest, "second": second_factor},
    )


async def end_session(tx: Transaction, digest: bytes) -> None:
    """One; doing it again changes nothing."""
    await tx.execute(text("DELETE FROM login_session WHERE digest = :digest"), {"digest": digest})


async def end_sessions(tx: Transaction, user_id: UUID) -> None:
    """All of a user's."""
    await tx.execute(text("DELETE FROM login_session WHERE user_id = :id"), {"id": user_id})


async def run_ending(database: Database) -> None:
    """Delete what is over, for ever."""
    while True:
        async with transaction(database) as tx:
            await tx.execute(
                text(
                    "DELETE FROM login_session WHERE created_at < now() - CAST(:longest AS interval)"
                ),
                {"longest": LONGEST},
            )
            await tx.execute(text("DELETE FROM mail_token WHERE expires_at < now()"))
        await anyio.sleep(FORGET_EVERY_S)
