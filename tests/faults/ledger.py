"""What the ledger holds after a row: charges, accounts, dead letters, and rules that are broken."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from tests.soak.audit import Charged, read_books


class Ledger(Struct, frozen=True, kw_only=True):
    """Of the accounts of one row, since it began."""

    charged: dict[str, Charged]
    violations: list[str]
    dead_letters: int
    """Of all accounts."""
    strangers: int
    """Charges of other accounts."""
    debt_microtokens: int
    posted_microtokens: int
    spent_microtokens: int
    over_lease: list[str]
    """Leases of which more was charged than they had."""


async def read_ledger(database_url: str, accounts: Sequence[UUID], since: UUID) -> Ledger:
    """Everything at once; the row is over, so it does not change meanwhile, or is read again."""
    charged: dict[str, Charged] = {}
    violations: list[str] = []
    for account in accounts:
        books = await read_books(database_url, str(account), since)
        charged |= books.charged
        violations = books.violations
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "billing"})
    try:
        row = await connection.fetchrow(
            "SELECT sum(debt_utok)::bigint, sum(posted_utok)::bigint, sum(spent_utok)::bigint"
            " FROM account WHERE id = ANY($1)",
            accounts,
        )
        assert row is not None, "an aggregate has a row"
        debt, posted, spent = row
        strangers = await connection.fetchval(
            "SELECT count(*) FROM usage_event WHERE event_id > $1 AND NOT account_id = ANY($2)",
            since,
            accounts,
        )
        over_lease = await connection.fetch(
            "SELECT r.id::text FROM reservation r JOIN usage_event e ON e.reservation_id = r.id"
            " WHERE r.account_id = ANY($1) GROUP BY r.id, r.amount_utok"
            " HAVING sum(e.charge_utok) > r.amount_utok",
            accounts,
        )
        dead_letters = await connection.fetchval("SELECT count(*) FROM usage_dead_letter")
    finally:
        await connection.close()
    return Ledger(
        charged=charged,
        violations=violations,
        dead_letters=dead_letters,
        strangers=strangers,
        debt_microtokens=debt,
        posted_microtokens=posted,
        spent_microtokens=spent,
        over_lease=[each["id"] for each in over_lease],
    )
