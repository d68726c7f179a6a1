"""The router's public paths as the gateway calls them: what is served without a vendor, and who is refused."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from aibridge_common.catalog import Model, MultiplierTexts, Provider
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import FrozenClock
from aibridge_common.dialect import EXACT, NATIVE_PREFIX, Dialect
from aibridge_common.errors import InsufficientBalance
from aibridge_common.internal import ACCOUNT, REQUEST_ID
from aibridge_common.web.drain import Drain
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.overload import Limiter
from aibridge_router.api.relay import Relay
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.catalog.registry import Registry
from aibridge_router.credit.wallet import Wallets
from aibridge_router.exchange.exchange import Services
from aibridge_router.exchange.pump import Pumps
from aibridge_router.exchange.repeats import Repeats
from aibridge_router.failover.health import Health
from aibridge_router.failover.walk import further_budget
from aibridge_router.limits.meters import KeyMeters
from aibridge_router.spool.spool import Spool
from aibridge_router.upstream.egress import EgressPool
from aibridge_router.upstream.fetch import Fetcher
from aibridge_router.upstream.pools import Pools

pytestmark = pytest.mark.anyio

HEADERS = {
    "authorization": "Bearer token-of-the-gateway",
    REQUEST_ID.decode(): UUID(int=1).hex,
    ACCOUNT.decode(): UUID(int=2).hex,
}


def model(name: str, provider: str) -> Model:
    return Model(
        id=name,
        title=name.title(),
        provider=provider,
        context_tokens=1000,
        max_output_tokens=100,
        multipliers=MultiplierTexts(input="1", output="1"),
    )


REGISTRY = Registry(
    [model("gpt-a", "openai"), model("claude-a", "anthropic"), model("gemini-a", "google")],
    [
        Provider(name="openai", base_url="http://x", paths={Dialect.OPENAI_CHAT: "/chat"}),
        Provider(
            name="anthropic", base_url="http://x", paths={Dialect.ANTHROPIC_MESSAGES: "/messages"}
        ),
        Provider(name="google", base_url="http://x", paths={Dialect.GEMINI_GENERATE: "/{model}"}),
    ],
    {},
    [],
)


class NoMoney:
    async def acquire_lease(self, _command: object) -> None:
        raise InsufficientBalance("no")


@pytest.fixture
def catalog() -> SimpleNamespace:
    return SimpleNamespace(registry=REGISTRY)


@pytest.fixture
async def client(catalog: SimpleNamespace, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The relay on the routes that the router's application gives it."""
    clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
    services = Services(
        pools=Pools(),
        egress=EgressPool(),
        wallets=Wallets(cast("BillingClient", NoMoney()), clock, "router-0"),
        spool=Spool(tmp_path, "router-0", clock),
        clock=clock,
        health=Health(random.Random(1)),
        further=further_budget(),
        fetcher=Fetcher(enabled=False),
        rng=random.Random(1),
        repeats=Repeats(),
        meters=KeyMeters(cast("BillingClient", NoMoney()), clock),
    )
    guard = ServiceGuard({"token-of-the-gateway": "gateway"})
    catalogue = cast("CatalogRefresh", catalog)
    relay = Relay(guard, catalogue, services, Pumps(), Limiter(100), Drain(1))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await relay(scope, receive, send)

    mounts = (NATIVE_PREFIX, "/v1/models", "/v1beta/models")
    exact = [path for path in EXACT if not path.endswith("/models")]
    app = Litestar(
        [
            asgi(exact, copy_scope=False)(serve),
            *(asgi(prefix, is_mount=True, copy_scope=False)(serve) for prefix in mounts),
        ],
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app=cast("Any", app))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://router", headers=HEADERS
    ) as http:
        yield http


