"""A charge and its receipt are written together, and the receipt says what the charge was made of."""

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from aibridge_billing import cli
from aibridge_billing.ledger.audit import violations
from aibridge_billing.metering.replay import replay_dead_letters
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.pricing.store import put_multipliers
from aibridge_billing.receipts.chain import read_export, verify
from aibridge_billing.receipts.report import Audit, audit, render
from aibridge_billing.receipts.store import receipt_page, request_receipts
from aibridge_common.contracts.billing import Receipt
from aibridge_common.db.engine import transaction
from aibridge_common.errors import NotFound
from aibridge_common.events.usage import AttemptRecorded, Outcome, UsageSource
from aibridge_common.ids import public_request_id, uuid7
from aibridge_common.usage import Usage
from tests.fixtures.books import UNIT_PRICE, Books, charge, envelope, usage_event

pytestmark = pytest.mark.anyio

ODD = "".join(map(chr, range(1, 0x21))) + '"\\/\x7f\x80\u2028\ufeff\U0001f600é'
"""What JSON encoders disagree about."""


async def export(books: Books, account: UUID) -> list[Receipt]:
    """All receipts, page by page."""
    rows: list[Receipt] = []
    cursor = None
    while True:
        async with transaction(books.database) as tx:
            page = await receipt_page(tx, account, 3, cursor)
        rows += page.receipts
        if page.next is None:
            return rows
        cursor = page.next


def fit(rows: list[Receipt]) -> bool:
    found = verify(read_export("\n".join(msgspec.json.encode(row).decode() for row in rows)))
    assert found.misfit is None, str(found.misfit)
    return found.receipts == len(rows)


async def audited(books: Books) -> Audit:
    async with transaction(books.database) as tx:
        return await audit(tx, 100_000)


async def test_everything_an_event_says_stands_in_its_receipt(books: Books) -> None:
    account, key = await books.account(10_000), uuid7()
    one = charge(
        account,
        0,
        key_id=key,
        requested_model=ODD,
        endpoint=ODD,
        stream=True,
        first_content_ms=12,
        total_ms=99,
        usage=Usage(
            input=1,
            output=10,
            cache_read=100,
            cache_write_5m=200,
            cache_write_1h=300,
            reasoning=400,
        ),
        source=UsageSource.PARTIAL,
        outcome=Outcome.UPSTREAM_CUT,
        attempts=[
            AttemptRecorded(model="a", provider=ODD, ended="upstream_failed", took_ms=7),
            AttemptRecorded(
                model="unit", provider="openai", ended="answered", took_ms=50, own_key=True
            ),
        ],
        reported=[msgspec.Raw(b'{"a": 1.50, "b": "\\u0000\\n"}'), msgspec.Raw(b'"\xc3\xa9"')],
    )
    await books.settle(msgspec.structs.replace(one, charge_microtokens=7821))

    [row] = await export(books, account)

    assert fit([row])
    assert (row.account_id, row.seq, row.key_id) == (str(account), "1", str(key))
    assert row.request_id == public_request_id(one.event.event_id)
    assert row.event_id == str(one.event.event_id)
    assert row.occurred_at == "2026-01-01T12:00:00.000000Z"
    assert (row.requested_model, row.endpoint, row.billed_model) == (ODD, ODD, "unit")
    assert (row.stream, row.first_content_ms, row.total_ms) == (True, "12", "99")
    assert (row.usage_source, row.outcome) == ("partial", "upstream_cut")
    assert [(a.provider, a.ended, a.took_ms, a.own_key) for a in row.attempts] == [
        (ODD, "upstream_failed", "7", False),
        ("openai", "answered", "50", True),
    ]
    assert row.reported == ['{"a": 1.50, "b": "\\u0000\\n"}', '"é"']
    assert msgspec.structs.asdict(row.usage) == {
        "input": "1",
        "cache_read": "100",
        "cache_write_5m": "200",
        "cache_write_1h": "300",
        "output": "10",
        "reasoning": "400",
    }
    assert row.multipliers.reasoning == "11"
    assert (row.charge.cache_write_1h, row.charge_microtokens) == ("2100", "7821")
    assert [lot.microtokens for lot in row.lots] == ["7821"]
    assert (row.debt_microtokens, row.previous_hash) == ("0", "00" * 32)


