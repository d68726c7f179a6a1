"""Seeding brings a catalogue into billing; a second time it changes nothing."""

import argparse
import json

import pytest
from msgspec.structs import replace

from aibridge_billing import cli
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.seed import seed_catalog, seed_demo_account
from aibridge_common.catalog import Catalog, load_catalog, shipped_catalog_path
from aibridge_common.ids import uuid7
from aibridge_common.usage import Usage
from tests.fixtures.books import Books, envelope, usage_event
from tests.fixtures.services import billing_settings


async def snapshot(books: Books) -> list[object]:
    return [
        await books.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("rate_card", "product", "account", "purchase_order", "lot", "journal_tx")
    ]


@pytest.mark.anyio
async def test_a_second_time_changes_nothing(books: Books) -> None:
    catalog, account = load_catalog(shipped_catalog_path()), uuid7()
    await seed_catalog(books.database, catalog)
    balance = await seed_demo_account(books.database, catalog, account)
    before = await snapshot(books)

    await seed_catalog(books.database, catalog)
    again = await seed_demo_account(books.database, catalog, account)

    assert again == balance == max(product.grant_microtokens for product in catalog.products)
    assert await snapshot(books) == before


@pytest.mark.anyio
async def test_what_was_said_through_the_api_stays(books: Books) -> None:
    catalog = load_catalog(shipped_catalog_path())
    await seed_catalog(books.database, catalog)
    await books.rows("UPDATE product SET active = false, title_zh = '套餐' RETURNING 1")

    await seed_catalog(books.database, catalog)

    kept = await books.rows("SELECT DISTINCT active, title_zh FROM product")
    assert [tuple(row) for row in kept] == [(False, "套餐")]
    await books.rows("UPDATE product SET active = true WHERE id <> 'adjustment' RETURNING 1")


@pytest.mark.anyio
async def test_a_changed_multiplier_is_a_new_version_and_old_charges_keep_theirs(
    books: Books,
) -> None:
    shipped = load_catalog(shipped_catalog_path())
    await seed_catalog(books.database, shipped)
    model, account = shipped.models[0], await books.account(10**12)
    settlement = Settlement(books.database, PriceBook(books.database))
    old = usage_event(account, 0, billed_model=model.id, usage=Usage(output=10))
    await settlement.apply([envelope(old)])

    await seed_catalog(books.database, dearer(shipped, output="1000"))
    late, new = replace(old, event_id=uuid7()), replace(old, event_id=uuid7(), price_version=2)
    await settlement.apply([envelope(late, new)])

    versions = await books.rows(
        "SELECT version, output FROM rate_card WHERE model = :model ORDER BY version",
        model=model.id,
    )
    was = model.priced.microtokens().output
    assert [tuple(row) for row in versions] == [(1, was), (2, 1_000_000_000)]
    charges = [
        await books.value("SELECT charge_utok FROM usage_event WHERE event_id = :id", id=each)
        for each in (old.event_id, late.event_id, new.event_id)
    ]
    assert charges == [10 * was, 10 * was, 10_000_000_000]
    others = await books.value("SELECT count(*) FROM rate_card WHERE version > 1")
    assert others == 1


@pytest.mark.anyio
async def test_an_order_keeps_the_price_of_its_day(books: Books) -> None:
    shipped = load_catalog(shipped_catalog_path())
    product = max(shipped.products, key=lambda each: each.tokens)
    account = uuid7()
    await seed_catalog(books.database, shipped)
    await seed_demo_account(books.database, shipped, account)

    cheaper = replace(product, price_minor=1, tokens=1)
    await seed_catalog(books.database, replace(shipped, products=[cheaper]))

    order = await books.row(
        "SELECT price_minor, grant_utok FROM purchase_order WHERE account_id = :id", id=account
    )
    assert tuple(order) == (product.price_minor, product.grant_microtokens)
    assert await books.value("SELECT price_minor FROM product WHERE id = :id", id=product.id) == 1


def dearer(catalog: Catalog, *, output: str) -> Catalog:
    """With another price for the output of the first model."""
    first, *others = catalog.models
    multipliers = replace(first.priced, output=output)
    return replace(catalog, models=[replace(first, multipliers=multipliers), *others])


def test_the_commands_may_be_repeated(
    billing_url: str, nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`migrate`, `seed` and `audit` as the command line runs them."""
    settings = billing_settings(billing_url, nats_url)
    seed = argparse.Namespace(command="seed", catalog=shipped_catalog_path(), demo_account=uuid7())

    codes = [
        cli._run(arguments, settings)
        for arguments in (
            argparse.Namespace(command="migrate"),
            seed,
            seed,
            argparse.Namespace(command="audit", days=7),
        )
    ]

    assert codes == [0, 0, 0, 0]
    printed = capsys.readouterr().out.splitlines()
    first, second = [json.loads(line) for line in printed if line.startswith("{")]
    assert int(first["demo_balance_tokens"]) > 0
    assert first == second
    assert {"0007"} < set(printed)
