"""Tokens are given and taken by hand with a reason; above the limit two people sign."""

from typing import Any

import httpx
import pytest

from .shop import MICROTOKENS, OTHER_PERSON, PERSON, Shop

pytestmark = pytest.mark.anyio
LIMIT = 1_000_000


async def adjust(
    shop: Shop, microtokens: object, *, key: str | None = None, **change: Any
) -> httpx.Response:
    return await shop.http.post(
        f"/v1/accounts/{shop.account}/adjustments",
        json={"microtokens": microtokens, "reason": "an outage", "actor": PERSON} | change,
        headers={"idempotency-key": key} if key is not None else {},
    )


async def decide(
    shop: Shop, adjustment: dict[str, Any], actor: str, *, approve: bool
) -> httpx.Response:
    return await shop.http.post(
        f"/v1/adjustments/{adjustment['id']}/decision", json={"approve": approve, "actor": actor}
    )


async def test_a_small_one_is_done_at_once(shop: Shop) -> None:
    answer = await adjust(shop, str(LIMIT))

    assert answer.status_code == 201
    given = answer.json()
    assert (given["state"], given["second"]) == ("done", None)
    assert given["order"].startswith("AB-")
    assert await shop.posted() == LIMIT
    audit = (await shop.http.get("/v1/audit")).json()["rows"][0]
    assert (audit["action"], audit["subject"]) == ("adjustment.ask", given["id"])
    assert audit["document"]["reason"] == "an outage"


async def test_a_large_one_waits_for_another_person(shop: Shop) -> None:
    asked = (await adjust(shop, str(LIMIT + 1))).json()
    assert asked["state"] == "waiting"
    assert await shop.posted() == 0
    waiting = await shop.http.get(
        "/v1/adjustments", params={"waiting": "true", "account_id": str(shop.account)}
    )
    assert waiting.json() == [asked]

    alone = await decide(shop, asked, PERSON, approve=True)
    assert alone.status_code == 403
    assert await shop.posted() == 0

    signed = await decide(shop, asked, OTHER_PERSON, approve=True)
    assert (signed.json()["state"], signed.json()["second"]) == ("done", OTHER_PERSON)
    assert await shop.posted() == LIMIT + 1
    assert (await decide(shop, asked, OTHER_PERSON, approve=True)).status_code == 200
    assert (await decide(shop, asked, OTHER_PERSON, approve=False)).status_code == 409
    assert await shop.posted() == LIMIT + 1


async def test_a_rejected_one_changes_nothing(shop: Shop) -> None:
    asked = (await adjust(shop, str(10 * LIMIT))).json()
    rejected = await decide(shop, asked, OTHER_PERSON, approve=False)

    assert rejected.json()["state"] == "rejected"
    assert (await decide(shop, asked, OTHER_PERSON, approve=True)).status_code == 409
    assert await shop.posted() == 0


async def test_many_small_ones_are_a_large_one(shop: Shop) -> None:
    states = [(await adjust(shop, str(LIMIT // 4))).json()["state"] for _ in range(5)]
    by_another = (await adjust(shop, str(LIMIT // 4), actor=OTHER_PERSON)).json()

    assert states == ["done"] * 4 + ["waiting"]
    assert by_another["state"] == "done"
    assert await shop.posted() == 5 * (LIMIT // 4)


async def test_what_is_not_free_cannot_be_taken(shop: Shop) -> None:
    await shop.bought()

    taken = await adjust(shop, str(-LIMIT))
    assert taken.json()["state"] == "done"
    assert taken.json()["order"] is None
    assert await shop.posted() == MICROTOKENS - LIMIT
    asked = (await adjust(shop, str(-MICROTOKENS), actor=OTHER_PERSON)).json()
    refused = await decide(shop, asked, PERSON, approve=True)

    assert refused.status_code == 409
    assert refused.json()["param"] == "microtokens"
    assert await shop.posted() == MICROTOKENS - LIMIT


async def test_the_same_key_is_the_same_adjustment(shop: Shop) -> None:
    first, again = await adjust(shop, "5", key="a1"), await adjust(shop, "5", key="a1")

    assert again.json() == first.json()
    assert (await adjust(shop, "6", key="a1")).status_code == 409
    assert await shop.posted() == 5


@pytest.mark.parametrize(
    ("microtokens", "change", "param"),
    [
        ("0", {}, "microtokens"),
        ("+5", {}, "microtokens"),
        ("5.0", {}, "microtokens"),
        ("1e9", {}, "microtokens"),
        (5, {}, "microtokens"),
        (str(10**18 + 1), {}, "microtokens"),
        (str(-(10**18) - 1), {}, "microtokens"),
        ("9" * 30, {}, "microtokens"),
        ("5", {"reason": ""}, "reason"),
        ("5", {"reason": "x" * 1001}, "reason"),
        ("5", {"actor": None}, "actor"),
        ("5", {"state": "done"}, "state"),
        ("5", {"second": OTHER_PERSON}, "second"),
    ],
)
async def test_a_wrong_one_is_refused_by_its_field(
    shop: Shop, microtokens: object, change: dict[str, Any], param: str
) -> None:
    answer = await adjust(shop, microtokens, **change)

    assert answer.status_code == 400, answer.text
    assert answer.json()["param"] == param


async def test_an_account_that_may_not_spend_gets_no_lease(shop: Shop) -> None:
    await shop.bought()
    path = f"/v1/accounts/{shop.account}"
    assert (await shop.http.get(path)).json() == {
        "account_id": str(shop.account),
        "status": "active",
        "debt_microtokens": "0",
    }

    async def leases() -> int:
        answer = await shop.http.post(
            "/v1/leases",
            json={
                "lease_id": str(shop.account)[:-4] + "abcd",
                "account_id": str(shop.account),
                "holder": "a test",
                "want_microtokens": "1000",
                "min_microtokens": "1",
                "request_waits": True,
            },
        )
        return answer.status_code

    said = {"status": "suspended", "reason": "under review", "actor": PERSON}
    suspended = await shop.http.put(f"{path}/status", json=said)
    assert suspended.json()["status"] == "suspended"
    assert await leases() == 402
    assert (await shop.order()).status_code == 201
    await shop.http.put(f"{path}/status", json=said | {"status": "closed"})
    assert (await shop.order()).status_code == 409
    await shop.http.put(f"{path}/status", json=said | {"status": "active"})
    assert await leases() == 201
    wrong = await shop.http.put(f"{path}/status", json=said | {"status": "rich"})
    assert wrong.json()["param"] == "status"
