"""Counting tokens asks the vendor by the way out that its other traffic takes, and only a vendor that is well."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs

from aibridge_common.dialect import find_endpoint
from aibridge_common.ids import uuid7
from aibridge_common.proxy import Proxy
from aibridge_router.api.counting import CountTokens, _estimate
from aibridge_router.catalog.registry import Registry
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.failover.failure import Failure
from aibridge_router.upstream.egress import WayOut
from tests.fixtures.proxies import loopback_proxy
from tests.unit.router.exchange.scene import ACCOUNT, Scene, answering, opened

pytestmark = pytest.mark.anyio
BODY = b'{"model":"claude-a","messages":[{"role":"user","content":"How long is this?"}]}'
PATH = "/v1/messages/count_tokens"
COUNTED = b'{"input_tokens":77}'


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "spool") as running:
        running.vendor.script = answering(200, COUNTED)
        yield running


def counting(scene: Scene) -> Registry:
    """The scene's catalogue, whose Anthropic counts."""
    known = scene.registry()
    providers = [
        structs.replace(provider, count_tokens_path=PATH)
        if provider.name == "anthropic"
        else provider
        for provider in known._providers.values()
    ]
    return Registry(known.models, providers, known._keys, list(known._cards.values()))


async def count(scene: Scene) -> int:
    endpoint = find_endpoint(PATH)
    assert endpoint is not None
    inbound = Inbound(request_id=uuid7(), account_id=ACCOUNT, key_id=None, headers=[], query=b"")
    answer = await CountTokens(scene.services).answer(endpoint, counting(scene), inbound, BODY)
    return json.loads(answer)["input_tokens"]


async def test_the_vendors_own_count_is_given(scene: Scene) -> None:
    assert await count(scene) == 77


async def test_it_leaves_by_the_pool_and_lets_the_way_go(scene: Scene) -> None:
    async with loopback_proxy() as proxy:
        scene.egress.configure([WayOut(name="out", proxy=Proxy.parse(proxy.url("http")))])

        assert await count(scene) == 77
        assert proxy.tunnels.total() == 1

    (way,) = scene.egress.status(scene.services.clock.monotonic_s())
    assert way.running == 0


async def test_where_nothing_may_leave_it_is_estimated(scene: Scene) -> None:
    scene.egress.configure([WayOut(name="out", draining=True)])

    assert await count(scene) == _estimate(BODY)
    assert scene.vendor.asked == []


async def test_a_vendor_that_is_known_to_be_down_is_not_asked(scene: Scene) -> None:
    """Claude Code sends dozens of these at once; each would wait for it."""
    target = counting(scene).target("claude-a")
    way = ("anthropic", target.keys[0].id, "claude-a")
    now_s = scene.services.clock.monotonic_s()
    scene.health.failed(now_s, way, Failure.SILENT, probe=False)

    assert await count(scene) == _estimate(BODY)
    assert scene.vendor.asked == []
