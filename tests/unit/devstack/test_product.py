"""The whole product answers as its record says."""

import pytest

from aibridge_devstack.http_get import http_get
from aibridge_devstack.record import DevRecord

pytestmark = pytest.mark.anyio


async def test_the_demo_key_works(stack: DevRecord) -> None:
    """The gateway lists models to the demo key, and to nobody without one."""
    key = {"authorization": f"Bearer {stack.demo_key}"}
    known = await http_get(stack.base_url, "/v1/models", headers=key)
    stranger = await http_get(stack.base_url, "/v1/models")

    assert known is not None
    assert stranger is not None
    assert (known.status, stranger.status) == (200, 401)
    assert set(stack.vendors.values()) == {"sandbox"}


async def test_every_address_answers(stack: DevRecord) -> None:
    """The internal addresses of the record are those of running services."""
    for origin in (stack.auth_url, stack.billing_url, stack.router_url):
        answer = await http_get(origin, "/readyz")
        assert answer is not None
        assert answer.status == 200
