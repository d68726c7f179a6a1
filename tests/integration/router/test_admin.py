"""The catalogue is changed while routers run: as a whole or not at all, and with a record of who did it."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from aibridge_common.transport import Origin, Pool
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.catalog.registry import Registry
from aibridge_router.upstream.egress import WayOut
from tests.fixtures.services import (
    TOKEN,
    http_to,
)

from .stored import (
    FOLLOWED_WITHIN_S,
    JSON,
    MODELS,
    PASSWORD,
    follows,
    put,
)

pytestmark = pytest.mark.anyio
Connection = Any


async def everything(http: httpx.AsyncClient, table: Connection) -> Any:
    """The catalogue as it is stored, and the audit."""
    rows = [
        await table.fetch(f"SELECT * FROM {name} ORDER BY 1")
        for name in ("provider", "model", "chain", "egress", "routing", "admin_audit")
    ]
    return [[tuple(row) for row in each] for each in rows], (
        await http.get("/v1/admin/chains")
    ).json()


class TestChains:
    async def test_running_routers_follow_within_2_s(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        assert await put(http, "chains/m1", {"backups": ["m2", "acme/m4"]}) == {
            "model": "m1",
            "backups": ["m2", "acme/m4"],
        }

        await follows(
            follower,
            lambda registry: (
                [place.model for place in registry.chain("m1").missing] == ["m1", "m2", "acme/m4"]
            ),
        )
        chains = (await http.get("/v1/admin/chains")).json()
        assert {"model": "m1", "backups": ["m2", "acme/m4"]} in chains

    async def test_a_model_with_a_slash_in_its_name(self, http: httpx.AsyncClient) -> None:
        await put(http, "chains/acme/m4", {"backups": ["m1"]})
        answer = await http.delete("/v1/admin/chains/acme%2Fm4")

        assert (answer.status_code, answer.content) == (204, b"")

    async def test_a_removed_one_is_gone(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        await put(http, "chains/m3", {"backups": ["m1"]})
        assert (await http.delete("/v1/admin/chains/m3")).status_code == 204

        await follows(follower, lambda registry: len(registry.chain("m3").missing) == 1)
        again = await http.delete("/v1/admin/chains/m3")
        assert (again.status_code, again.json()["code"]) == (404, "not_found")


class TestRouting:
    async def test_failover_is_switched_off_and_on_everywhere(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        for failover in (False, True):
            await put(http, "routing", {"failover": failover})
            await follows(follower, lambda registry, on=failover: registry.routing.failover is on)

    async def test_what_is_left_out_stays(self, http: httpx.AsyncClient) -> None:
        await put(http, "routing", {"failover": False, "attempts_max": 7})

        assert await put(http, "routing", {"failover": True}) == {
            "failover": True,
            "attempts_max": 7,
        }
        assert (await http.get("/v1/admin/routing")).json()["attempts_max"] == 7


class TestEgresses:
    async def test_it_joins_drains_and_goes(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        def way(registry: Registry) -> WayOut | None:
            return next((each for each in registry.egresses if each.name == "new"), None)

        stored = await put(http, "egresses/new", {"url": f"socks5://ann:{PASSWORD}@p.test:1"})
        assert stored == {
            "name": "new",
            "kind": "socks5",
            "address": "p.test:1",
            "state": "active",
        }
        await follows(
            follower,
            lambda registry: (
                (found := way(registry)) is not None
                and found.proxy is not None
                and found.proxy.password == PASSWORD
                and not found.draining
            ),
        )

        await put(http, "egresses/new", {"state": "draining"})
        await follows(
            follower,
            lambda registry: (
                (found := way(registry)) is not None
                and found.draining
                and found.proxy is not None
                and found.proxy.password == PASSWORD
            ),
        )

        await put(http, "egresses/new", {"state": "off"})
        await follows(follower, lambda registry: way(registry) is None)
        await put(http, "egresses/new", {"url": "direct", "state": "active"})
        await follows(follower, lambda registry: way(registry) == WayOut(name="new"))

        assert (await http.delete("/v1/admin/egresses/new")).status_code == 204
        await follows(follower, lambda registry: way(registry) is None)
        assert (await http.delete("/v1/admin/egresses/new")).status_code == 404

    async def test_the_router_that_answers_tells_its_health(self, http: httpx.AsyncClient) -> None:
        await put(http, "egresses/off", {"url": "http://off.test:1", "state": "off"})
        async with asyncio.timeout(FOLLOWED_WITHIN_S):
            while True:
                report = (await http.get("/v1/admin/egresses")).json()
                seen = {each["name"]: each for each in report["egresses"]}
                if "fixed" in seen:
                    break

        assert report["router"] == "router-of-the-tests"
        assert seen["fixed"] == {
            "name": "fixed",
            "kind": "http",
            "address": "fixed.test:3128",
            "state": "active",
            "health": "healthy",
            "running": 0,
            "served": 0,
            "failed": 0,
            "providers": [],
        }
        assert (seen["off"]["state"], seen["off"]["address"]) == ("off", "off.test:1")
        await http.delete("/v1/admin/egresses/off")


class TestTimeouts:
    async def test_a_changed_one_holds_and_the_others_stay(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        body = {"connect_timeout_s": 1.5, "first_content_timeout_s": 9}
        assert await put(http, "timeouts/m2", body) == {
            "model": "m2",
            "connect_timeout_s": 1.5,
            "headers_timeout_s": 300.0,
            "first_content_timeout_s": 9.0,
            "idle_timeout_s": 60.0,
            "total_timeout_s": 600.0,
        }
        await follows(follower, lambda registry: registry.find("m2").first_content_s == 9)

        await put(http, "timeouts/m2", {"first_content_timeout_s": None})
        await follows(follower, lambda registry: registry.find("m2").first_content_s == 30)
        listed = (await http.get("/v1/admin/timeouts")).json()
        assert [each["model"] for each in listed] == sorted(MODELS)
        assert listed[2]["connect_timeout_s"] == 1.5

    async def test_an_unknown_model_has_none(self, http: httpx.AsyncClient) -> None:
        answer = await http.put("/v1/admin/timeouts/nothing", json={"idle_timeout_s": 5})

        assert (answer.status_code, answer.json()["param"]) == (404, "model")


TIMER = "/v1/admin/timeouts/m1"
CHAIN = "/v1/admin/chains/m1"
EGRESS = "/v1/admin/egresses/x"


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "path", "body", "param"),
        [
            ("PUT", "/v1/admin/chains/nothing", '{"backups": ["m1"]}', "chains.model"),
            ("PUT", CHAIN, '{"backups": ["m2", "nothing"]}', "chains.backups"),
            ("PUT", CHAIN, '{"backups": ["m2", "m1"]}', "chains.backups"),
            ("PUT", CHAIN, '{"backups": ["m2", "m3", "m2"]}', "chains.backups"),
            ("PUT", CHAIN, '{"backups": ["\\u0000"]}', "backups[0]"),
            ("PUT", CHAIN, '{"backups": "m2"}', "backups"),
            ("PUT", CHAIN, "{}", "backups"),
            ("PUT", CHAIN, '{"backups": ["m2"], "more": 1}', "more"),
            ("PUT", "/v1/admin/routing", '{"attempts_max": 0}', "attempts_max"),
            ("PUT", "/v1/admin/routing", '{"attempts_max": 21}', "attempts_max"),
            ("PUT", "/v1/admin/routing", '{"failover": "no"}', "failover"),
            ("PUT", "/v1/admin/routing", '{"failovr": false}', "failovr"),
            ("PUT", EGRESS, '{"state": "active"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "ftp://ann:hush-hush@p.test"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "http://:hush-hush@p.test"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "http://ann:hush-hush/x@p.test:1"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "http://ann:hush-hush%00@p.test:1"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "http://ann:hush-hush@p.test:99999"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "env:PROXY"}', "egresses.url"),
            ("PUT", EGRESS, '{"url": ""}', "egresses.url"),
            ("PUT", EGRESS, '{"url": "direct", "state": "gone"}', "state"),
            ("PUT", EGRESS, '{"url": "direct", "password": "hush-hush"}', "password"),
            ("PUT", "/v1/admin/egresses/-x", '{"url": "direct"}', "egresses.name"),
            ("PUT", "/v1/admin/egresses/x%00", '{"url": "direct"}', "egresses.name"),
            ("DELETE", "/v1/admin/egresses/fixed", "", "providers.egresses"),
            ("PUT", TIMER, '{"connect_timeout_s": 0}', "connect_timeout_s"),
            ("PUT", TIMER, '{"headers_timeout_s": -1}', "headers_timeout_s"),
            ("PUT", TIMER, '{"idle_timeout_s": "NaN"}', "idle_timeout_s"),
            ("PUT", TIMER, '{"total_timeout_s": 3601}', "total_timeout_s"),
            ("PUT", TIMER, '{"first_content_timeout_s": 0}', "first_content_timeout_s"),
            ("PUT", TIMER, '{"total_timeout_s": null}', "total_timeout_s"),
            ("PUT", TIMER, '{"total": 5}', "total"),
            ("PUT", TIMER, '{"total_timeout_s": NaN}', None),
            ("PUT", TIMER, '{"total_timeout_s": 1e999}', None),
            ("PUT", TIMER, "[]", None),
            ("PUT", TIMER, "", None),
        ],
    )
    async def test_nothing_changes(
        self,
        http: httpx.AsyncClient,
        table: Connection,
        method: str,
        path: str,
        body: str,
        param: str | None,
    ) -> None:
        """A 400 that names the place, never with a part of a password in its words."""
        before = await everything(http, table)

        answer = await http.request(method, path, content=body, headers=JSON if body else {})

        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert param is None or answer.json()["param"] == param
        assert PASSWORD not in answer.text
        assert await everything(http, table) == before

    async def test_the_running_configuration_stays(
        self, http: httpx.AsyncClient, follower: CatalogRefresh
    ) -> None:
        await put(http, "chains/m2", {"backups": ["m3"]})
        await follows(follower, lambda registry: len(registry.chain("m2").missing) == 2)
        running = follower.registry
        refused = await http.put("/v1/admin/chains/m2", json={"backups": ["m2"]})
        await asyncio.sleep(0.2)

        assert refused.status_code == 400
        assert follower.registry is running


class TestConcurrency:
    async def test_a_write_is_checked_against_what_the_one_before_it_left(
        self, http: httpx.AsyncClient, table: Connection
    ) -> None:
        """The egress is free when the request comes, and not any more when its turn comes."""
        await put(http, "egresses/late", {"url": "direct"})
        needs_it = "UPDATE provider SET document = jsonb_set(document, '{egresses}', $1)"
        async with table.transaction():
            await table.execute("SELECT pg_advisory_xact_lock(7403002)")
            waiting = asyncio.create_task(http.delete("/v1/admin/egresses/late"))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await table.execute(f"{needs_it} WHERE name = 'bound'", '["late"]')
        answer = await waiting
        await table.execute(f"{needs_it} WHERE name = 'bound'", '["fixed"]')
        await http.delete("/v1/admin/egresses/late")

        assert (answer.status_code, answer.json()["param"]) == (400, "providers.egresses")

    async def test_all_of_many_at_once_are_kept(self, http: httpx.AsyncClient) -> None:
        await asyncio.gather(
            *(put(http, f"egresses/e{number}", {"url": "direct"}) for number in range(12)),
            *(put(http, "timeouts/m3", {"idle_timeout_s": 5}) for _ in range(3)),
            *(put(http, "timeouts/m3", {"total_timeout_s": 50}) for _ in range(3)),
        )

        m3 = (await http.get("/v1/admin/timeouts")).json()[3]
        assert (m3["idle_timeout_s"], m3["total_timeout_s"]) == (5, 50)
        deleted = [await http.delete(f"/v1/admin/egresses/e{number}") for number in range(12)]
        assert {answer.status_code for answer in deleted} == {204}


class TestAudit:
    async def test_it_says_who_changed_what(self, at: tuple[str, str]) -> None:
        async with http_to(at[1], "another-token-of-theirs") as other:
            await put(other, "egresses/seen", {"url": f"http://ann:{PASSWORD}@p.test:1"})
            await put(other, "routing", {"failover": True})
            await other.delete("/v1/admin/egresses/seen")
            rows = (await other.get("/v1/admin/audit", params={"limit": 3})).json()["rows"]

        told = [(row["caller"], row["action"], row["subject"], row["document"]) for row in rows]
        assert told == [
            ("other", "egress.delete", "seen", {}),
            ("other", "routing.put", "routing", {"failover": True}),
            (
                "other",
                "egress.put",
                "seen",
                {"kind": "http", "address": "p.test:1", "state": "active"},
            ),
        ]

    async def test_it_is_read_page_by_page(self, http: httpx.AsyncClient) -> None:
        for _ in range(3):
            await put(http, "routing", {"failover": True})
        whole = (await http.get("/v1/admin/audit", params={"limit": 1000})).json()
        assert "next" not in whole

        pages, cursor = [], None
        while True:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/v1/admin/audit", params=params)).json()
            pages += page["rows"]
            cursor = page.get("next")
            if cursor is None:
                break
        assert pages == whole["rows"]

    async def test_no_secret_is_readable_in_the_database(
        self, http: httpx.AsyncClient, table: Connection
    ) -> None:
        await put(http, "egresses/seen", {"url": f"http://ann:{PASSWORD}@p.test:1"})
        rows = [
            row[0]
            for name in ("egress", "admin_audit", "provider")
            for row in await table.fetch(f"SELECT t::text FROM {name} t")
        ]
        await http.delete("/v1/admin/egresses/seen")

        assert "p.test" in "".join(rows)
        assert PASSWORD not in "".join(rows)
        assert PASSWORD.encode().hex() not in "".join(rows)


class TestWhere:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/openai/../admin/chains",
            "/v1/openai/%2e%2e/admin/chains",
            "/v1/openai/%2e%2e%2fadmin%2fchains",
            "/v1/models/../admin/chains",
            "/v1/models/..%2fadmin/chains",
            "/v1beta/models/../../v1/admin/chains",
            "/v1/openai//v1/admin/chains",
        ],
    )
    async def test_no_public_path_leads_there(self, at: tuple[str, str], path: str) -> None:
        """The gateway forwards what is below its prefixes as it came."""
        pool = Pool(Origin.parse(at[1])[0])
        bearer = (b"authorization", f"Bearer {TOKEN}".encode())
        answer = await pool.request(b"GET", path.encode(), [bearer])
        body = await answer.read(2**20, 2)
        pool.close()

        assert answer.status >= 400
        assert b"backups" not in body

    async def test_the_schema_names_every_operation_and_has_examples(
        self, http: httpx.AsyncClient
    ) -> None:
        schema = (await http.get("/schema/openapi.json")).json()
        operations = [one for path in schema["paths"].values() for one in path.values()]

        assert schema["openapi"].startswith("3.1")
        assert sorted(one["operationId"] for one in operations) == [
            "AddOwnKey",
            "AddUpstreamKey",
            "ChangeOwnKey",
            "ChangeUpstreamKey",
            "DeleteChain",
            "DeleteEgress",
            "DeleteModel",
            "DeleteProvider",
            "DeleteUpstreamKey",
            "ForgetWays",
            "GetRouting",
            "ListAllModels",
            "ListAudit",
            "ListChains",
            "ListEgresses",
            "ListOwnKeys",
            "ListProviders",
            "ListTimeouts",
            "ListUpstreamKeys",
            "ListWays",
            "PutChain",
            "PutEgress",
            "PutModel",
            "PutProvider",
            "PutRouting",
            "PutTimeouts",
            "RemoveOwnKey",
        ]
        put_egress = json.dumps(schema["components"]["schemas"]["PutEgress"])
        assert "http://user:password@proxy-1.example:8080" in put_egress
