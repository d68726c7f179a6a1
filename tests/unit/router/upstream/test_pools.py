"""One pool per origin and proxy; what a proxy still carries is not cut when the proxy goes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aibridge_common.errors import UpstreamFailed
from aibridge_common.proxy import Proxy
from aibridge_common.transport import BodyCut, Pool, Response, Timers
from aibridge_router.upstream.egress import DIRECT, WayOut
from aibridge_router.upstream.pools import Pools
from tests.fixtures.proxies import loopback_proxy

pytestmark = pytest.mark.anyio

TIMERS = Timers(connect_s=2, headers_s=2, idle_s=2)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Vendor:
    """Answers `HEAD` and then, once told, the body."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(HEAD)
                await self.goes_on.wait()
                writer.write(b"done")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield vendor
    server.close()
    vendor.goes_on.set()
    await asyncio.sleep(0.02)  # its connections see their end


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()
    await asyncio.sleep(0.01)


def way_to(url: str, name: str = "a") -> WayOut:
    return WayOut(name=name, proxy=Proxy.parse(url))


async def ask(pool: Pool) -> Response:
    return await pool.request(b"GET", b"/", [], b"", TIMERS)


async def test_a_base_url_has_a_path_of_its_own(pools: Pools) -> None:
    assert pools.at("http://a.test/x", DIRECT)[1] == "/x"


async def test_base_urls_of_one_origin_share_a_pool(pools: Pools) -> None:
    assert pools.at("http://a.test/x", DIRECT)[0] is pools.at("http://a.test:80/y", DIRECT)[0]


async def test_each_proxy_has_its_own_whatever_its_name(pools: Pools) -> None:
    one, two = way_to("http://p.test:1", "a"), way_to("http://p.test:2", "b")
    renamed = way_to("http://p.test:1", "c")

    assert pools.at("http://a.test", one)[0] is not pools.at("http://a.test", two)[0]
    assert pools.at("http://a.test", one)[0] is not pools.at("http://a.test", DIRECT)[0]
    assert pools.at("http://a.test", one)[0] is pools.at("http://a.test", renamed)[0]


async def test_a_base_url_that_is_none_is_the_upstreams_failure(pools: Pools) -> None:
    with pytest.raises(UpstreamFailed, match="scheme"):
        pools.at("ftp://a.test", DIRECT)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_requests_leave_through_the_proxy(pools: Pools, vendor: Vendor, scheme: str) -> None:
    vendor.goes_on.set()
    async with loopback_proxy(username="ann", password="hush") as proxy:
        pool, _ = pools.at(vendor.url, way_to(proxy.url(scheme)))
        bodies = [await (await ask(pool)).read(10, 2) for _ in range(3)]
        pools.close()

    assert bodies == [b"done"] * 3
    assert proxy.tunnels == {"127.0.0.1": 1}


async def test_a_removed_proxy_is_let_go_when_its_streams_have_ended(
    pools: Pools, vendor: Vendor
) -> None:
    async with loopback_proxy() as proxy:
        way = way_to(proxy.url())
        pool, _ = pools.at(vendor.url, way)
        running = await ask(pool)
        pools.keep_only([])
        await asyncio.sleep(0.02)
        assert proxy.running == 1

        vendor.goes_on.set()
        assert await running.read(10, 2) == b"done"
        async with asyncio.timeout(2):
            while proxy.running:  # noqa: ASYNC110 - what we wait for tells nobody
                await asyncio.sleep(0.005)
        assert pools.at(vendor.url, way)[0] is not pool


async def test_what_stays_keeps_its_connections(pools: Pools, vendor: Vendor) -> None:
    vendor.goes_on.set()
    async with loopback_proxy() as proxy:
        way = way_to(proxy.url())
        pool, direct = pools.at(vendor.url, way)[0], pools.at(vendor.url, DIRECT)[0]
        await (await ask(pool)).read(10, 2)
        pools.keep_only([way_to(proxy.url(), "renamed"), way_to("http://p.test:1", "b")])

        assert pools.at(vendor.url, way)[0] is pool
        assert pools.at(vendor.url, DIRECT)[0] is direct
        assert pool.open_connections == 1
        pools.close()


async def test_closing_ends_what_removed_proxies_still_carry(pools: Pools, vendor: Vendor) -> None:
    async with loopback_proxy() as proxy:
        running = await ask(pools.at(vendor.url, way_to(proxy.url()))[0])
        pools.keep_only([])
        pools.close()
        with pytest.raises(BodyCut):
            await running.read(10, 2)
