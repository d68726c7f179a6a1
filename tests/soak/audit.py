"""The books after a run: what the ledger charged, beside what the vendors say they did and what clients were told."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from aibridge_common.ids import public_request_id
from aibridge_common.usage import Usage
from tests.soak.load import Done
from tests.soak.vendors import Call

FINAL = 1
_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")


class Charged(Struct, frozen=True, kw_only=True):
    """One row of the ledger."""

    requested_model: str
    billed_model: str
    provider: str
    usage: Usage
    charge_microtokens: int
    source: int


class Books(Struct, frozen=True, kw_only=True):
    """What the ledger holds."""

    charged: dict[str, Charged]
    violations: list[str]
    dead_letters: int
    spent_microtokens: int
    ever_charged_microtokens: int
    """Of the whole account, in the same snapshot as what it spent: what began before may settle meanwhile."""
    reserved_microtokens: int


class Findings(Struct, frozen=True, kw_only=True):
    """What does not fit; all empty when everything does."""

    wrong: list[str]
    exact: int
    """Charges that equal the vendor's own count and the catalogue's price, to the microtoken."""
    charged_microtokens: int
    owed_microtokens: int


async def read_books(database_url: str, account_id: str, since: UUID) -> Books:
    """The ledger's rows of an account since a request id, which is ordered by time."""
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "billing"})
    try:
        rows = await connection.fetch(
            "SELECT event_id, requested_model, billed_model, provider, input_tok, cache_read_tok,"
            " cache_write_5m_tok, cache_write_1h_tok, output_tok, reasoning_tok, charge_utok, usage_source"
            " FROM usage_event WHERE account_id = $1 AND event_id > $2",
            UUID(account_id),
            since,
        )
        violations = await connection.fetch(
            "SELECT what || ': ' || id AS text FROM ledger_violation"
        )
        dead_letters = await connection.fetchval(
            "SELECT count(*) FROM usage_dead_letter WHERE event_id IS NULL OR event_id > $1", since
        )
        account = await connection.fetchrow(
            "SELECT spent_utok, reserved_utok, (SELECT coalesce(sum(charge_utok), 0)::bigint FROM usage_event"
            " WHERE account_id = $1) AS charged_utok FROM account WHERE id = $1",
            UUID(account_id),
        )
    finally:
        await connection.close()
    assert account is not None, "the account was seeded"
    return Books(
        charged={public_request_id(row["event_id"]): _charged(row) for row in rows},
        violations=[row["text"] for row in violations],
        dead_letters=dead_letters,
        spent_microtokens=account["spent_utok"],
        ever_charged_microtokens=account["charged_utok"],
        reserved_microtokens=account["reserved_utok"],
    )


def audit(done: Sequence[Done], calls: Iterable[Call], books: Books) -> Findings:
    """Every request that was served is charged once, at the model that answered, by what its vendor counted."""
    known = prices()
    truth: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        truth[call.request_id].append(call)
    wrong: list[str] = []
    exact = charged_microtokens = owed_microtokens = 0
    for one in done:
        if not one.request_id:
            continue
        row = books.charged.get(one.request_id)
        answered = [call for call in truth[one.request_id] if answered_whole(call)]
        if row is None:
            if answered:
                wrong.append(f"{one.request_id}: answered by {answered[-1].vendor}, not charged")
            elif one.served and not one.answer.left:
                wrong.append(f"{one.request_id}: served, and no vendor knows of it")
            continue
        charged_microtokens += row.charge_microtokens
        if not answered and one.answer.left:  # its vendor was left too, so its count is estimated
            owed_microtokens += row.charge_microtokens
            continue
        owed = sum(price(known, call.model, call.usage) for call in answered)
        owed_microtokens += owed
        misfits = _misfits(one, row, answered, owed)
        wrong += [f"{one.request_id}: {misfit}" for misfit in misfits]
        exact += not misfits
    wrong += [f"the ledger: {violation}" for violation in books.violations]
    if books.dead_letters:
        wrong.append(f"the ledger: {books.dead_letters} dead letters")
    return Findings(
        wrong=wrong,
        exact=exact,
        charged_microtokens=charged_microtokens,
        owed_microtokens=owed_microtokens,
    )


def _misfits(one: Done, row: Charged, answered: list[Call], owed: int) -> list[str]:
    if len(answered) != 1:
        return [f"charged, and {len(answered)} vendors answered"]
    [call], headers = answered, one.answer.headers
    pairs = {
        "requested model": (row.requested_model, one.ask.model),
        "billed model and the vendor's": (row.billed_model, call.model),
        "billed model and the header": (row.billed_model, headers.get("x-aibridge-model")),
        "billed provider and the header": (row.provider, headers.get("x-aibridge-provider")),
        "provider": (row.provider, call.vendor),
        "usage": (row.usage, call.usage),
        "source": (row.source, FINAL),
        "charge": (row.charge_microtokens, owed),
    }
    return [f"{name}: {a} is not {b}" for name, (a, b) in pairs.items() if a != b]


def answered_whole(call: Call) -> bool:
    """Whether the vendor gave all of it and said what it used."""
    return call.outcome == "completed" and call.status == 200 and call.reported


def price(known: dict[str, dict[str, Decimal]], model: str, usage: Usage) -> int:
    """Reckoned from the catalogue's decimals, apart from the product's own arithmetic."""
    total = sum((getattr(usage, kind) * known[model][kind] for kind in _KINDS), Decimal(0))
    microtokens = total * 1_000_000
    assert microtokens == int(microtokens), "the catalogue's prices are whole microtokens"
    return int(microtokens)


@cache
def prices() -> dict[str, dict[str, Decimal]]:
    """The shipped catalogue's multipliers by model."""
    catalog = tomllib.loads((files("aibridge_common") / "catalog.toml").read_text())
    return {model["id"]: _multipliers(model["multipliers"]) for model in catalog["models"]}


def _multipliers(said: dict[str, str]) -> dict[str, Decimal]:
    """Where the catalogue says nothing, reasoning costs what output does, and a cache what input does."""
    fallbacks = {kind: said["output" if kind == "reasoning" else "input"] for kind in _KINDS}
    return {kind: Decimal(value) for kind, value in (fallbacks | said).items()}


def _charged(row: Any) -> Charged:
    return Charged(
        requested_model=row["requested_model"],
        billed_model=row["billed_model"],
        provider=row["provider"],
        usage=Usage(**{kind: row[f"{kind}_tok"] for kind in _KINDS}),
        charge_microtokens=row["charge_utok"],
        source=row["usage_source"],
    )