@pytest.mark.parametrize("source", UsageSource)
@pytest.mark.parametrize("outcome", Outcome)
async def test_sources_and_outcomes_have_the_names_they_have_elsewhere(
    books: Books, source: UsageSource, outcome: Outcome
) -> None:
    account = await books.account(100)
    await books.settle(charge(account, 1, source=source, outcome=outcome))

    [row] = await export(books, account)

    assert (row.usage_source, row.outcome) == (source.name.lower(), outcome.name.lower())


async def test_zero_characters_do_not_keep_a_charge_away(books: Books) -> None:
    account = await books.account(100)
    attempt = AttemptRecorded(model="\0", provider="\0", ended="\0", took_ms=0)
    await books.settle(charge(account, 1, attempts=[attempt], reported=[msgspec.Raw(b'"\0\xff"')]))

    [row] = await export(books, account)

    assert fit([row])
    assert row.attempts[0].model == "\ufffd"
    assert (await audited(books)).sound


class TestLots:
    async def test_charges_of_a_batch_take_lots_in_the_order_of_their_ids(
        self, books: Books
    ) -> None:
        account = await books.account(10, 5, 100)
        ids = sorted(uuid7() for _ in range(5))
        charges = [
            charge(account, utok, event_id=event_id)
            for utok, event_id in zip((4, 0, 8, 3, 20), ids, strict=True)
        ]
        await books.settle(*reversed(charges))

        rows = await export(books, account)

        assert fit(rows)
        assert [[int(lot.microtokens) for lot in row.lots] for row in rows] == [
            [4],
            [],
            [6, 2],
            [3],
            [20],
        ]
        assert [row.event_id for row in rows] == [str(event_id) for event_id in ids]

    async def test_what_no_lot_could_pay_is_debt_and_a_later_purchase_is_not_in_it(
        self, books: Books
    ) -> None:
        account = await books.account(10)
        await books.settle(charge(account, 7), charge(account, 7), charge(account, 7))
        await books.buy(account, 100)

        rows = await export(books, account)

        assert [row.debt_microtokens for row in rows] == ["0", "4", "7"]
        assert [[lot.microtokens for lot in row.lots] for row in rows] == [["7"], ["3"], []]

    async def test_old_debt_that_a_batch_pays_is_in_no_receipt_of_it(self, books: Books) -> None:
        account = await books.account(100)
        hold = await books.hold(account, 100)
        await books.settle(charge(account, 25))
        await books.settle(charge(account, 10, lease_id=hold))

        rows = await export(books, account)

        assert [row.debt_microtokens for row in rows] == ["25", "0"]
        assert await books.consumed(account) == [35]
        assert [[lot.microtokens for lot in row.lots] for row in rows] == [[], ["10"]]

    @given(
        bought=st.lists(st.integers(1, 30), max_size=4),
        batches=st.lists(st.lists(st.integers(0, 25), min_size=1, max_size=6), max_size=4),
    )
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    async def test_receipts_and_lots_agree_whatever_is_bought_and_charged(
        self, books: Books, bought: list[int], batches: list[list[int]]
    ) -> None:
        account = await books.account(*bought)
        for batch in batches:
            await books.settle(*(charge(account, utok) for utok in batch))

        rows = await export(books, account)

        assert fit(rows)
        assert len(rows) == sum(map(len, batches))
        taken = sum(int(lot.microtokens) for row in rows for lot in row.lots)
        assert taken == sum(await books.consumed(account))
        assert taken == min(sum(bought), sum(map(sum, batches)))


