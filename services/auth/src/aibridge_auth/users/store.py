"""Users and the account each of them owns."""

from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import RowMapping, text

from aibridge_auth.crypto.password import NO_PASSWORD
from aibridge_common.contracts.people import Language, Role, UserShown, UserState
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import NotFound
from aibridge_common.ids import uuid7


class User(Struct, frozen=True, kw_only=True):
    """A person as the rooms of auth know them; never leaves the service."""

    id: UUID
    account_id: UUID
    email: str
    password_hash: str
    role: Role
    state: UserState
    language: Language
    email_verified: bool
    totp: bytes | None
    second_factor: bool
    totp_used_step: int
    created_at: Any

    @property
    def is_staff(self) -> bool:
        """Whether more depends on who this is than one account."""
        return self.role != "customer"

    def shown(self) -> UserShown:
        """What others may see."""
        return UserShown(
            user_id=self.id,
            account_id=self.account_id,
            email=self.email,
            role=self.role,
            state=self.state,
            language=self.language,
            email_verified=self.email_verified,
            second_factor=self.second_factor,
            created_at=self.created_at,
        )


COLUMNS = (
    "u.id, u.account_id, u.email, u.password_hash, u.role, u.state, u.language,"
    " u.email_verified_at IS NOT NULL AS email_verified, u.totp, u.totp_confirmed_at IS NOT NULL AS second_factor,"
    " u.totp_used_step, u.created_at"
)


def user_of(row: RowMapping) -> User:
    """From `COLUMNS`; what else is in the row is passed over."""
    return User(**{name: row[name] for name in User.__struct_fields__})


async def add_user(tx: Transaction, email: str, language: Language) -> User | None:
    """A customer whose address is not proven yet, and who has no password; None when the address has a user."""
    added = await tx.execute(
        text(
            "INSERT INTO app_user (id, account_id, email, password_hash, role, language)"
            " VALUES (:id, :account, :email, :hash, 'customer', :language) ON CONFLICT (email) DO NOTHING RETURNING id"
        ),
        {
            "id": uuid7(),
            "account": uuid7(),
            "email": email,
            "hash": NO_PASSWORD,
            "language": language,
        },
    )
    user_id = added.scalar_one_or_none()
    return await find_user(tx, user_id) if user_id is not None else None


async def ensure_user(tx: Transaction, *, email: str, password_hash: str, role: str) -> UUID:
    """The account of the user with this address, who is added if new; the password becomes the given one."""
    row = await tx.execute(
        text(
            "INSERT INTO app_user (id, account_id, email, password_hash, role, email_verified_at)"
            " VALUES (:id, :account, lower(:email), :password_hash, :role, now())"
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


async def find_user(tx: Transaction, user_id: UUID, *, lock: bool = False) -> User:
    """Raises `NotFound`."""
    rows = await tx.execute(
        text(
            f"SELECT {COLUMNS} FROM app_user u WHERE u.id = :id" + (" FOR UPDATE" if lock else "")  # noqa: S608
        ),
        {"id": user_id},
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such user", param="user_id")
    return user_of(row)


async def user_at(tx: Transaction, email: str) -> User | None:
    """The user with this address, lower case."""
    rows = await tx.execute(
        text(f"SELECT {COLUMNS} FROM app_user u WHERE u.email = :email"),  # noqa: S608
        {"email": email},
    )
    row = rows.mappings().one_or_none()
    return user_of(row) if row is not None else None


async def set_password(tx: Transaction, user_id: UUID, password_hash: str) -> None:
    """Every session ends with it: end them in the same transaction."""
    await tx.execute(
        text("UPDATE app_user SET password_hash = :hash WHERE id = :id"),
        {"id": user_id, "hash": password_hash},
    )


async def verify_email(tx: Transaction, user_id: UUID) -> None:
    """The address is proven."""
    await tx.execute(
        text(
            "UPDATE app_user SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = :id"
        ),
        {"id": user_id},
    )


async def set_role(tx: Transaction, user_id: UUID, role: Role) -> None:
    """What the person may do."""
    await tx.execute(
        text("UPDATE app_user SET role = :role WHERE id = :id"), {"id": user_id, "role": role}
    )


async def set_state(tx: Transaction, user_id: UUID, state: UserState) -> None:
    """Whether the person may come in."""
    await tx.execute(
        text("UPDATE app_user SET state = :state WHERE id = :id"), {"id": user_id, "state": state}
    )


async def put_totp(tx: Transaction, user_id: UUID, sealed: bytes | None) -> None:
    """A secret that waits for its first code, or none any more."""
    await tx.execute(
        text(
            "UPDATE app_user SET totp = :sealed, totp_confirmed_at = NULL, totp_used_step = 0 WHERE id = :id"
        ),
        {"id": user_id, "sealed": sealed},
    )


async def use_step(tx: Transaction, user_id: UUID, step: int) -> bool:
    """Whether the step was not used up yet; it is now, and the secret counts from now on."""
    row = await tx.execute(
        text(
            "UPDATE app_user SET totp_used_step = :step, totp_confirmed_at = coalesce(totp_confirmed_at, now())"
            " WHERE id = :id AND totp_used_step < :step RETURNING id"
        ),
        {"id": user_id, "step": step},
    )
    return row.one_or_none() is not None


async def put_recovery_codes(tx: Transaction, user_id: UUID, digests: list[bytes]) -> None:
    """These instead of all there were."""
    await tx.execute(text("DELETE FROM recovery_code WHERE user_id = :id"), {"id": user_id})
    for digest in digests:
        await tx.execute(
            text("INSERT INTO recovery_code (user_id, digest) VALUES (:id, :digest)"),
            {"id": user_id, "digest": digest},
        )


async def use_recovery_code(tx: Transaction, user_id: UUID, digest: bytes) -> bool:
    """Whether there was such a code; there is none any more."""
    row = await tx.execute(
        text("DELETE FROM recovery_code WHERE user_id = :id AND digest = :digest RETURNING 1"),
        {"id": user_id, "digest": digest},
    )
    return row.one_or_none() is not None
