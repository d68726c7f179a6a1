"""The typed client of auth against auth itself."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from aibridge_auth.app import SCHEMA
from aibridge_auth.crypto.key_format import hint, new_key
from aibridge_auth.users.store import ensure_user
from aibridge_common.clients.auth import AuthClient
from aibridge_common.contracts.auth import KeyFacts, KeyVerdict, SetKeyRouting
from aibridge_common.db.engine import open_database, transaction
from aibridge_common.errors import AIBridgeError, InvalidRequest, NotFound, Unavailable
from aibridge_common.ids import uuid7
from aibridge_common.routing import KeyRouting, RoutingOptions
from aibridge_common.settings import Secret
from tests.fixtures.services import TOKEN, running_auth

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def address(auth_url: str, nats_url: str) -> AsyncIterator[str]:
    async with running_auth(auth_url, nats_url) as url:
        yield url


@pytest.fixture
async def auth(address: str) -> AsyncIterator[AuthClient]:
    async with AuthClient(address, Secret(TOKEN)) as client:
        yield client


@pytest.fixture
async def account(auth_url: str) -> UUID:
    """A customer."""
    database = open_database(auth_url, SCHEMA)
    try:
        async with transaction(database) as tx:
            email = f"{uuid7().hex}@customer.example"
            return await ensure_user(tx, email=email, password_hash="!", role="customer")
    finally:
        await database.dispose()


async def test_the_life_of_a_key(auth: AuthClient, account: UUID) -> None:
    """Created, verified, listed, revoked, revoked again."""
    issued = await auth.create_key(account, "laptop")
    facts = KeyFacts(key_id=issued.key_id, account_id=account)
    assert await auth.verify_key(issued.key) == KeyVerdict(facts=facts)
    [summary] = await auth.list_keys(account)
    assert (summary.key_id, summary.name, summary.hint) == (
        issued.key_id,
        "laptop",
        hint(issued.key),
    )
    assert summary.last_used_at is not None
    assert summary.revoked_at is None

    await auth.revoke_key(issued.key_id)
    await auth.revoke_key(issued.key_id)

    assert await auth.verify_key(issued.key) == KeyVerdict(reason="revoked")
    [summary] = await auth.list_keys(account)
    assert summary.revoked_at is not None


@pytest.mark.parametrize(
    ("key", "reason"), [(new_key(), "unknown"), ("ab-x", "malformed")], ids=["unknown", "malformed"]
)
async def test_a_key_that_is_none_is_refused_with_its_reason(
    auth: AuthClient, key: str, reason: str
) -> None:
    assert await auth.verify_key(key) == KeyVerdict(reason=reason)


async def test_what_may_happen_to_requests(auth: AuthClient, account: UUID) -> None:
    """An account's options, a key's, and both together in the verdict."""
    options = RoutingOptions(continuation=True, larger_context=True)
    issued = await auth.create_key(account, "ci", SetKeyRouting(larger_context=False))
    assert await auth.routing(account) == RoutingOptions()

    assert await auth.set_routing(account, options) == options
    assert await auth.routing(account) == options
    [summary] = await auth.list_keys(account)
    assert summary.routing == KeyRouting(larger_context=False)
    facts = (await auth.verify_key(issued.key)).facts
    assert facts is not None
    assert facts.routing == RoutingOptions(continuation=True)

    refused = KeyRouting(failover=False)
    assert await auth.set_key_routing(issued.key_id, refused) == refused
    facts = (await auth.verify_key(issued.key)).facts
    assert facts is not None
    assert facts.routing == RoutingOptions(failover=False, continuation=True, larger_context=True)


async def test_what_is_not_there_is_not_found(auth: AuthClient) -> None:
    with pytest.raises(NotFound) as refusal:
        await auth.create_key(uuid7(), "x")
    assert refusal.value.param == "account_id"

    with pytest.raises(NotFound) as refusal:
        await auth.revoke_key(uuid7())
    assert refusal.value.param == "key_id"
    with pytest.raises(NotFound) as refusal:
        await auth.set_key_routing(uuid7(), KeyRouting())
    assert refusal.value.param == "key_id"
    for asking in (auth.routing(uuid7()), auth.set_routing(uuid7(), RoutingOptions())):
        with pytest.raises(NotFound) as refusal:
            await asking
        assert refusal.value.param == "account_id"
    assert await auth.list_keys(uuid7()) == []


async def test_a_wrong_name_is_refused_by_field(auth: AuthClient, account: UUID) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await auth.create_key(account, " ")

    assert (refusal.value.param, refusal.value.status) == ("name", 400)


async def test_a_wrong_token_is_our_trouble_not_the_customers(address: str) -> None:
    """A customer would be told that the request or the key is wrong, which it is not."""
    async with AuthClient(address, Secret("some-other-token")) as client:
        with pytest.raises(AIBridgeError) as refusal:
            await client.verify_key(new_key())

    assert refusal.value.status >= 500


async def test_auth_that_is_away_is_unavailable() -> None:
    async with AuthClient("http://localhost:1", Secret(TOKEN)) as client:
        with pytest.raises(Unavailable, match="POST /v1/keys/verify: ConnectError"):
            await client.verify_key(new_key())
