"""What may happen to an account's requests: said through the API, in the verdict, at the gateways within a second."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from aibridge_auth.app import SCHEMA
from aibridge_auth.users.store import ensure_user
from aibridge_common.bus.nats import Bus
from aibridge_common.clients.auth import AuthClient
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.auth import IssuedKey
from aibridge_common.db.engine import open_database, transaction
from aibridge_common.errors import Unauthenticated
from aibridge_common.ids import uuid7
from aibridge_common.routing import DEFAULT, KeyRouting, RoutingOptions
from aibridge_common.settings import Secret
from aibridge_gateway.edge.keyring import Keyring
from tests.fixtures.services import TOKEN, http_to, running_auth, until

pytestmark = pytest.mark.anyio

ALL_ON = RoutingOptions(continuation=True, larger_context=True)


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


@pytest.fixture
async def keyring(auth: AuthClient, nats_url: str) -> AsyncIterator[Keyring]:
    """A gateway's."""
    bus = await Bus.connect(nats_url, "gateway")
    keyring = Keyring(auth, SystemClock())
    await keyring.listen(bus)
    yield keyring
    await bus.close()


class TestReachingTheGateway:
    """The heart beats every five seconds, so what comes within one came with the notice."""

    async def test_an_accounts_change_is_there_within_a_second(
        self, auth: AuthClient, account: UUID, keyring: Keyring
    ) -> None:
        keys = [(await auth.create_key(account, name)).key for name in ("a", "b")]
        assert [(await keyring.facts(key)).routing for key in keys] == [DEFAULT] * 2

        await auth.set_routing(account, ALL_ON)

        for key in keys:
            await until(lambda key=key: has(keyring, key, ALL_ON), within_s=1)

    async def test_a_keys_change_too_and_no_other_key_is_asked_for(
        self, auth: AuthClient, account: UUID, keyring: Keyring
    ) -> None:
        changed, other = [await auth.create_key(account, name) for name in ("a", "b")]
        before = await keyring.facts(other.key)
        await keyring.facts(changed.key)

        await auth.set_key_routing(changed.key_id, KeyRouting(failover=False))

        refused = RoutingOptions(failover=False)
        await until(lambda: has(keyring, changed.key, refused), within_s=1)
        assert await keyring.facts(other.key) is before

    async def test_a_revocation_too(
        self, auth: AuthClient, account: UUID, keyring: Keyring
    ) -> None:
        issued = await auth.create_key(account, "a")
        await keyring.facts(issued.key)

        await auth.revoke_key(issued.key_id)

        await until(lambda: is_refused(keyring, issued.key), within_s=1)


async def has(keyring: Keyring, key: str, options: RoutingOptions) -> bool:
    return (await keyring.facts(key)).routing == options


async def is_refused(keyring: Keyring, key: str) -> bool:
    try:
        await keyring.facts(key)
    except Unauthenticated as refusal:
        return "revoked" in refusal.message
    return False


class TestTogether:
    """Key and account; the whole table is in tests/unit/common/test_routing.py."""

    async def test_failover_refused_for_the_account_stays_refused(
        self, auth: AuthClient, account: UUID
    ) -> None:
        issued = await auth.create_key(account, "a")
        await auth.set_routing(account, RoutingOptions(failover=False))
        await auth.set_key_routing(issued.key_id, KeyRouting(failover=True))

        assert await verdict(auth, issued) == RoutingOptions(failover=False)

    async def test_a_key_may_have_what_the_account_has_not(
        self, auth: AuthClient, account: UUID
    ) -> None:
        issued = await auth.create_key(account, "a")
        await auth.set_key_routing(issued.key_id, KeyRouting(continuation=True))

        assert await verdict(auth, issued) == RoutingOptions(continuation=True)

    async def test_what_is_left_out_follows_the_account_again(
        self, auth: AuthClient, account: UUID
    ) -> None:
        issued = await auth.create_key(account, "a")
        await auth.set_routing(account, ALL_ON)
        await auth.set_key_routing(issued.key_id, KeyRouting(larger_context=False))
        await auth.set_key_routing(issued.key_id, KeyRouting())

        assert await verdict(auth, issued) == ALL_ON


async def verdict(auth: AuthClient, issued: IssuedKey) -> RoutingOptions:
    facts = (await auth.verify_key(issued.key)).facts
    assert facts is not None
    return facts.routing


ACCOUNT, KEY = "/v1/accounts/{account}/routing", "/v1/keys/{key}/routing"
WHOLE = {"failover": True, "continuation": True, "larger_context": True}


class TestCommands:
    @pytest.mark.parametrize(
        ("path", "command"),
        [
            (ACCOUNT, {}),
            (ACCOUNT, {"continuation": True, "larger_context": True}),
            (ACCOUNT, WHOLE | {"failover": "off"}),
            (ACCOUNT, WHOLE | {"failovr": False}),
            (KEY, {"failovr": False}),
            (KEY, {"failover": "off"}),
        ],
    )
    async def test_what_does_not_fit_changes_nothing(
        self, address: str, auth: AuthClient, account: UUID, path: str, command: dict[str, Any]
    ) -> None:
        """An option of an account that was forgotten must not become a default."""
        issued = await auth.create_key(account, "a")
        refused = RoutingOptions(failover=False)
        await auth.set_routing(account, refused)
        async with http_to(address) as http:
            answer = await http.put(path.format(account=account, key=issued.key_id), json=command)

        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_request"
        assert await verdict(auth, issued) == refused

    async def test_a_key_is_made_with_options(self, address: str, account: UUID) -> None:
        async with http_to(address) as http:
            made = await http.post(
                "/v1/keys",
                json={"account_id": str(account), "name": "a", "routing": {"failover": False}},
            )
            listed = await http.get("/v1/keys", params={"account_id": str(account)})

        assert made.status_code == 201
        assert [key["routing"] for key in listed.json()] == [{"failover": False}]
