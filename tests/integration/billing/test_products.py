"""Plans are put on sale, changed and taken off it; prices are public."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fixtures.services import http_to, running_billing

pytestmark = pytest.mark.anyio
PLAN = {
    "title": "Plan S",
    "title_zh": "套餐 S",
    "tokens": 1_000_000,
    "bonus_tokens": 50_000,
    "price_minor": 900,
    "currency": "EUR",
}


@pytest.fixture(scope="module")
async def http(billing_url: str, clean_stream: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running_billing(billing_url, clean_stream) as url, http_to(url) as client:
        yield client


async def put(http: httpx.AsyncClient, product_id: str, **change: Any) -> dict[str, Any]:
    answer = await http.put(f"/v1/products/{product_id}", json=PLAN | change)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_plan_is_sold_changed_and_archived(http: httpx.AsyncClient) -> None:
    assert await put(http, "s") == {
        "id": "s",
        "title": "Plan S",
        "title_zh": "套餐 S",
        "tokens": "1000000",
        "bonus_tokens": "50000",
        "price_minor": "900",
        "currency": "EUR",
        "active": True,
    }
    await put(http, "s", price_minor=1000)
    await put(http, "xs", price_minor=500)
    listed = (await http.get("/v1/products")).json()
    assert [(one["id"], one["price_minor"]) for one in listed] == [("xs", "500"), ("s", "1000")]

    assert (await http.delete("/v1/products/xs")).status_code == 204
    assert [one["id"] for one in (await http.get("/v1/products")).json()] == ["s"]
    every = (await http.get("/v1/products", params={"archived": "true"})).json()
    assert [one["id"] for one in every] == ["xs", "s"]
    audit = (await http.get("/v1/audit")).json()["rows"]
    assert (audit[0]["action"], audit[0]["subject"], audit[0]["caller"]) == (
        "product.archive",
        "xs",
        "tests",
    )


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tokens": 0}, "tokens"),
        ({"tokens": -5}, "tokens"),
        ({"tokens": 10**13}, "tokens"),
        ({"tokens": 1.5}, "tokens"),
        ({"tokens": True}, "tokens"),
        ({"bonus_tokens": -1}, "bonus_tokens"),
        ({"tokens": 10**12, "bonus_tokens": 1}, "bonus_tokens"),
        ({"currency": "USD\n"}, "currency"),
        ({"price_minor": -1}, "price_minor"),
        ({"price_minor": 10**11}, "price_minor"),
        ({"currency": "euro"}, "currency"),
        ({"title": ""}, "title"),
        ({"id": "another"}, "id"),
        ({"grant_utok": 1}, "grant_utok"),
    ],
)
async def test_a_wrong_one_is_refused_by_its_field(
    http: httpx.AsyncClient, change: dict[str, Any], param: str
) -> None:
    answer = await http.put("/v1/products/wrong", json=PLAN | change)

    assert (answer.status_code, answer.json()["param"]) == (400, param)


async def test_what_nobody_buys_cannot_be_sold(http: httpx.AsyncClient) -> None:
    assert (await http.put("/v1/products/adjustment", json=PLAN)).status_code == 400
    assert (await http.delete("/v1/products/adjustment")).status_code == 404
    assert (await http.delete("/v1/products/nothing")).status_code == 404


async def test_multipliers_are_exact_decimals(http: httpx.AsyncClient) -> None:
    await http.put("/v1/rate-cards/acme/large", json={"input": "1.25", "output": "10"})
    await http.put(
        "/v1/rate-cards/acme/large",
        json={"input": "9", "output": "9", "valid_from": "2027-06-01T00:00:00Z"},
    )

    [row] = [
        one for one in (await http.get("/v1/multipliers")).json() if one["model"] == "acme/large"
    ]

    rates = row["multipliers"]
    assert (row["version"], rates["input"], rates["output"]) == (1, "1.25", "10")
    assert (rates["cache_read"], rates["cache_write_5m"]) == ("0.125", "1.5625")
    [later, first] = (await http.get("/v1/audit", params={"limit": 2})).json()["rows"]
    assert (first["action"], first["subject"]) == ("price.set", "acme/large")
    assert later["document"]["valid_from"] == "2027-06-01T00:00:00Z"