class TestChain:
    async def test_a_duplicate_makes_no_second_receipt(self, books: Books) -> None:
        account = await books.account(100)
        once = charge(account, 10)
        await books.settle(once, once)
        await books.settle(once, charge(account, 5))

        rows = await export(books, account)

        assert fit(rows)
        assert len(rows) == 2

    async def test_many_hands_make_one_chain(self, books: Books) -> None:
        account, other = await books.account(1000), await books.account(1000)

        async def hand() -> None:
            for _ in range(5):
                await books.settle(charge(account, 1), charge(other, 1), charge(account, 2))

        await asyncio.gather(*(hand() for _ in range(6)))

        mine, theirs = await export(books, account), await export(books, other)
        assert fit(mine)
        assert fit(theirs)
        assert (len(mine), len(theirs)) == (60, 30)

    async def test_a_service_of_the_version_before_writes_receipts_too(self, books: Books) -> None:
        """It calls the function as it was; both run during a rollout."""
        account, event = await books.account(100), uuid7()
        await books.settle(charge(account, 1))
        await books.rows(
            "SELECT * FROM settle_batch(ARRAY[CAST(:event AS uuid)], ARRAY[CAST(:account AS uuid)],"
            " ARRAY[NULL]::uuid[], ARRAY[NULL]::uuid[], '{unit}', '{unit}', '{openai}', '{1}', '{7}',"
            " '{0}', '{0}', '{0}', '{0}', '{0}', '{7}', '{1}', '{1}', '{x}', '{f}', '{0}', '{0}', ARRAY[now()])",
            event=event,
            account=account,
        )
        await books.settle(charge(account, 2))

        rows = await export(books, account)

        assert fit(rows)
        assert [row.charge_microtokens for row in rows] == ["1", "7", "2"]
        assert (rows[1].attempts, rows[1].reported) == ([], [])

    @pytest.mark.parametrize(
        ("fault", "seen"),
        [
            ("UPDATE receipt SET debt_utok = 1", "a receipt is not what was hashed"),
            ("UPDATE receipt SET debt_utok = 1", "lots and debt are not the charge"),
            ("UPDATE receipt SET attempts = '[ ]'", "a receipt is not what was hashed"),
            ("UPDATE receipt SET seq = seq + 10", "a receipt does not follow the one before"),
            ("DELETE FROM receipt", "a charge has no receipt"),
            ("DELETE FROM receipt", "receipts of a batch are not what the journal says"),
            (
                "UPDATE receipt SET lots = replace(lots::text, '\"10\"', '\"11\"')::json",
                "receipts took from a lot what the journal does not say",
            ),
        ],
    )
    async def test_the_audit_sees_a_fault(self, books: Books, fault: str, seen: str) -> None:
        account = await books.account(100)
        await books.settle(charge(account, 10))
        async with books.database.connect() as tx:
            await tx.execute(text("ALTER TABLE receipt DISABLE TRIGGER append_only"))
            await tx.execute(text(f"{fault} WHERE account_id = :id"), {"id": account})
            found = await violations(tx)
            await tx.rollback()

        assert seen in {violation.what for violation in found}

    async def test_a_usage_row_or_a_price_that_is_changed_behind_it_shows(
        self, books: Books
    ) -> None:
        account = await books.account(100)
        await books.settle(charge(account, 10))
        for table, change in (
            ("usage_event", "UPDATE usage_event SET outcome = 2 WHERE account_id = :id"),
            ("rate_card", "UPDATE rate_card SET reasoning = 12 WHERE :id IS NOT NULL"),
        ):
            async with books.database.connect() as tx:
                await tx.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER append_only"))
                await tx.execute(text(change.replace(":id", "CAST(:id AS uuid)")), {"id": account})
                found = await violations(tx)
                await tx.rollback()
            assert "a receipt is not what was hashed" in {each.what for each in found}, table


async def test_an_answer_with_several_legs_shows_them_all(books: Books) -> None:
    account, other = await books.account(100), await books.account(100)
    first = charge(account, 10)
    second = charge(account, 20, request_id=first.event.event_id)
    await books.settle(first, charge(account, 1))
    await books.settle(second)

    async with transaction(books.database) as tx:
        name = public_request_id(first.event.event_id)
        found = await request_receipts(tx, account, name)
        with pytest.raises(NotFound):
            await request_receipts(tx, other, name)

    assert [row.charge_microtokens for row in found.receipts] == ["10", "20"]
    assert {row.request_id for row in found.receipts} == {name}
    assert found.charge_microtokens == "30"


async def test_changing_a_price_never_changes_an_old_receipt(books: Books) -> None:
    account, model = await books.account(10_000), f"model-{uuid7().hex}"
    settlement = Settlement(books.database, PriceBook(books.database))

    async def price(output: int) -> int:
        card = msgspec.structs.replace(UNIT_PRICE, output=output)
        async with transaction(books.database) as tx:
            return await put_multipliers(tx, model, card)

    version = await price(2)
    old = usage_event(
        account, 0, billed_model=model, price_version=version, usage=Usage(output=100)
    )
    await settlement.apply([envelope(old)])
    before = await export(books, account)
    new = msgspec.structs.replace(old, event_id=uuid7(), price_version=await price(50))
    await settlement.apply([envelope(new)])

    after = await export(books, account)

    assert after[:1] == before
    assert fit(after)
    assert [row.charge_microtokens for row in after] == ["200", "5000"]
    assert [row.multipliers.output for row in after] == ["2", "50"]


