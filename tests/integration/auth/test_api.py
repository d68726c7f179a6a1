"""Keys through the API: shown once, verified by digest, ended within a second."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
import nats
import pytest

from aibridge_auth.app import SCHEMA
from aibridge_auth.changes import heartbeat
from aibridge_auth.crypto.key_format import hint, is_well_formed, new_key
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_common.events.keys import (
    CHANGED_SUBJECT,
    HEARTBEAT_SUBJECT,
    AuthHeartbeat,
    KeysChanged,
)
from aibridge_common.ids import uuid7
from aibridge_common.settings import Secret
from tests.fixtures.services import PEPPER, http_to, running_auth

pytestmark = pytest.mark.anyio
Connection = Any


@pytest.fixture(scope="module")
async def http(auth_url: str, nats_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a service token; the heart beats fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "HEARTBEAT_EVERY_S", 0.05)
        async with running_auth(auth_url, nats_url) as url, http_to(url) as client:
            yield client


async def create(http: httpx.AsyncClient, account: UUID, name: str = "laptop") -> tuple[UUID, str]:
    answer = await http.post("/v1/keys", json={"account_id": str(account), "name": name})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["key_id"]), answer.json()["key"]


async def verify(http: httpx.AsyncClient, key: str) -> dict[str, Any]:
    answer = await http.post("/v1/keys/verify", json={"key": key})
    assert answer.status_code == 200
    return answer.json()


class TestVerify:
    async def test_a_live_key_names_itself_and_its_account(
        self, http: httpx.AsyncClient, account: UUID
    ) -> None:
        key_id, key = await create(http, account)

        assert is_well_formed(key)
        assert await verify(http, key) == {
            "facts": {
                "key_id": str(key_id),
                "account_id": str(account),
                "routing": {"failover": True, "continuation": False, "larger_context": False},
            }
        }

    async def test_an_unknown_key_is_refused(self, http: httpx.AsyncClient) -> None:
        assert await verify(http, new_key()) == {"reason": "unknown"}

    @pytest.mark.parametrize("key", ["", "ab-", "sk-123", "ab-" + "0" * 39, "é", "\0", "x" * 5000])
    async def test_a_malformed_key_costs_no_query(
        self, http: httpx.AsyncClient, table: Connection, key: str
    ) -> None:
        """Even while nobody can read the table it is answered."""
        async with table.transaction():
            await table.execute("LOCK TABLE api_key, app_user IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(1):
                assert await verify(http, key) == {"reason": "malformed"}

    async def test_a_revoked_key_is_refused(self, http: httpx.AsyncClient, account: UUID) -> None:
        key_id, key = await create(http, account)
        await http.post(f"/v1/keys/{key_id}/revoke")

        assert await verify(http, key) == {"reason": "revoked"}

    @pytest.mark.parametrize("state", ["suspended", "closed"])
    async def test_the_keys_of_an_account_that_is_not_active_are_refused(
        self, http: httpx.AsyncClient, table: Connection, account: UUID, state: str
    ) -> None:
        _, key = await create(http, account)
        set_state = "UPDATE app_user SET state = $2 WHERE account_id = $1"
        await table.execute(set_state, account, state)
        assert await verify(http, key) == {"reason": f"account {state}"}

        await table.execute(set_state, account, "active")
        assert "facts" in await verify(http, key)

    async def test_last_use_is_written_at_most_once_a_minute(
        self, http: httpx.AsyncClient, table: Connection, account: UUID
    ) -> None:
        key_id, key = await create(http, account)
        last_used = "SELECT last_used_at FROM api_key WHERE id = $1"
        assert await table.fetchval(last_used, key_id) is None
        await verify(http, key)
        first = await table.fetchval(last_used, key_id)
        assert first is not None

        await asyncio.gather(*(verify(http, key) for _ in range(5)))
        assert await table.fetchval(last_used, key_id) == first

        await table.execute(
            "UPDATE api_key SET last_used_at = now() - interval '61 s' WHERE id = $1", key_id
        )
        await verify(http, key)
        assert await table.fetchval(last_used, key_id) > first


class TestIssue:
    async def test_the_key_is_nowhere_in_the_database(
        self, http: httpx.AsyncClient, table: Connection, account: UUID
    ) -> None:
        """Every column of every table is searched, as text, for the key and for its random part."""
        key_id, key = await create(http, account)
        await verify(http, key)

        everything = await _everything_as_text(table)

        assert str(key_id) in everything
        assert key not in everything
        assert key[7:-4] not in everything
        assert key.encode().hex() not in everything
        assert key[7:-4].encode().hex() not in everything

    async def test_what_is_stored_is_the_peppered_digest(
        self, http: httpx.AsyncClient, table: Connection, account: UUID
    ) -> None:
        key_id, key = await create(http, account)

        digest = await table.fetchval("SELECT digest FROM api_key WHERE id = $1", key_id)

        assert digest == KeyHasher(Secret(PEPPER)).digest(key)

    async def test_an_unknown_account_gets_none(self, http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/keys", json={"account_id": str(uuid7()), "name": "x"})

        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert answer.json()["param"] == "account_id"

    @pytest.mark.parametrize("name", ["", "   ", "x" * 101, "zero\0"])
    async def test_a_bad_name_is_refused(
        self, http: httpx.AsyncClient, account: UUID, name: str
    ) -> None:
        answer = await http.post("/v1/keys", json={"account_id": str(account), "name": name})

        assert answer.status_code == 400
        assert answer.json()["param"] == "name"

    async def test_a_name_is_kept_without_the_spaces_around_it(
        self, http: httpx.AsyncClient, account: UUID
    ) -> None:
        await create(http, account, "  日本 laptop ")

        [summary] = await _list(http, account)
        assert summary["name"] == "日本 laptop"


class TestList:
    async def test_it_is_newest_first_and_has_revoked_ones(
        self, http: httpx.AsyncClient, account: UUID
    ) -> None:
        old_id, old = await create(http, account, "old")
        new_id, new = await create(http, account, "new")
        await http.post(f"/v1/keys/{old_id}/revoke")

        first, second = await _list(http, account)

        assert (first["key_id"], first["name"], first["hint"]) == (str(new_id), "new", hint(new))
        assert (second["key_id"], second["hint"]) == (str(old_id), hint(old))
        assert "revoked_at" not in first
        assert second["revoked_at"] > second["created_at"]
        assert not {"key", "digest"} & (first.keys() | second.keys())

    async def test_an_account_sees_its_own_only(
        self, http: httpx.AsyncClient, account: UUID
    ) -> None:
        await create(http, account)

        assert await _list(http, uuid7()) == []


class TestRevoke:
    async def test_the_gateways_hear_of_it_within_a_second(
        self, http: httpx.AsyncClient, account: UUID, nats_url: str
    ) -> None:
        key_id, _ = await create(http, account)
        client = await nats.connect(nats_url)
        heard = await client.subscribe(CHANGED_SUBJECT)
        beats = await client.subscribe(HEARTBEAT_SUBJECT)
        await client.flush()

        answer = await http.post(f"/v1/keys/{key_id}/revoke")
        notice = msgspec.json.decode((await heard.next_msg(timeout=1)).data, type=KeysChanged)

        assert (answer.status_code, answer.content) == (204, b"")
        assert (notice.account_id, notice.key_id) == (account, key_id)
        async with asyncio.timeout(2):
            while True:
                beat = msgspec.json.decode((await beats.next_msg()).data, type=AuthHeartbeat)
                if beat.sequence == notice.sequence:
                    break
                assert beat.sequence < notice.sequence
        await client.close()

    async def test_again_it_is_told_again_under_a_higher_number(
        self, http: httpx.AsyncClient, table: Connection, account: UUID, nats_url: str
    ) -> None:
        key_id, _ = await create(http, account)
        client = await nats.connect(nats_url)
        heard = await client.subscribe(CHANGED_SUBJECT)
        await client.flush()
        revoked_at = "SELECT revoked_at FROM api_key WHERE id = $1"

        await http.post(f"/v1/keys/{key_id}/revoke")
        at = await table.fetchval(revoked_at, key_id)
        await http.post(f"/v1/keys/{key_id}/revoke")
        first, second = [
            msgspec.json.decode((await heard.next_msg(timeout=1)).data, type=KeysChanged)
            for _ in range(2)
        ]

        assert second.sequence > first.sequence
        assert await table.fetchval(revoked_at, key_id) == at
        await client.close()

    async def test_an_unknown_key_is_not_found(self, http: httpx.AsyncClient) -> None:
        answer = await http.post(f"/v1/keys/{uuid7()}/revoke")

        assert answer.status_code == 404
        assert answer.json()["param"] == "key_id"


async def _list(http: httpx.AsyncClient, account: UUID) -> list[dict[str, Any]]:
    return (await http.get("/v1/keys", params={"account_id": str(account)})).json()


async def _everything_as_text(table: Connection) -> str:
    names = await table.fetch(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1", SCHEMA
    )
    rows = [
        row[0]
        for each in names
        for row in await table.fetch(f'SELECT t::text FROM "{each["name"]}" t')
    ]
    return "\n".join(rows)
