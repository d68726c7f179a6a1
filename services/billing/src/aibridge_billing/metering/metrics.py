"""What to watch of billing: its consumer since the process began, and the ledger now."""

from sqlalchemy import text

from aibridge_billing.metering.consumer import Counters
from aibridge_common.db.engine import Database, transaction
from aibridge_common.web.metrics import Measured

_LEDGER = text("""
  SELECT (SELECT coalesce(sum(debt_utok), 0) FROM account WHERE debt_utok > 0) AS debt_microtokens,
         (SELECT count(*) FROM account WHERE debt_utok > 0) AS accounts_in_debt,
         (SELECT count(*) FROM usage_dead_letter WHERE resolved_at IS NULL) AS dead_letters_unresolved,
         (SELECT count(*) FROM reservation
           WHERE state = 0 AND hard_expires_at < now() - interval '1 minute') AS overdue_reservations
""")
_WORDS = {
    "debt_microtokens": "What accounts owe because a charge exceeded their balance",
    "accounts_in_debt": "Accounts that owe something",
    "dead_letters_unresolved": "Usage that could not be settled and waits for a person",
    "overdue_reservations": "Open past their hard expiry: the sweeper does not run",
}


async def measure_ledger(database: Database) -> list[Measured]:
    """Four numbers, each from an index."""
    async with transaction(database) as tx:
        row = (await tx.execute(_LEDGER)).mappings().one()
    return [
        Measured(f"aibridge_billing_{name}", words, float(row[name]))
        for name, words in _WORDS.items()
    ]


def measure_consumer(counters: Counters) -> list[Measured]:
    """How settling goes."""
    prefix = "aibridge_billing_usage"
    return [
        Measured(f"{prefix}_applied", "Usage events settled", counters.applied, "counter"),
        Measured(
            f"{prefix}_duplicates",
            "Events that were settled before",
            counters.duplicates,
            "counter",
        ),
        Measured(f"{prefix}_dead_letters", "Events set aside", counters.dead_letters, "counter"),
        Measured(
            f"{prefix}_waiting_messages",
            "Envelopes on the bus behind the last delivery",
            counters.waiting_messages,
        ),
        Measured(
            f"{prefix}_lag_seconds",
            "Age of the oldest envelope of the last delivery",
            counters.lag_s,
        ),
    ]
