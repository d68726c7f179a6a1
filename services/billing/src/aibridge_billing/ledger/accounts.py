"""What an account has."""

from uuid import UUID

from msgspec import Struct
from sqlalchemy import text

from aibridge_common.contracts.orders import AccountShown, AccountStatus
from aibridge_common.db.engine import Transaction


class AccountState(Struct, frozen=True, kw_only=True):
    """The projection of an account; the audit recomputes it from the journal."""

    posted_microtokens: int = 0
    reserved_microtokens: int = 0
    debt_microtokens: int = 0
    spent_microtokens: int = 0

    @property
    def spendable_microtokens(self) -> int:
        """What a new request may still hold."""
        return self.posted_microtokens - self.reserved_microtokens


async def open_account(tx: Transaction, account_id: UUID) -> None:
    """Make sure the account exists."""
    await tx.execute(
        text("INSERT INTO account (id) VALUES (:id) ON CONFLICT DO NOTHING"), {"id": account_id}
    )


async def account_state(tx: Transaction, account_id: UUID) -> AccountState:
    """The account's amounts; one that never bought anything has none."""
    result = await tx.execute(
        text(
            "SELECT posted_utok, reserved_utok, debt_utok, spent_utok FROM account WHERE id = :id"
        ),
        {"id": account_id},
    )
    row = result.one_or_none()
    if row is None:
        return AccountState()
    return AccountState(
        posted_microtokens=row.posted_utok,
        reserved_microtokens=row.reserved_utok,
        debt_microtokens=row.debt_utok,
        spent_microtokens=row.spent_utok,
    )


_STATUSES: tuple[AccountStatus, ...] = ("active", "suspended", "closed")


async def account_shown(tx: Transaction, account_id: UUID) -> AccountShown:
    """Whether the account may spend; one that never bought anything may."""
    result = await tx.execute(
        text("SELECT status, debt_utok FROM account WHERE id = :id"), {"id": account_id}
    )
    row = result.one_or_none()
    return AccountShown(
        account_id=account_id,
        status=_STATUSES[row.status - 1] if row is not None else "active",
        debt_microtokens=str(row.debt_utok if row is not None else 0),
    )


async def set_status(tx: Transaction, account_id: UUID, status: AccountStatus) -> None:
    """What is reserved already may still be spent."""
    await tx.execute(
        text("UPDATE account SET status = :status, version = version + 1 WHERE id = :id"),
        {"id": account_id, "status": _STATUSES.index(status) + 1},
    )
