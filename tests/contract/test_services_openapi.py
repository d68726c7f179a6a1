"""Each internal API as its own OpenAPI document says it: schemathesis asks, the service must answer as described."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from anyio.from_thread import BlockingPortal
from litestar.serialization import encode_json
from requests import Request
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aibridge_auth.app import create_app as create_auth
from aibridge_billing.app import create_app as create_billing
from aibridge_common.web.drain import Drain
from aibridge_router.app import create_app as create_router
from tests.fixtures.inside import service
from tests.fixtures.openapi import asked
from tests.fixtures.services import (
    TOKEN,
    auth_settings,
    billing_settings,
    router_settings,
    running_auth,
    running_billing,
    running_router,
)

IN_TWO_FORMATS = "/v1/usage/export"
"""By a parameter, and the document can name one of them."""
NOWHERE = "postgresql://nobody@localhost:1/nothing", "nats://localhost:1"


def described(app: Any) -> Any:
    schema = schemathesis.openapi.from_dict(json.loads(encode_json(app.openapi_schema.to_schema())))
    return schema.exclude(path_regex="^/(livez|readyz|metrics|pay/)")


auth_schema: Any = described(create_auth(auth_settings(*NOWHERE)))
billing_schema: Any = described(create_billing(billing_settings(*NOWHERE)))
router_schema: Any = described(create_router(router_settings(*NOWHERE), Drain(1)))

few = asked(8)


@pytest.fixture(scope="module")
def auth(portal: BlockingPortal, auth_url: str, nats_url: str) -> Iterator[httpx.Client]:
    started = portal.wrap_async_context_manager(running_auth(auth_url, nats_url))
    with started as url, service(url, TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def billing_at(portal: BlockingPortal, billing_url: str, nats_url: str) -> Iterator[str]:
    with portal.wrap_async_context_manager(running_billing(billing_url, nats_url)) as url:
        yield url


@pytest.fixture(scope="module")
def billing(billing_at: str) -> Iterator[httpx.Client]:
    with service(billing_at, TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def router(
    portal: BlockingPortal, billing_at: str, router_url: str, nats_url: str
) -> Iterator[httpx.Client]:
    started = portal.wrap_async_context_manager(running_router(router_url, nats_url, billing_at))
    with started as url, service(url, TOKEN) as client:
        yield client


def check(case: Any, client: httpx.Client) -> None:
    asked = Request(**_plain(case.as_transport_kwargs(base_url="http://service"))).prepare()
    headers: Any = {**asked.headers, **client.headers}
    body: Any = asked.body or b""
    answer = client.request(str(asked.method), str(asked.url), headers=headers, content=body)
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    if case.operation.path != IN_TWO_FORMATS or answer.status_code >= 400:
        checks.append(content_type_conformance)
    case.validate_response(Response.from_httpx(answer, verify=False), checks=checks)


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    known = ("method", "url", "headers", "files", "data", "json", "params", "cookies")
    return {name: arguments[name] for name in known if name in arguments}


@auth_schema.parametrize()
@few
@pytest.mark.filterwarnings("ignore")
def test_auth(case: Any, auth: httpx.Client) -> None:
    check(case, auth)


@billing_schema.parametrize()
@few
@pytest.mark.filterwarnings("ignore")
def test_billing(case: Any, billing: httpx.Client) -> None:
    check(case, billing)


@router_schema.parametrize()
@few
@pytest.mark.filterwarnings("ignore")
def test_router(case: Any, router: httpx.Client) -> None:
    check(case, router)
