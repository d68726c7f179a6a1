"""No route of an internal service answers to whoever just asks."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

import aibridge_auth.app
import aibridge_billing.app
import aibridge_router.app
from aibridge_auth.app import create_app as create_auth
from aibridge_billing.app import create_app as create_billing
from aibridge_common.ids import uuid7
from aibridge_common.web.drain import Drain
from aibridge_common.web.guard import ServiceGuard
from aibridge_router.app import create_app as create_router
from tests.fixtures.services import (
    auth_settings,
    billing_settings,
    http_to,
    router_settings,
    running_auth,
    running_billing,
    running_router,
    until,
)

pytestmark = pytest.mark.anyio
NOWHERE = "postgresql://nobody@localhost:1/nothing", "nats://localhost:1"
OPEN = {"/livez", "/readyz"}
GUARDED_OTHERWISE = {"billing": {"/pay/{token:str}", "/v1/payment-notices/stripe"}}
"""By 256 bits in the address, and by the provider's signature: tests of their own say so."""
APPS = {
    "auth": lambda: create_auth(auth_settings(*NOWHERE)),
    "billing": lambda: create_billing(billing_settings(*NOWHERE)),
    "router": lambda: create_router(router_settings(*NOWHERE), Drain(1)),
}
CONFINED = {
    "auth": aibridge_auth.app.CONFINED,
    "billing": aibridge_billing.app.CONFINED,
    "router": aibridge_router.app.CONFINED,
}
ROUTES = {
    "auth": {
        ("POST", "/v1/keys"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys/verify"),
        ("PUT", "/v1/keys/{key_id:uuid}/limits"),
        ("PUT", "/v1/keys/{key_id:uuid}/name"),
        ("POST", "/v1/keys/{key_id:uuid}/rotate"),
        ("POST", "/v1/users"),
        ("GET", "/v1/users"),
        ("GET", "/v1/users/{user_id:uuid}"),
        ("POST", "/v1/users/verify-email"),
        ("POST", "/v1/password-resets"),
        ("POST", "/v1/password-resets/finish"),
        ("POST", "/v1/users/{user_id:uuid}/password"),
        ("PUT", "/v1/users/{user_id:uuid}/role"),
        ("PUT", "/v1/users/{user_id:uuid}/state"),
        ("POST", "/v1/users/{user_id:uuid}/second-factor"),
        ("DELETE", "/v1/users/{user_id:uuid}/second-factor"),
        ("POST", "/v1/users/{user_id:uuid}/second-factor/confirm"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/sessions/check"),
        ("POST", "/v1/sessions/step-up"),
        ("POST", "/v1/sessions/end"),
        ("GET", "/v1/audit"),
        ("POST", "/v1/keys/{key_id:uuid}/revoke"),
        ("PUT", "/v1/keys/{key_id:uuid}/routing"),
        ("GET", "/v1/accounts/{account_id:uuid}/routing"),
        ("PUT", "/v1/accounts/{account_id:uuid}/routing"),
    },
    "billing": {
        ("GET", "/v1/rate-cards"),
        ("GET", "/v1/products"),
        ("PUT", "/v1/products/{product_id:str}"),
        ("DELETE", "/v1/products/{product_id:str}"),
        ("GET", "/v1/multipliers"),
        ("GET", "/v1/audit"),
        ("POST", "/v1/accounts/{account_id:uuid}/orders"),
        ("GET", "/v1/accounts/{account_id:uuid}/orders"),
        ("GET", "/v1/accounts/{account_id:uuid}/orders/{number:str}"),
        ("POST", "/v1/accounts/{account_id:uuid}/orders/{number:str}/checkout"),
        ("POST", "/v1/accounts/{account_id:uuid}/orders/{number:str}/cancel"),
        ("GET", "/v1/accounts/{account_id:uuid}/orders/{number:str}/refund-quote"),
        ("POST", "/v1/accounts/{account_id:uuid}/orders/{number:str}/refunds"),
        ("GET", "/v1/orders/{number:str}"),
        ("POST", "/v1/orders/{number:str}/confirm-transfer"),
        ("GET", "/v1/orders/{number:str}/refund-quote"),
        ("POST", "/v1/orders/{number:str}/refunds"),
        ("GET", "/v1/refunds/{refund_id:uuid}"),
        ("POST", "/v1/refunds/{refund_id:uuid}/end"),
        ("GET", "/v1/payment-alerts"),
        ("POST", "/v1/accounts/{account_id:uuid}/adjustments"),
        ("POST", "/v1/adjustments/{adjustment_id:uuid}/decision"),
        ("GET", "/v1/adjustments"),
        ("GET", "/v1/accounts/{account_id:uuid}"),
        ("PUT", "/v1/accounts/{account_id:uuid}/status"),
        ("GET", "/v1/usage/summary"),
        ("GET", "/v1/usage/export"),
        ("PUT", "/v1/rate-cards/{model:path}"),
        ("GET", "/v1/balance"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/spool/{router:str}"),
        ("GET", "/v1/own-usage"),
        ("GET", "/v1/receipts"),
        ("GET", "/v1/receipts/{request_id:str}"),
        ("POST", "/v1/leases"),
        ("POST", "/v1/leases/{lease_id:uuid}/extend"),
        ("GET", "/metrics"),
        ("POST", "/v1/leases/{lease_id:uuid}/release"),
        ("GET", "/v1/spool/{router:str}"),
    },
    "router": {
        ("GET", "/metrics"),
        ("GET", "/v1/accounts/{account_id:uuid}/own-keys"),
        ("POST", "/v1/accounts/{account_id:uuid}/own-keys"),
        ("PUT", "/v1/accounts/{account_id:uuid}/own-keys/{key_id:uuid}"),
        ("DELETE", "/v1/accounts/{account_id:uuid}/own-keys/{key_id:uuid}"),
        ("GET", "/v1/admin/providers"),
        ("PUT", "/v1/admin/providers/{name:path}"),
        ("DELETE", "/v1/admin/providers/{name:path}"),
        ("GET", "/v1/admin/keys"),
        ("POST", "/v1/admin/keys"),
        ("PUT", "/v1/admin/keys/{key_id:uuid}"),
        ("DELETE", "/v1/admin/keys/{key_id:uuid}"),
        ("GET", "/v1/admin/models"),
        ("PUT", "/v1/admin/models/{model:path}"),
        ("DELETE", "/v1/admin/models/{model:path}"),
        ("GET", "/v1/admin/chains"),
        ("PUT", "/v1/admin/chains/{model:path}"),
        ("DELETE", "/v1/admin/chains/{model:path}"),
        ("GET", "/v1/admin/routing"),
        ("PUT", "/v1/admin/routing"),
        ("GET", "/v1/admin/egresses"),
        ("PUT", "/v1/admin/egresses/{name:path}"),
        ("DELETE", "/v1/admin/egresses/{name:path}"),
        ("GET", "/v1/admin/timeouts"),
        ("PUT", "/v1/admin/timeouts/{model:path}"),
        ("GET", "/v1/admin/audit"),
        ("GET", "/v1/admin/ways"),
        ("DELETE", "/v1/admin/ways/{provider:path}"),
    },
}
"""The router's public paths are not among them: the relay looks at the token itself, and tests of its own say so."""


def routes(app: Litestar) -> list[tuple[str, str, bool]]:
    """(method, path, whether a guard stands before it) of everything but the schema and OPTIONS."""
    found: list[tuple[str, str, bool]] = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path.startswith("/schema"):
            continue
        for handler in route.route_handlers:
            guarded = any(
                isinstance(getattr(guard, "func", guard), ServiceGuard)
                for guard in handler.resolve_guards()
            )
            found += [
                (method, route.path, guarded)
                for method in sorted(handler.http_methods)
                if method != "OPTIONS"
            ]
    return found


@pytest.mark.parametrize("service", APPS)
def test_every_route_has_a_guard(service: str) -> None:
    unguarded = {path for _, path, guarded in routes(APPS[service]()) if not guarded}

    assert unguarded == OPEN | GUARDED_OTHERWISE.get(service, set())


@pytest.mark.parametrize("service", APPS)
def test_every_operation_has_a_name(service: str) -> None:
    """By which callers are confined."""
    for route in APPS[service]().routes:
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/"):
            for handler in route.route_handlers:
                named = handler.operation_id or handler.http_methods == {"OPTIONS"}
                assert named, (handler.http_methods, route.path)


@pytest.mark.parametrize(
    ("service", "caller", "expected"),
    [
        ("auth", "gateway", {("POST", "/v1/keys/verify")}),
        ("router", "gateway", set[tuple[str, str]]()),
        (
            "billing",
            "gateway",
            {
                ("GET", "/v1/balance"),
                ("GET", "/v1/usage"),
                ("GET", "/v1/receipts"),
                ("GET", "/v1/receipts/{request_id:str}"),
            },
        ),
        (
            "billing",
            "router",
            {
                ("GET", "/v1/rate-cards"),
                ("POST", "/v1/leases"),
                ("POST", "/v1/leases/{lease_id:uuid}/extend"),
                ("POST", "/v1/leases/{lease_id:uuid}/release"),
                ("GET", "/v1/spool/{router:str}"),
                ("GET", "/v1/usage/summary"),
            },
        ),
    ],
)
def test_the_services_own_tokens_are_for_what_they_call(
    service: str, caller: str, expected: set[tuple[str, str]]
) -> None:
    allowed = CONFINED[service][caller]
    found = {
        (method, route.path)
        for route in APPS[service]().routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.operation_id in allowed
        for method in handler.http_methods
        if method != "OPTIONS"
    }

    assert found == expected


@pytest.mark.parametrize("service", APPS)
def test_these_are_all_the_routes(service: str) -> None:
    """A new one belongs into the list, and into the tests that go through it."""
    found = {(method, path) for method, path, guarded in routes(APPS[service]()) if guarded}

    assert found == ROUTES[service]


@pytest.fixture(scope="module", params=APPS)
async def service(
    request: pytest.FixtureRequest,
    auth_url: str,
    billing_url: str,
    router_url: str,
    clean_stream: str,
) -> AsyncIterator[tuple[str, str]]:
    """Name and address of a running service."""
    name: str = request.param
    async with AsyncExitStack() as running:
        if name == "auth":
            address = await running.enter_async_context(running_auth(auth_url, clean_stream))
        else:
            address = await running.enter_async_context(running_billing(billing_url, clean_stream))
        if name == "router":
            address = await running.enter_async_context(
                running_router(router_url, clean_stream, address)
            )
        yield name, address


async def test_without_the_right_token_there_is_no_answer(service: tuple[str, str]) -> None:
    name, address = service
    wrong = [
        "Bearer wrong",
        "Bearer",
        "Basic YTpi",
        "a-token-of-the-tests",
        "bearer a-token-of-the-tests",
        "Bearer A-TOKEN-OF-THE-TESTS",
        "Bearer tests",
    ]
    async with http_to(address, token=None) as http:
        for method, path in ROUTES[name]:
            for header in [None, *wrong]:
                answer = await http.request(
                    method,
                    _example(path),
                    json={} if method != "GET" else None,
                    headers={"authorization": header} if header is not None else {},
                )

                assert answer.status_code == 401, (method, path, header)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == 401


async def test_every_known_caller_is_let_in(service: tuple[str, str]) -> None:
    name, address = service
    for token in ("a-token-of-the-tests", "another-token-of-theirs"):
        async with http_to(address, token) as http:
            for method, path in ROUTES[name]:
                answer = await http.request(method, _example(path), json={})

                assert answer.status_code != 401, (method, path)


async def test_health_is_open(service: tuple[str, str]) -> None:
    name, address = service
    checks = {"database": True, "bus": True} | (
        {"accepting": True, "catalog": True} if name == "router" else {}
    )
    async with http_to(address, token=None) as http:
        assert (await http.get("/livez")).json() == {"status": "ok"}

        async def is_ready() -> bool:
            return (await http.get("/readyz")).json() == {"status": "ok", "checks": checks}

        await until(is_ready)


async def test_an_unknown_path_is_a_problem_document(service: tuple[str, str]) -> None:
    _, address = service
    async with http_to(address) as http:
        answer: httpx.Response = await http.get("/v1/nothing")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def _example(path: str) -> str:
    return re.sub("{[a-z_]+:(path|str)}", "m", re.sub("{[a-z_]+:uuid}", str(uuid7()), path))
