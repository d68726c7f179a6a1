"""Ejected egresses come back by themselves, through real proxies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from aibridge_common.clock import SystemClock
from aibridge_common.proxy import Proxy
from aibridge_common.transport import ConnectFailed, ProxyFailed
from aibridge_router.upstream import probe
from aibridge_router.upstream.egress import EgressEvent, EgressPool, WayOut
from aibridge_router.upstream.pools import Pools
from aibridge_router.upstream.probe import EgressProber
from tests.fixtures.proxies import LoopbackProxy, loopback_proxy

pytestmark = pytest.mark.anyio

BACK_WITHIN_S = 10.0
"""What operators are promised."""
OTHER = WayOut(name="other")


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "EVERY_S", 0.05)
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.5)


@pytest.fixture
async def vendor() -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await asyncio.sleep(0.02)  # its connections see their end


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()


def way_to(proxy: LoopbackProxy, scheme: str = "http") -> WayOut:
    return WayOut(name="a", proxy=Proxy.parse(proxy.url(scheme)))


async def while_probing(
    pool: EgressPool, pools: Pools, base_url: str, what: Callable[[], Awaitable[None]]
) -> None:
    prober = EgressProber(
        pool, pools, lambda: {"acme": base_url} if base_url else {}, SystemClock()
    )
    task = asyncio.create_task(prober.run())
    try:
        await what()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ejected(pool: EgressPool) -> bool:
    one = pool.status(SystemClock().monotonic_s())[0]
    return one.health == "dead" or any(each.health != "healthy" for each in one.providers)


async def back(pool: EgressPool, within_s: float = BACK_WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while ejected(pool):  # noqa: ASYNC110 - what we wait for tells nobody
            await asyncio.sleep(0.02)


def blamed(way: WayOut, what: EgressEvent) -> EgressPool:
    now_s = SystemClock().monotonic_s()
    pool = EgressPool()
    pool.configure([way, OTHER])
    pool.report(now_s, OTHER, "acme", EgressEvent.OK)
    pool.report(now_s, way, "acme", what)
    assert ejected(pool)
    return pool


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_died_is_back_soon_after_it_is_there_again(
    vendor: str, pools: Pools, scheme: str
) -> None:
    async with loopback_proxy() as proxy:
        await proxy.die()
        pool = blamed(way_to(proxy, scheme), EgressEvent.DEAD)

        async def what() -> None:
            await asyncio.sleep(2.5)
            assert ejected(pool)
            await proxy.start()
            await back(pool)

        await while_probing(pool, pools, vendor, what)

        assert proxy.tunnels == {"127.0.0.1": 1}


async def test_a_proxy_that_refuses_stays_out(vendor: str, pools: Pools) -> None:
    async with loopback_proxy() as proxy:
        proxy.refuses = True
        pool = blamed(way_to(proxy), EgressEvent.DEAD)

        async def what() -> None:
            async with asyncio.timeout(5):
                while not proxy.accepted:  # noqa: ASYNC110 - what we wait for tells nobody
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)

        await while_probing(pool, pools, vendor, what)

        assert ejected(pool)


async def test_an_unreachable_provider_is_tried_through_its_egress(
    vendor: str, pools: Pools
) -> None:
    async with loopback_proxy() as proxy:
        pool = blamed(way_to(proxy), EgressEvent.UNREACHABLE)

        await while_probing(pool, pools, vendor, lambda: back(pool))

        assert proxy.tunnels == {"127.0.0.1": 1}


async def test_a_direct_way_is_tried_without_a_proxy(vendor: str, pools: Pools) -> None:
    direct = WayOut(name="a")
    pool = blamed(direct, EgressEvent.DEAD)

    await while_probing(pool, pools, vendor, lambda: back(pool))


async def test_without_a_provider_to_ask_nothing_is_tried(pools: Pools) -> None:
    async with loopback_proxy() as proxy:
        pool = blamed(way_to(proxy), EgressEvent.DEAD)
        await while_probing(pool, pools, "", lambda: asyncio.sleep(2.2))

        assert proxy.accepted == 0
        assert ejected(pool)


class TestTheProxyOfTheTests:
    """It must fail as it says it does, since others rely on it."""

    @pytest.mark.parametrize("scheme", ["http", "socks5"])
    async def test_each_fault_is_what_it_claims(
        self, vendor: str, pools: Pools, scheme: str
    ) -> None:
        async with loopback_proxy(username="ann", password="hush") as proxy:
            pool, _ = pools.at(vendor, way_to(proxy, scheme))
            proxy.unreachable.add("127.0.0.1")
            with pytest.raises(ConnectFailed) as caught:
                await pool.reach(1)
            assert ConnectFailed is type(caught.value)

            proxy.unreachable.clear()
            proxy.refuses = True
            with pytest.raises(ProxyFailed):
                await pool.reach(1)

            proxy.refuses = False
            await pool.reach(1)
            stranger = Proxy.parse(proxy.url(scheme).replace("hush", "wrong"))
            with pytest.raises(ProxyFailed):
                await pools.at(vendor, WayOut(name="x", proxy=stranger))[0].reach(1)

            await proxy.die()
            with pytest.raises(ProxyFailed):
                await pool.reach(1)
            assert proxy.running == 0

    async def test_a_blocked_host_answers_with_a_region_page(
        self, vendor: str, pools: Pools
    ) -> None:
        async with loopback_proxy() as proxy:
            proxy.blocked.add("127.0.0.1")
            answer = await pools.at(vendor, way_to(proxy))[0].request(b"GET", b"/", [])

            assert answer.status == 403
            assert b"unsupported_country" in await answer.read(1000, 1)
