"""Providers, the operator's keys and models are changed while routers run."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn

from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.catalog.registry import Registry
from aibridge_sandbox.app import create_app as create_sandbox
from tests.fixtures.services import http_to, running_router

from .stored import follows, put

pytestmark = pytest.mark.anyio
Connection = Any
KEY = "sk-operators-canary-0001"
PROVIDER = {
    "title": "New",
    "base_url": "https://api.new.example",
    "paths": {"openai_chat": "/v1/chat/completions"},
}
MODEL = {"title": "M", "provider": "acme", "context_tokens": 1000, "max_output_tokens": 100}
PRICE = {"input": "1.25", "output": "5"}


@pytest.fixture
async def vendor(http: httpx.AsyncClient) -> AsyncIterator[str]:
    """A provider called `sandbox` that runs here and knows a wrong key."""
    config = uvicorn.Config(create_sandbox(), port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - it starts elsewhere
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await put(http, "egresses/here", {"url": "direct"})
    await put(
        http,
        "providers/sandbox",
        {
            "egresses": ["here"],
            "base_url": f"http://127.0.0.1:{port}/openai",
            "paths": {"openai_chat": "/v1/chat/completions"},
        },
    )
    yield "sandbox"
    for key in (await http.get("/v1/admin/keys")).json():
        if key["provider"] == "sandbox":
            await http.delete(f"/v1/admin/keys/{key['id']}")
    await http.delete("/v1/admin/providers/sandbox")
    await http.delete("/v1/admin/egresses/here")
    server.should_exit = True
    await task


async def set_price(at: tuple[str, str], model: str, **price: str) -> httpx.Response:
    async with http_to(at[0]) as billing:
        return await billing.put(f"/v1/rate-cards/{model}", json=PRICE | price)


def keys_of(registry: Registry, provider: str) -> list[str]:
    return [
        key.secret.reveal()
        for model in registry.models
        for target in registry.chain(model.id).targets
        if target.provider.name == provider
        for key in target.keys
    ]


class TestProviders:
    async def test_one_is_added_changed_and_removed(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        stored = await put(http, "providers/new", PROVIDER)
        await follows(follower, lambda registry: "new" in registry.providers)

        assert (stored["name"], stored["active_keys"]) == ("new", 0)
        await put(http, "providers/new", PROVIDER | {"title": "Newer"})
        await follows(follower, lambda registry: registry.providers["new"].title == "Newer")
        assert (await http.delete("/v1/admin/providers/new")).status_code == 204
        await follows(follower, lambda registry: "new" not in registry.providers)
        assert (await http.delete("/v1/admin/providers/new")).status_code == 404

    async def test_one_that_hosts_models_stays(self, http: httpx.AsyncClient) -> None:
        answer = await http.delete("/v1/admin/providers/acme")

        assert (answer.status_code, answer.json()["param"]) == (400, "models.provider")

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"base_url": "ftp://api.new.example"}, "base_url"),
            ({"base_url": "https://ann:pw@api.new.example"}, "providers.base_url"),
            ({"base_url": "https://api.new.example/?x=1"}, "providers.base_url"),
            ({"base_url": "https://"}, "base_url"),
            ({"base_url": "https://a b"}, "base_url"),
            ({"base_url": "https:///path"}, "providers.base_url"),
            ({"paths": {}}, "paths"),
            ({"paths": {"openai_chat": "no-slash"}}, "paths[...]"),
            ({"paths": {"smtp": "/"}}, "paths"),
            ({"headers": {"x": "a\r\nb: c"}}, "headers[...]"),
            ({"egresses": ["nowhere"]}, "providers.egresses"),
            ({"keys": [KEY]}, "keys"),
            ({"auth": "none"}, "auth"),
        ],
    )
    async def test_a_wrong_one_is_refused_by_its_field(
        self, http: httpx.AsyncClient, change: dict[str, Any], param: str
    ) -> None:
        answer = await http.put("/v1/admin/providers/new", json=PROVIDER | change)

        assert answer.status_code == 400
        assert answer.json()["param"] == param
        assert KEY not in answer.text
        names = [one["name"] for one in (await http.get("/v1/admin/providers")).json()]
        assert "new" not in names


class TestKeys:
    async def test_one_is_used_rested_and_removed(
        self, vendor: str, at: tuple[str, str], http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        await put(http, "models/k1", MODEL | {"provider": vendor})
        await set_price(at, "k1")
        answer = await http.post("/v1/admin/keys", json={"provider": vendor, "key": KEY})
        shown = answer.json()
        at_key = f"/v1/admin/keys/{shown['id']}"
        assert (answer.status_code, shown["hint"], shown["active"]) == (201, "…0001", True)
        await follows(follower, lambda registry: keys_of(registry, vendor) == [KEY])

        again = await http.post("/v1/admin/keys", json={"provider": vendor, "key": KEY})
        assert again.json() == shown
        assert (await http.put(at_key, json={"active": False})).json()["active"] is False
        await follows(follower, lambda registry: keys_of(registry, vendor) == [])
        await http.put(at_key, json={"active": True})
        await follows(follower, lambda registry: keys_of(registry, vendor) == [KEY])
        assert (await http.delete(at_key)).status_code == 204
        await follows(follower, lambda registry: keys_of(registry, vendor) == [])
        assert (await http.delete(at_key)).status_code == 404
        assert (await http.put(at_key, json={"active": True})).status_code == 404
        await http.delete("/v1/admin/models/k1")

    async def test_one_that_its_provider_refuses_is_not_kept(
        self, vendor: str, http: httpx.AsyncClient
    ) -> None:
        wrong = {"provider": vendor, "key": "sk-bad-key-canary"}
        answer = await http.post("/v1/admin/keys", json=wrong)

        assert (answer.status_code, answer.json()["code"]) == (422, "key_refused")
        assert "canary" not in answer.text
        kept = await http.post("/v1/admin/keys", json=wrong | {"check": False})
        assert kept.status_code == 201

    async def test_none_is_readable_again(
        self, vendor: str, http: httpx.AsyncClient, table: Connection
    ) -> None:
        await http.post("/v1/admin/keys", json={"provider": vendor, "key": KEY})

        said = [
            (await http.get("/v1/admin/keys")).text,
            (await http.get("/v1/admin/audit")).text,
            (await http.get("/v1/admin/providers")).text,
            str(await table.fetch("SELECT * FROM upstream_key")),
            str(await table.fetch("SELECT * FROM admin_audit")),
        ]
        assert "key.add" in said[1]
        for place in said:
            assert "canary" not in place

    async def test_an_unknown_provider_takes_none(self, http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/admin/keys", json={"provider": "nobody", "key": KEY})

        assert (answer.status_code, answer.json()["param"]) == (404, "provider")


class TestModels:
    async def test_a_new_one_is_served_once_it_has_a_price(
        self, at: tuple[str, str], http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        stored = await put(http, "models/acme/m9", MODEL | {"aliases": ["nine"]})
        await follows(follower, lambda registry: "acme/m9" in {m.id for m in registry.models})
        assert (stored["id"], stored["aliases"]) == ("acme/m9", ["nine"])
        assert follower.registry is not None
        assert follower.registry.chain("nine").missing[0].reason == "it has no price"

        priced = await set_price(at, "acme/m9")

        await follows(follower, lambda registry: bool(registry.chain("nine").targets))
        assert priced.status_code == 200
        assert priced.json()["version"] == 1
        assert priced.json()["multipliers"]["input"] == 1_250_000
        assert priced.json()["multipliers"]["cache_read"] == 125_000
        assert (await http.delete("/v1/admin/models/acme/m9")).status_code == 204
        await follows(follower, lambda registry: "acme/m9" not in {m.id for m in registry.models})

    async def test_its_capabilities_are_changed(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        before = {one["id"]: one for one in (await http.get("/v1/admin/models")).json()}["m3"]
        facts = {name: value for name, value in before.items() if name != "id"}

        await put(http, "models/m3", facts | {"capabilities": {"vision": False}})

        await follows(follower, lambda registry: not registry.find("m3").capabilities.vision)
        await put(http, "models/m3", facts)

    async def test_one_that_a_chain_names_stays(self, http: httpx.AsyncClient) -> None:
        await put(http, "chains/m1", {"backups": ["m2"]})

        for model, param in [("m1", "chains.model"), ("m2", "chains.backups")]:
            answer = await http.delete(f"/v1/admin/models/{model}")
            assert (answer.status_code, answer.json()["param"]) == (400, param)
        await http.delete("/v1/admin/chains/m1")

    @pytest.mark.parametrize(
        ("name", "change", "param"),
        [
            ("m1", {"provider": "nobody"}, "models.provider"),
            ("m1", {"dialect": "gemini_generate"}, "models.dialect"),
            ("m1", {"siblings": [{"provider": "acme"}]}, "models[m1].siblings.provider"),
            ("m9", {"aliases": ["m1"]}, "models.id"),
            ("m1", {"context_tokens": 0}, "context_tokens"),
            ("m1", {"multipliers": {"input": "0", "output": "0"}}, "multipliers"),
            ("m1", {"capabilities": {"telepathy": True}}, "telepathy"),
            ("-m", {}, "models.id"),
        ],
    )
    async def test_a_wrong_one_is_refused_by_its_field(
        self, http: httpx.AsyncClient, name: str, change: dict[str, Any], param: str
    ) -> None:
        before = (await http.get("/v1/admin/models")).json()

        answer = await http.put(f"/v1/admin/models/{name}", json=MODEL | change)

        assert answer.status_code == 400
        assert answer.json()["param"] == param
        assert (await http.get("/v1/admin/models")).json() == before


class TestPrices:
    async def test_a_new_one_is_a_new_version_in_running_routers(
        self, vendor: str, at: tuple[str, str], http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        await put(http, "models/p1", MODEL | {"provider": vendor})
        await http.post("/v1/admin/keys", json={"provider": vendor, "key": KEY})
        first = (await set_price(at, "p1")).json()
        await follows(follower, lambda registry: bool(registry.chain("p1").targets))
        same = (await set_price(at, "p1")).json()
        dearer = (await set_price(at, "p1", output="7")).json()

        assert same == first
        assert dearer["version"] == first["version"] + 1
        await follows(
            follower,
            lambda registry: registry.target("p1").card.multipliers.output == 7_000_000,
        )
        later = await set_price(at, "p1", output="9", valid_from="2027-01-01T00:00:00Z")
        assert later.json()["version"] == first["version"] + 2
        await asyncio.sleep(0.3)
        assert follower.registry is not None
        assert follower.registry.target("p1").card.multipliers.output == 7_000_000
        await http.delete("/v1/admin/models/p1")

    @pytest.mark.parametrize(
        ("price", "param"),
        [
            ({"input": "-1"}, "multipliers"),
            ({"input": "1e9"}, "multipliers"),
            ({"input": "0.0000001"}, "multipliers"),
            ({"input": "NaN"}, "multipliers"),
            ({"input": 1}, "input"),
            ({"valid_from": "2020-01-01T00:00:00Z"}, "valid_from"),
            ({"valid_from": "2999-01-01T00:00:00Z"}, "valid_from"),
            ({"valid_from": "2027-01-01T00:00:00"}, "valid_from"),
            ({"version": "7"}, "version"),
        ],
    )
    async def test_a_wrong_one_is_refused_by_its_field(
        self, at: tuple[str, str], price: dict[str, Any], param: str
    ) -> None:
        answer = await set_price(at, "m1", **price)

        assert (answer.status_code, answer.json()["param"]) == (400, param)


class TestWhere:
    async def test_a_private_address_is_refused_where_that_was_not_allowed(
        self, router_url: str, clean_stream: str, at: tuple[str, str]
    ) -> None:
        async with (
            running_router(router_url, clean_stream, at[0], private_providers=False) as router,
            http_to(router) as http,
        ):
            for base_url in (
                "https://127.0.0.1",
                "https://10.1.2.3",
                "https://[::1]",
                "https://169.254.169.254",
                "https://localhost",
                "http://93.184.216.34",
                "https://93.184.216.34:8443",
                "https://[::ffff:10.0.0.1]",
            ):
                answer = await http.put(
                    "/v1/admin/providers/new", json=PROVIDER | {"base_url": base_url}
                )
                assert (answer.status_code, answer.json()["param"]) == (400, "providers.base_url")