class TestModels:
    async def test_openai_clients_get_a_list(self, client: httpx.AsyncClient) -> None:
        document = (await client.get("/v1/models")).json()

        assert document["object"] == "list"
        assert [one["id"] for one in document["data"]] == ["gpt-a", "claude-a", "gemini-a"]

    async def test_anthropic_clients_get_theirs_on_the_same_path(
        self, client: httpx.AsyncClient
    ) -> None:
        headers = {"anthropic-version": "2023-06-01"}
        document = (await client.get("/v1/models", headers=headers)).json()

        assert (document["first_id"], document["last_id"]) == ("gpt-a", "gemini-a")
        assert {one["type"] for one in document["data"]} == {"model"}

    async def test_google_clients_get_names(self, client: httpx.AsyncClient) -> None:
        document = (await client.get("/v1beta/models")).json()

        assert document["models"][2]["name"] == "models/gemini-a"

    async def test_the_native_list_holds_what_the_native_routes_serve(
        self, client: httpx.AsyncClient
    ) -> None:
        document = (await client.get("/v1/openai/models")).json()

        assert [one["id"] for one in document["data"]] == ["gpt-a"]
        assert [one["slug"] for one in document["models"]] == ["gpt-a"]

    @pytest.mark.parametrize(
        ("path", "field", "value"),
        [
            ("/v1/models/claude-a", "id", "claude-a"),
            ("/v1beta/models/claude-a", "name", "models/claude-a"),
            ("/v1/openai/models/gpt-a", "id", "gpt-a"),
        ],
    )
    async def test_one_can_be_looked_up(
        self, client: httpx.AsyncClient, path: str, field: str, value: str
    ) -> None:
        assert (await client.get(path)).json()[field] == value

    @pytest.mark.parametrize(
        "path", ["/v1/models/nobody", "/v1beta/models/nobody", "/v1/openai/models/claude-a"]
    )
    async def test_an_unknown_one_is_a_404(self, client: httpx.AsyncClient, path: str) -> None:
        assert (await client.get(path)).status_code == 404


class TestCountTokens:
    @pytest.mark.parametrize(
        ("path", "field"),
        [
            ("/v1/messages/count_tokens", "input_tokens"),
            ("/v1beta/models/gemini-a:countTokens", "totalTokens"),
        ],
    )
    async def test_without_a_vendors_count_it_is_estimated(
        self, client: httpx.AsyncClient, path: str, field: str
    ) -> None:
        body = json.dumps({"model": "gpt-a", "messages": ["x" * 3500]})
        document = (await client.post(path, content=body)).json()

        assert list(document) == [field]
        assert 1000 <= document[field] <= 1020


class TestRefusal:
    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/models"])
    async def test_only_the_gateway_may_ask(self, client: httpx.AsyncClient, path: str) -> None:
        response = await client.post(path, headers={"authorization": "Bearer ab-live"})

        assert response.status_code == 401

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/chat/completions"),
            ("GET", "/v1/openai/chat/completions"),
            ("POST", "/v1/models"),
            ("DELETE", "/v1/models/gpt-a"),
            ("GET", "/v1beta/models/gemini-a:generateContent"),
        ],
    )
    async def test_a_wrong_method_is_a_405(
        self, client: httpx.AsyncClient, method: str, path: str
    ) -> None:
        assert (await client.request(method, path)).status_code == 405

    @pytest.mark.parametrize(
        "path",
        ["/v1/openai/files", "/v1/openai/v1/chat/completions", "/v1/openai/v1/models"],
    )
    async def test_a_native_path_is_never_another_route(
        self, client: httpx.AsyncClient, path: str
    ) -> None:
        """Behind the native prefix there may stand what would be a path of ours."""
        response = await client.post(path, content=b'{"model":"gpt-a"}')

        assert response.status_code == 404

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/v1/messages", b'{"model":"nobody"}', 404),
            ("/v1/messages", b"{", 400),
            ("/v1/messages", b'{"model":"\xff"}', 400),
            ("/v1/messages", b'{"model":"claude-a"}', 529),
        ],
        ids=["unknown model", "no JSON", "no UTF-8", "no key"],
    )
    async def test_an_error_is_said_in_the_callers_dialect(
        self, client: httpx.AsyncClient, path: str, body: bytes, status: int
    ) -> None:
        response = await client.post(path, content=body)

        assert response.status_code == status
        assert response.json()["type"] == "error"
        assert response.json()["request_id"] == f"req_{UUID(int=1).hex}"

    async def test_before_the_catalogue_is_loaded_nothing_is_served(
        self, client: httpx.AsyncClient, catalog: SimpleNamespace
    ) -> None:
        catalog.registry = None
        response = await client.get("/v1/models")

        assert (response.status_code, response.headers["retry-after"]) == (503, "1")

    async def test_a_fault_of_ours_says_nothing_of_itself(
        self, client: httpx.AsyncClient, catalog: SimpleNamespace
    ) -> None:
        catalog.registry = "not a registry, a secret"
        response = await client.get("/v1/models")

        assert response.status_code == 500
        assert "secret" not in response.text
