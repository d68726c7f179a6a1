"""A key's owner may ask for balance, usage and receipts; errors look like those of the routes beside them."""

from collections.abc import Iterator
from typing import cast
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from aibridge_common.clients.auth import AuthClient
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.auth import KeyFacts, KeyVerdict
from aibridge_common.contracts.billing import Balance, ReceiptPage, RequestReceipts, UsagePage
from aibridge_common.errors import AIBridgeError, NotFound, Unavailable
from aibridge_common.ids import public_request_id
from aibridge_gateway.edge.account import account_routes, public_error
from aibridge_gateway.edge.addresses import ClientAddresses
from aibridge_gateway.edge.keyring import Keyring

ACCOUNT = UUID(int=2)
REQUEST = UUID(int=4)


class FakeAuth:
    async def verify_key(self, key: str) -> KeyVerdict:
        if key == "ab-live":
            return KeyVerdict(facts=KeyFacts(key_id=UUID(int=3), account_id=ACCOUNT))
        return KeyVerdict(reason="unknown")


class FakeBilling:
    def __init__(self) -> None:
        self.away = False
        self.asked: list[object] = []

    async def balance(self, account_id: UUID) -> Balance:
        if self.away:
            raise Unavailable("billing is away", retry_after_s=3)
        self.asked.append(account_id)
        return Balance(account_id=account_id, spendable_tokens="1.5")

    async def usage(self, account_id: UUID, *, limit: int, cursor: str | None) -> UsagePage:
        self.asked.append((account_id, limit, cursor))
        return UsagePage(rows=[], next="c2")

    async def receipts(self, account_id: UUID, *, limit: int, cursor: str | None) -> ReceiptPage:
        self.asked.append((account_id, limit, cursor))
        return ReceiptPage(receipts=[], next="7")

    async def request_receipts(self, account_id: UUID, request_id: UUID) -> RequestReceipts:
        self.asked.append((account_id, request_id))
        if request_id != REQUEST:
            raise NotFound("there is no receipt of it", param="request_id")
        return RequestReceipts(
            request_id=public_request_id(request_id), charge_microtokens="0", receipts=[]
        )


@pytest.fixture
def billing() -> FakeBilling:
    return FakeBilling()


@pytest.fixture
def client(billing: FakeBilling) -> Iterator[TestClient[Litestar]]:
    keyring = Keyring(cast("AuthClient", FakeAuth()), SystemClock())
    app = Litestar(
        list(account_routes(keyring, ClientAddresses(), cast("BillingClient", billing))),
        exception_handlers={AIBridgeError: public_error},
        openapi_config=None,
    )
    with TestClient(app) as running:
        yield running


class TestAccount:
    @pytest.mark.parametrize(
        "headers",
        [
            {"authorization": "Bearer ab-live"},
            {"x-api-key": "ab-live"},
            {"x-goog-api-key": "ab-live"},
        ],
    )
    def test_the_balance_is_that_of_the_keys_account(
        self, client: TestClient[Litestar], headers: dict[str, str]
    ) -> None:
        response = client.get("/v1/balance", headers=headers)

        assert response.status_code == 200
        assert response.json() == {"account_id": str(ACCOUNT), "spendable_tokens": "1.5"}

    def test_usage_is_read_page_by_page(
        self, client: TestClient[Litestar], billing: FakeBilling
    ) -> None:
        headers = {"x-api-key": "ab-live"}
        first = client.get("/v1/usage", headers=headers)
        client.get("/v1/usage?limit=7&cursor=c2", headers=headers)

        assert first.json() == {"rows": [], "next": "c2"}
        assert billing.asked == [(ACCOUNT, 100, None), (ACCOUNT, 7, "c2")]

    @pytest.mark.parametrize(
        "path",
        ["/v1/balance", "/v1/usage", "/v1/receipts", f"/v1/receipts/{public_request_id(REQUEST)}"],
    )
    @pytest.mark.parametrize("key", ["", "ab-dead", "sk-x"])
    def test_nobody_else_sees_anything(
        self, client: TestClient[Litestar], billing: FakeBilling, path: str, key: str
    ) -> None:
        response = client.get(path, headers={"x-api-key": key})

        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["x-should-retry"] == "false"
        assert billing.asked == []

    def test_receipts_are_read_page_by_page(
        self, client: TestClient[Litestar], billing: FakeBilling
    ) -> None:
        headers = {"x-api-key": "ab-live"}
        first = client.get("/v1/receipts", headers=headers)
        client.get("/v1/receipts?limit=7&cursor=7", headers=headers)

        assert first.json() == {"receipts": [], "next": "7"}
        assert billing.asked == [(ACCOUNT, 100, None), (ACCOUNT, 7, "7")]

    def test_a_receipt_is_asked_for_in_the_keys_account_whatever_is_in_the_query(
        self, client: TestClient[Litestar], billing: FakeBilling
    ) -> None:
        path = f"/v1/receipts/{public_request_id(REQUEST)}?account_id={UUID(int=9)}"
        response = client.get(path, headers={"x-api-key": "ab-live"})

        assert response.json()["request_id"] == public_request_id(REQUEST)
        assert billing.asked == [(ACCOUNT, REQUEST)]

    def test_a_request_without_a_receipt_is_not_found(self, client: TestClient[Litestar]) -> None:
        path = f"/v1/receipts/{public_request_id(UUID(int=5))}"
        response = client.get(path, headers={"x-api-key": "ab-live"})

        assert response.status_code == 404
        assert response.json()["error"]["message"] == "there is no receipt of it"

    @pytest.mark.parametrize(
        "name", ["x", "req_", "req_" + "G" * 32, str(REQUEST), "%00", "req_%0a"]
    )
    def test_what_is_no_request_id_is_refused_in_words(
        self, client: TestClient[Litestar], billing: FakeBilling, name: str
    ) -> None:
        response = client.get(f"/v1/receipts/{name}", headers={"x-api-key": "ab-live"})

        assert response.status_code == 400
        error = response.json()["error"]
        assert error["message"] == "a request id is req_ and 32 hexadecimal digits"
        assert error["param"] == "request_id"
        assert billing.asked == []

    def test_an_absent_billing_is_said_with_its_wait(
        self, client: TestClient[Litestar], billing: FakeBilling
    ) -> None:
        billing.away = True
        response = client.get("/v1/balance", headers={"x-api-key": "ab-live"})

        assert response.status_code == 503
        assert response.headers["retry-after"] == "3"
        assert response.json()["error"]["message"] == "billing is away"
