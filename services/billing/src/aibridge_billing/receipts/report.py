"""The audit: broken invariants, and the sums that a person compares with bank, vendors and routers."""

from datetime import date

from msgspec import Struct
from sqlalchemy import text

from aibridge_billing.ledger.audit import Violation, violations
from aibridge_common.db.engine import Transaction
from aibridge_common.usage import OUT_OF_RANGE

VIOLATIONS_SHOWN_MAX = 100
"""One fault can break every receipt after it; the count is always whole."""


class Totals(Struct, frozen=True, kw_only=True):
    """Three ways to the same sums, and what waits for somebody. The amounts are microtokens."""

    usage_events: int
    without_receipt: int
    """Charged before receipts were written."""
    receipts: int
    charged_microtokens: int
    receipted_microtokens: int
    """Of the same events as the receipts."""
    revenue_microtokens: int
    """What the journal says of all charges."""
    debt_microtokens: int
    accounts_in_debt: int
    dead_letters: int
    implausible: int
    """Of the dead letters: usage that cannot be. Nobody was charged and no receipt was made."""
    overdue_reservations: int
    """Open past their hard expiry by more than a minute: the sweeper is not running."""


class Reconciled(Struct, frozen=True, kw_only=True):
    """What a provider was called for in a day, beside what customers were charged for it."""

    day: date
    provider: str
    calls: int
    answered: int
    failed: int
    charged: int
    """Calls that a receipt with a charge ends in."""
    uncharged: int
    """Answered, and nobody was charged: the operator's own cost, or a customer's own key."""
    charged_microtokens: str


class Audit(Struct, frozen=True, kw_only=True):
    """Everything; sound when nothing is violated and the three sums agree."""

    violations: list[Violation]
    totals: Totals
    days: list[Reconciled]

    @property
    def sound(self) -> bool:
        """Whether every invariant holds. Debt and dead letters are work, not faults."""
        return not self.faults

    @property
    def faults(self) -> list[str]:
        """What is broken, as sentences."""
        totals = self.totals
        sums = {
            "charges and the journal's revenue differ": totals.charged_microtokens
            != totals.revenue_microtokens,
            "not every charge since receipts are written has one receipt": totals.usage_events
            != totals.receipts + totals.without_receipt,
            "reservations are open past their hard expiry": totals.overdue_reservations > 0,
        }
        return [
            *(f"{violation.what}: {violation.id}" for violation in self.violations),
            *(fault for fault, broken in sums.items() if broken),
        ]


_TOTALS = text("""
  SELECT (SELECT count(*) FROM usage_event) AS usage_events,
         (SELECT count(*) FROM usage_event WHERE batch_id < 1000000000000) AS without_receipt,
         (SELECT count(*) FROM receipt) AS receipts,
         (SELECT coalesce(sum(charge_utok), 0) FROM usage_event) AS charged_microtokens,
         (SELECT coalesce(sum(e.charge_utok), 0)
            FROM receipt r JOIN usage_event e ON e.event_id = r.event_id) AS receipted_microtokens,
         (SELECT -coalesce(sum(amount_utok), 0) FROM journal_entry WHERE acct = 3) AS revenue_microtokens,
         (SELECT coalesce(sum(debt_utok), 0) FROM account) AS debt_microtokens,
         (SELECT count(*) FROM account WHERE debt_utok > 0) AS accounts_in_debt,
         (SELECT count(*) FROM usage_dead_letter WHERE resolved_at IS NULL) AS dead_letters,
         (SELECT count(*) FROM usage_dead_letter
           WHERE resolved_at IS NULL AND starts_with(error, :implausible)) AS implausible,
         (SELECT count(*) FROM reservation
           WHERE state = 0 AND hard_expires_at < now() - interval '1 minute') AS overdue_reservations
""")

_DAYS = text("""
  WITH charged AS (
    SELECT e.event_id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.provider, e.charge_utok, r.attempts
      FROM receipt r JOIN usage_event e USING (event_id)
     WHERE e.occurred_at >= date_trunc('day', now(), 'UTC') - make_interval(days => :days - 1)),
  call AS (
    SELECT c.day, a.call ->> 'provider' AS provider, a.call ->> 'ended' = 'answered' AS answered,
           a.number = json_array_length(c.attempts) AND c.charge_utok > 0 AS charged,
           CASE WHEN a.number = json_array_length(c.attempts) THEN c.charge_utok ELSE 0 END AS utok
      FROM charged c CROSS JOIN LATERAL json_array_elements(c.attempts) WITH ORDINALITY AS a (call, number)
    UNION ALL                                              -- a service of the version before named no attempt
    SELECT day, provider, true, charge_utok > 0, charge_utok FROM charged WHERE json_array_length(attempts) = 0)
  SELECT day, provider, count(*) AS calls, count(*) FILTER (WHERE answered) AS answered,
         count(*) FILTER (WHERE NOT answered) AS failed, count(*) FILTER (WHERE charged) AS charged,
         count(*) FILTER (WHERE answered AND NOT charged) AS uncharged, sum(utok)::text AS charged_microtokens
    FROM call GROUP BY 1, 2 ORDER BY 1, 2
""")


async def audit(tx: Transaction, days: int) -> Audit:
    """Everything, of one moment; the reconciliation of the last `days` days."""
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    found = await violations(tx)
    totals = (await tx.execute(_TOTALS, {"implausible": OUT_OF_RANGE})).mappings().one()
    rows = await tx.execute(_DAYS, {"days": days})
    return Audit(
        violations=found,
        totals=Totals(**{name: int(value) for name, value in totals.items()}),
        days=[Reconciled(**row) for row in rows.mappings()],
    )


def render(audit: Audit) -> str:
    """The report as a person reads it."""
    totals = audit.totals
    lines = [
        _row("usage events", totals.usage_events, f"{totals.without_receipt} before receipts"),
        _row("receipts", totals.receipts, f"{totals.receipted_microtokens} microtokens"),
        _row("charged", totals.charged_microtokens, "microtokens, by usage"),
        _row("revenue", totals.revenue_microtokens, "microtokens, by the journal"),
        _row("debt", totals.debt_microtokens, f"microtokens, {totals.accounts_in_debt} accounts"),
        _row("dead letters", totals.dead_letters, f"{totals.implausible} with implausible usage"),
        _row("overdue reservations", totals.overdue_reservations, "open past their hard expiry"),
        "",
        _COLUMNS.format("day", "provider", *_COUNTS, "microtokens"),
        *(
            _COLUMNS.format(
                row.day.isoformat(),
                row.provider,
                *(getattr(row, name) for name in _COUNTS),
                row.charged_microtokens,
            )
            for row in audit.days
        ),
        "",
        *audit.faults[:VIOLATIONS_SHOWN_MAX],
        f"{len(audit.faults)} violations",
    ]
    return "\n".join(lines)


_COUNTS = ("calls", "answered", "failed", "charged", "uncharged")
_COLUMNS = "{:<10}  {:<20}" + "  {:>9}" * len(_COUNTS) + "  {:>20}"


def _row(name: str, value: int, more: str) -> str:
    return f"{name:<20}  {value:>20}  {more}"