class TestAudit:
    @pytest.mark.parametrize("count", [-1, 100_000_001])
    async def test_usage_that_cannot_be_has_no_receipt_and_is_counted(
        self, books: Books, count: int
    ) -> None:
        account = await books.account(100)
        before = (await audited(books)).totals
        settlement = Settlement(books.database, PriceBook(books.database))
        await settlement.apply([envelope(usage_event(account, 0, usage=Usage(output=count)))])

        report = await audited(books)

        assert await export(books, account) == []
        assert report.totals.implausible == before.implausible + 1
        assert report.totals.dead_letters == before.dead_letters + 1
        assert report.sound

    async def test_calls_are_reconciled_with_charges(self, books: Books) -> None:
        account, name = await books.account(100), f"provider-{uuid7().hex}"

        def attempt(ended: str, provider: str = name) -> AttemptRecorded:
            return AttemptRecorded(model="unit", provider=provider, ended=ended, took_ms=1)

        await books.settle(
            charge(account, 5, provider=name, attempts=[attempt("timeout"), attempt("answered")]),
            charge(account, 0, provider=name, attempts=[attempt("answered")]),
            charge(account, 3, attempts=[attempt("refused"), attempt("answered", "openai")]),
            charge(account, 2, provider=name),
        )

        report = await audited(books)

        [row] = [each for each in report.days if each.provider == name]
        assert (row.calls, row.answered, row.failed) == (5, 3, 2)
        assert (row.charged, row.uncharged, row.charged_microtokens) == (2, 1, "7")
        assert str(row.day) == "2026-01-01"
        assert name in render(report)

    async def test_a_reservation_open_past_its_hard_expiry_is_a_fault(self, books: Books) -> None:
        account = await books.account(100)
        lease = await books.lease(account, 10, hard_ttl_s=0)
        assert (await audited(books)).sound
        await books.rows(
            "UPDATE reservation SET expires_at = now() - interval '1 hour',"
            " hard_expires_at = now() - interval '10 minutes' WHERE id = :id RETURNING 1",
            id=lease,
        )

        report = await audited(books)

        assert report.faults == ["reservations are open past their hard expiry"]
        assert "1 violations" in render(report)
        await books.sweep()

    async def test_debt_is_shown_and_is_no_fault(self, books: Books) -> None:
        before = (await audited(books)).totals
        await books.settle(charge(await books.account(), 9))

        report = await audited(books)

        assert report.sound
        assert report.totals.debt_microtokens == before.debt_microtokens + 9
        assert report.totals.accounts_in_debt == before.accounts_in_debt + 1


async def test_a_dead_letter_that_is_settled_later_keeps_its_reports(books: Books) -> None:
    account, model = await books.account(100), f"model-{uuid7().hex}"
    attempt = AttemptRecorded(model="unit", provider="openai", ended="answered", took_ms=1)
    event = usage_event(
        account, 10, billed_model=model, attempts=[attempt], reported=[msgspec.Raw(b'{"n":1}')]
    )
    prices = PriceBook(books.database)
    await Settlement(books.database, prices).apply([envelope(event)])
    async with transaction(books.database) as tx:
        await put_multipliers(tx, model, UNIT_PRICE)

    await replay_dead_letters(books.database, prices, dry_run=False)

    [row] = await export(books, account)
    assert fit([row])
    assert [msgspec.json.decode(one) for one in row.reported] == [{"n": 1}]
    assert row.attempts[0].provider == "openai"


class TestCommandLine:
    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
        """The exit code; there are no settings, so that no database can be asked."""
        monkeypatch.setattr(sys, "argv", ["aibridge-billing", *arguments])
        for name in ("DATABASE_URL", "NATS_URL", "SERVICE_TOKENS"):
            monkeypatch.delenv(f"AIBRIDGE_BILLING_{name}", raising=False)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    async def test_an_export_is_verified_without_a_database(
        self,
        books: Books,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        account = await books.account(100)
        await books.settle(charge(account, 1), charge(account, 2))
        rows = await export(books, account)
        file = tmp_path / "export.json"
        file.write_bytes(msgspec.json.encode({"receipts": rows}))

        assert self.run(monkeypatch, "verify-receipts", str(file)) == 0
        assert f"2 receipts fit; the last is 2:{rows[1].hash}" in capsys.readouterr().out

        file.write_bytes(file.read_bytes().replace(b'"unit"', b'"other"', 1))
        assert self.run(monkeypatch, "verify-receipts", str(file)) == 1
        assert f"row 1 (seq 1, event {rows[0].event_id}): hash is" in capsys.readouterr().out

    def test_a_file_that_cannot_be_read_is_said(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.run(monkeypatch, "verify-receipts", str(tmp_path / "none")) == 2
        assert "No such file" in capsys.readouterr().err
