"""Keys are limited, renamed and rotated by their own account."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from aibridge_common.ids import uuid7
from tests.fixtures.services import http_to, running_auth

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
LIMITS: Json = {
    "models": ["claude-sonnet"],
    "ip_ranges": ["203.0.113.7/24", "2001:db8::/32"],
    "requests_per_minute": 60,
    "tokens_per_minute": 100_000,
    "spend_per_day_tokens": 1_000_000,
    "spend_per_month_tokens": 20_000_000,
}


@pytest.fixture(scope="module")
async def http(auth_url: str, nats_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running_auth(auth_url, nats_url) as url, http_to(url) as client:
        yield client


@pytest.fixture
def account(account: UUID) -> str:
    """As JSON has it."""
    return str(account)


async def created(http: httpx.AsyncClient, account: str, **more: Any) -> Json:
    answer = await http.post("/v1/keys", json={"account_id": account, "name": "laptop", **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(http: httpx.AsyncClient, account: str) -> dict[str, Json]:
    answer = await http.get("/v1/keys", params={"account_id": account})
    return {key["key_id"]: key for key in answer.json()}


async def verdict(http: httpx.AsyncClient, key: str) -> Json:
    return (await http.post("/v1/keys/verify", json={"key": key})).json()


async def test_a_key_is_made_with_limits_that_the_gateway_then_hears_of(
    http: httpx.AsyncClient, account: str
) -> None:
    issued = await created(http, account, limits=LIMITS)

    expected = {**LIMITS, "ip_ranges": ["203.0.113.0/24", "2001:db8::/32"]}
    assert (await verdict(http, issued["key"]))["facts"]["limits"] == expected
    assert (await listed(http, account))[issued["key_id"]]["limits"] == expected


async def test_a_key_without_limits_says_nothing_of_them(
    http: httpx.AsyncClient, account: str
) -> None:
    issued = await created(http, account)

    assert "limits" not in (await verdict(http, issued["key"]))["facts"]
    assert (await listed(http, account))[issued["key_id"]]["limits"] == {}


async def test_limits_are_replaced_as_a_whole(http: httpx.AsyncClient, account: str) -> None:
    issued = await created(http, account, limits=LIMITS)
    path = f"/v1/keys/{issued['key_id']}/limits"

    answer = await http.put(
        path, json={"account_id": account, "limits": {"requests_per_minute": 5}}
    )
    assert answer.json() == {"requests_per_minute": 5}
    assert (await verdict(http, issued["key"]))["facts"]["limits"] == {"requests_per_minute": 5}

    await http.put(path, json={"account_id": account, "limits": {}})
    assert "limits" not in (await verdict(http, issued["key"]))["facts"]


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"ip_ranges": ["203.0.113.300"]}, "ip_ranges"),
        ({"ip_ranges": []}, "ip_ranges"),
        ({"models": []}, "models"),
        ({"models": ["has space"]}, "models"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": -1}, "tokens_per_minute"),
        ({"spend_per_day_tokens": 10**16}, "spend_per_day_tokens"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"requests": 5}, "requests"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_bad_limit_is_refused_by_name(
    http: httpx.AsyncClient, account: str, limits: Json, field: str
) -> None:
    answer = await http.post(
        "/v1/keys", json={"account_id": account, "name": "laptop", "limits": limits}
    )

    assert answer.status_code == 400
    assert field in answer.text
    assert await listed(http, account) == {}


async def test_an_expired_key_is_refused(http: httpx.AsyncClient, account: str, table: Any) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - PostgreSQL compares with its own
    issued = await created(http, account, limits={"expires_at": soon.isoformat()})
    assert "facts" in await verdict(http, issued["key"])

    await table.execute(
        "UPDATE api_key SET limits = jsonb_build_object('expires_at', now() - interval '1 s') WHERE id = $1",
        UUID(issued["key_id"]),
    )

    assert await verdict(http, issued["key"]) == {"reason": "expired"}


async def test_a_rotated_key_goes_on_beside_its_successor(
    http: httpx.AsyncClient, account: str
) -> None:
    old = await created(http, account, limits=LIMITS, routing={"failover": False})
    answer = await http.post(
        f"/v1/keys/{old['key_id']}/rotate", json={"account_id": account, "overlap_s": 3600}
    )
    assert answer.status_code == 201
    new = answer.json()

    keys = await listed(http, account)
    assert new["key"] != old["key"]
    assert keys[new["key_id"]]["name"] == "laptop"
    assert keys[new["key_id"]]["routing"] == {"failover": False}
    assert keys[old["key_id"]]["replaced_by"] == new["key_id"]
    ends_at = datetime.fromisoformat(keys[old["key_id"]]["limits"]["expires_at"])
    left_s = (ends_at - datetime.now(UTC)).total_seconds()  # noqa: TID251 - as above
    assert 3500 < left_s <= 3600
    assert "expires_at" not in keys[new["key_id"]]["limits"]
    for key in (old["key"], new["key"]):
        assert "facts" in await verdict(http, key)


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(
    http: httpx.AsyncClient, account: str
) -> None:
    old = await created(http, account)
    path = f"/v1/keys/{old['key_id']}/rotate"
    new = (await http.post(path, json={"account_id": account, "overlap_s": 0})).json()

    assert await verdict(http, old["key"]) == {"reason": "revoked"}
    assert "facts" in await verdict(http, new["key"])


async def test_a_key_is_rotated_once(http: httpx.AsyncClient, account: str) -> None:
    """The second call with the same idempotency key gets the same key; any other is refused."""
    old = await created(http, account)
    path, body = f"/v1/keys/{old['key_id']}/rotate", {"account_id": account}
    again = {"idempotency-key": uuid7().hex}

    first = (await http.post(path, json=body, headers=again)).json()
    assert (await http.post(path, json=body, headers=again)).json() == first
    assert (await http.post(path, json=body)).status_code == 409
    assert len(await listed(http, account)) == 2


async def test_a_revoked_key_is_not_rotated(http: httpx.AsyncClient, account: str) -> None:
    old = await created(http, account)
    await http.post(f"/v1/keys/{old['key_id']}/revoke")

    answer = await http.post(f"/v1/keys/{old['key_id']}/rotate", json={"account_id": account})

    assert answer.status_code == 409


async def test_a_key_gets_another_name(http: httpx.AsyncClient, account: str) -> None:
    issued = await created(http, account)
    path = f"/v1/keys/{issued['key_id']}/name"

    assert (await http.put(path, json={"account_id": account, "name": " desk "})).status_code == 204
    assert (await listed(http, account))[issued["key_id"]]["name"] == "desk"
    bad = await http.put(path, json={"account_id": account, "name": ""})
    assert (bad.status_code, bad.json()["param"]) == (400, "name")


@pytest.mark.parametrize(
    ("method", "what", "body"),
    [
        ("PUT", "limits", {"limits": {}}),
        ("PUT", "name", {"name": "mine"}),
        ("POST", "rotate", {}),
    ],
    ids=["limits", "name", "rotate"],
)
async def test_another_accounts_key_is_not_there(
    http: httpx.AsyncClient, account: str, method: str, what: str, body: Json
) -> None:
    issued = await created(http, account, limits=LIMITS)
    before = await listed(http, account)

    answer = await http.request(
        method,
        f"/v1/keys/{issued['key_id']}/{what}",
        json={"account_id": str(uuid7()), **body},
    )

    assert answer.status_code == 404
    assert await listed(http, account) == before
