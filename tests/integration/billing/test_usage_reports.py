"""What was used, by day, model and key, and all of it as a file."""

import csv
import io
from typing import Any
from uuid import UUID

import httpx
import pytest

from aibridge_billing.pricing.store import put_multipliers
from aibridge_billing.usage_reports import export
from aibridge_common.db.engine import transaction
from aibridge_common.ids import uuid7
from aibridge_common.usage import Usage
from tests.fixtures.books import UNIT_PRICE, Books, charge

from .shop import Shop

pytestmark = pytest.mark.anyio


async def used(books: Books, shop: Shop, count: int, **change: Any) -> None:
    """So many requests of ten microtokens each."""
    await books.settle(*(charge(shop.account, 10, **change) for _ in range(count)))


async def report(shop: Shop, what: str, **params: Any) -> httpx.Response:
    return await shop.http.get(
        f"/v1/usage/{what}", params={"account_id": str(shop.account)} | params
    )


async def test_sums_by_day_model_and_key(shop: Shop, books: Books) -> None:
    await shop.bought()
    key, other = uuid7(), uuid7()
    async with transaction(books.database) as tx:
        await put_multipliers(tx, "another", UNIT_PRICE)
    usage = Usage(input=1, cache_read=2, output=4)
    await used(books, shop, 2, key_id=key)
    await books.settle(charge(shop.account, 15, key_id=other, billed_model="another", usage=usage))
    total = {
        "requests": 3,
        "input_tokens": "21",
        "cached_tokens": "2",
        "output_tokens": "4",
        "charge_microtokens": "35",
    }

    of_one = (await report(shop, "summary", key_id=str(key))).json()
    by_day = (await report(shop, "summary")).json()
    by_model = (await report(shop, "summary", by="model")).json()
    by_all = (await report(shop, "summary", by=["model", "key"])).json()

    assert [(one["requests"], one["charge_microtokens"]) for one in of_one] == [(2, "20")]
    assert by_day == [{"day": "2026-01-01"} | total]
    assert [(one["model"], one["charge_microtokens"]) for one in by_model] == [
        ("another", "15"),
        ("unit", "20"),
    ]
    assert [(one["model"], UUID(one["key_id"]), one["requests"]) for one in by_all] == [
        ("another", other, 1),
        ("unit", key, 2),
    ]


async def test_nobody_elses_usage_is_in_it(shop: Shop, books: Books) -> None:
    other = await books.account(1000)
    await books.settle(charge(other, 10))

    assert (await report(shop, "summary")).json() == []
    assert (await report(shop, "export", format="json")).json() == []


async def test_an_export_has_every_request_once(
    shop: Shop, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages of three, so that there are several."""
    monkeypatch.setattr(export, "PAGE", 3)
    await shop.bought()
    for count in (0, 1, 2, 4):
        await used(books, shop, count)
        total = {0: 0, 1: 1, 2: 3, 4: 7}[count]

        array = (await report(shop, "export", format="json")).json()
        table = await report(shop, "export")

        assert len({row["request_id"] for row in array}) == len(array) == total
        assert [row["request_id"] for row in array] == sorted(row["request_id"] for row in array)
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert [row["request_id"] for row in rows] == [row["request_id"] for row in array]
        assert sum(int(row["charge_microtokens"]) for row in rows) == total * 10
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers["content-disposition"] == 'attachment; filename="usage.csv"'


async def test_a_formula_is_text_in_a_spreadsheet(shop: Shop, books: Books) -> None:
    await shop.bought()
    for start in ("=", "+", "-", "@", "\t", "\r"):
        await used(books, shop, 1, requested_model=f'{start}cmd|" /C calc"!A0, "x"')

    rows = list(csv.DictReader(io.StringIO((await report(shop, "export")).text, newline="")))

    assert len(rows) == 6
    assert all(row["requested_model"].startswith("'") for row in rows)
    plain = (await report(shop, "export", format="json")).json()
    assert plain[0]["requested_model"].startswith("=cmd")


@pytest.mark.parametrize(
    ("what", "params", "param"),
    [
        ("summary", {"by": "price"}, "by"),
        ("summary", {"since": "yesterday"}, "since"),
        ("summary", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
        ("export", {"since": "2020-01-01T00:00:00Z"}, "since"),
        ("export", {"format": "xml"}, "format"),
        ("export", {"account_id": "me"}, "account_id"),
    ],
)
async def test_a_wrong_question_is_refused_by_its_field(
    shop: Shop, what: str, params: dict[str, str], param: str
) -> None:
    answer = await report(shop, what, **params)

    assert answer.status_code == 400, answer.text
    assert answer.json().get("param") == param, answer.text
