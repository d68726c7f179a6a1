"""The invariants, asked of the database itself."""

from msgspec import Struct
from sqlalchemy import text

from aibridge_common.db.engine import Transaction


class Violation(Struct, frozen=True, kw_only=True):
    """A broken invariant and the row that breaks it."""

    what: str
    id: str


async def violations(tx: Transaction) -> list[Violation]:
    """Every broken invariant; an empty list is the only good answer.

    It reads everything, so that the transaction has no statement timeout from here on.
    """
    await tx.execute(text("SET LOCAL statement_timeout = 0"))
    rows = await tx.execute(
        text(
            "SELECT what, id FROM ledger_violation UNION ALL SELECT what, id FROM receipt_violation"
        )
    )
    return [Violation(what=row.what, id=row.id) for row in rows]
