"""Through proxies of our own, kind and unkind ones."""

import asyncio
import base64
import socket
import ssl

import pytest

from aibridge_common.proxy import Proxy
from aibridge_common.transport import (
    ConnectFailed,
    ConnectTimeout,
    Origin,
    ProxyFailed,
    ProxyTimeout,
    Sent,
    Timers,
)
from aibridge_common.transport.pool import Pool

from .asking import ask, fetch
from .conftest import OpenPool
from .scripted import Peer, Script, Scripted, forever, pump, reply, scripted

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
USER, PASSWORD = "ann@example.test", "p:/@ü"


async def splice(peer: Peer, origin: Origin) -> None:
    """From here on the proxy only carries bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.port)
    async with asyncio.TaskGroup() as both:
        both.create_task(pump(reader, peer.writer))
        both.create_task(pump(peer.reader, writer))


def connect_proxy(origin: Origin, heads: list[bytes], answer: bytes = OK) -> Script:
    async def script(peer: Peer) -> None:
        heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
        await peer.send(answer)
        await splice(peer, origin)

    return script


def socks_proxy(
    origin: Origin, requests: list[bytes], *, bound: bytes = b"\x01\0\0\0\0\0\0"
) -> Script:
    """Asks for a password where the client offers one; `bound` ends its reply."""

    async def script(peer: Peer) -> None:
        method = (await peer.reader.readexactly(3))[2]
        await peer.send(bytes([5, method]))
        if method == 2:
            requests.append(await peer.reader.readexactly(2 + len(USER)))
            length = (await peer.reader.readexactly(1))[0]
            requests.append(await peer.reader.readexactly(length))
            await peer.send(b"\x01\x00")
        head = await peer.reader.readexactly(5)
        requests.append(head + await peer.reader.readexactly(head[4] + 2))
        await peer.send(b"\x05\x00\x00", bound)
        await splice(peer, origin)

    return script


def through(
    open_pool: OpenPool,
    proxy: Scripted,
    origin: Origin,
    *,
    kind: str = "http",
    tls: ssl.SSLContext | None = None,
    sign_in: bool = False,
) -> Pool:
    egress = Proxy(
        kind="http" if kind == "http" else "socks5",
        host="127.0.0.1",
        port=proxy.origin.port,
        username=USER if sign_in else None,
        password=PASSWORD if sign_in else None,
    )
    return open_pool(origin, proxy=egress, tls=tls)


class TestHttpConnect:
    async def test_tunnel(self, open_pool: OpenPool) -> None:
        """The proxy is asked once for the origin's name and port; the tunnel is kept alive."""
        heads: list[bytes] = []
        async with (
            scripted(forever(reply(b"ok"))) as server,
            scripted(connect_proxy(server.origin, heads)) as proxy,
        ):
            pool = through(open_pool, proxy, server.origin)
            bodies = [await fetch(pool) for _ in range(3)]

        target = b"127.0.0.1:%d" % server.origin.port
        assert bodies == [b"ok"] * 3
        assert [b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n\r\n"] == heads

    async def test_name_is_left_to_the_proxy(self, open_pool: OpenPool) -> None:
        """A name that only the proxy can resolve is not resolved here."""
        heads: list[bytes] = []
        async with (
            scripted(forever(reply(b"ok"))) as server,
            scripted(connect_proxy(server.origin, heads)) as proxy,
        ):
            pool = through(open_pool, proxy, Origin(host="only-there.invalid", port=81))
            body = await fetch(pool)

        assert body == b"ok"
        assert heads[0].startswith(b"CONNECT only-there.invalid:81 HTTP/1.1\r\n")

    async def test_credentials(self, open_pool: OpenPool) -> None:
        heads: list[bytes] = []
        async with (
            scripted(forever(reply(b"ok"))) as server,
            scripted(connect_proxy(server.origin, heads)) as proxy,
        ):
            await fetch(through(open_pool, proxy, server.origin, sign_in=True))

        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode())
        assert b"\r\nProxy-Authorization: Basic " + pair + b"\r\n" in heads[0]

    async def test_tls_inside(
        self, open_pool: OpenPool, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        """The certificate that counts is the origin's; the request is not seen by the proxy."""
        heads: list[bytes] = []
        async with (
            scripted(forever(reply(b"x" * 100_000)), tls=server_tls) as server,
            scripted(connect_proxy(server.origin, heads)) as proxy,
        ):
            pool = through(open_pool, proxy, server.origin, tls=trusting)
            bodies = [await fetch(pool, b"y" * 100_000) for _ in range(2)]

        assert bodies == [b"x" * 100_000] * 2
        assert len(heads) == 1

    async def test_tls_untrusted(self, open_pool: OpenPool, server_tls: ssl.SSLContext) -> None:
        async with (
            scripted(forever(reply(b"ok")), tls=server_tls) as server,
            scripted(connect_proxy(server.origin, [])) as proxy,
        ):
            pool = through(open_pool, proxy, server.origin)
            with pytest.raises(ConnectFailed) as caught:
                await ask(pool)

        assert Sent.NO is caught.value.sent
        assert pool.open_connections == 0

    async def test_answer_in_pieces(self, open_pool: OpenPool) -> None:
        """The proxy's answer may have fields and may come byte by byte."""
        answer = b"HTTP/1.0 200 OK\r\nvia: x\r\n\r\n"

        async with scripted(forever(reply(b"ok"))) as server:

            async def script(peer: Peer) -> None:
                await peer.reader.readuntil(b"\r\n\r\n")
                await peer.send(*[bytes([byte]) for byte in answer], pause_s=0.001)
                await splice(peer, server.origin)

            async with scripted(script) as proxy:
                body = await fetch(through(open_pool, proxy, server.origin))

        assert body == b"ok"

    @pytest.mark.parametrize(
        ("answer", "reason", "kind"),
        [
            (
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                "refused: HTTP/1.1 407",
                ProxyFailed,
            ),
            (
                b"HTTP/1.1 403 Forbidden\r\nx-why: rules\r\n\r\n",
                "refused: HTTP/1.1 403 Forbidden$",
                ProxyFailed,
            ),
            (b"HTTP/1.1 500 Oops\r\n\r\n", "refused: HTTP/1.1 500", ProxyFailed),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused: HTTP/1.1 502", ConnectFailed),
            (b"HTTP/1.0 503 No\r\n\r\n", "refused: HTTP/1.0 503", ConnectFailed),
            (b"HTTP/1.1 504 Slow\r\n\r\n", "refused: HTTP/1.1 504", ConnectFailed),
            (b"garbage\r\n\r\n", "refused: garbage", ProxyFailed),
            (b"garbage+ 502 \r\n\r\n", "refused: garbage", ProxyFailed),
            (b"\r\n\r\n", "refused: $", ProxyFailed),
            (b"HTTP/1.1 200 OK\r\n", "closed", ProxyFailed),
            (b"", "closed", ProxyFailed),
            (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 9000, "too long", ProxyFailed),
        ],
    )
    async def test_refused(
        self, open_pool: OpenPool, answer: bytes, reason: str, kind: type[ConnectFailed]
    ) -> None:
        """The proxy's own reason is told, and whose fault it is; nothing was sent and nothing is left open."""

        async def script(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.send(answer)

        async with scripted(script) as proxy:
            pool = through(open_pool, proxy, Origin(host="a.test", port=80), sign_in=True)
            with pytest.raises(ConnectFailed, match=reason) as caught:
                await ask(pool)

        assert kind is type(caught.value)
        assert Sent.NO is caught.value.sent
        assert PASSWORD not in str(caught.value)
        assert pool.open_connections == 0


class TestSocks5:
    @pytest.mark.parametrize(
        "bound",
        [
            b"\x01\x7f\0\0\x01\x1f\x90",
            b"\x04" + b"\0" * 15 + b"\x01\x1f\x90",
            b"\x03\x06a.test\x1f\x90",
        ],
        ids=["ipv4", "ipv6", "name"],
    )
    async def test_tunnel(self, open_pool: OpenPool, bound: bytes) -> None:
        """Whichever address the proxy says it bound, the tunnel begins right behind it."""
        requests: list[bytes] = []
        async with (
            scripted(forever(reply(b"ok"))) as server,
            scripted(socks_proxy(server.origin, requests, bound=bound)) as proxy,
        ):
            pool = through(open_pool, proxy, Origin(host="a.test", port=8080), kind="socks5")
            bodies = [await fetch(pool) for _ in range(2)]

        assert bodies == [b"ok"] * 2
        assert requests == [b"\x05\x01\x00\x03\x06a.test\x1f\x90"]

    async def test_credentials(self, open_pool: OpenPool) -> None:
        requests: list[bytes] = []
        async with (
            scripted(forever(reply(b"ok"))) as server,
            scripted(socks_proxy(server.origin, requests)) as proxy,
        ):
            pool = through(open_pool, proxy, server.origin, kind="socks5", sign_in=True)
            body = await fetch(pool)

        assert body == b"ok"
        assert [bytes([1, len(USER)]) + USER.encode(), PASSWORD.encode()] == requests[:2]

    async def test_tls_inside(
        self, open_pool: OpenPool, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        async with (
            scripted(forever(reply(b"ok")), tls=server_tls) as server,
            scripted(socks_proxy(server.origin, [])) as proxy,
        ):
            pool = through(open_pool, proxy, server.origin, kind="socks5", tls=trusting)
            body = await fetch(pool)

        assert body == b"ok"

    @pytest.mark.parametrize(
        ("code", "reason", "kind"),
        [
            (1, "general failure", ProxyFailed),
            (2, "not allowed", ProxyFailed),
            (3, "network unreachable", ConnectFailed),
            (4, "host unreachable", ConnectFailed),
            (5, "connection refused", ConnectFailed),
            (6, "time to live", ConnectFailed),
            (7, "command not supported", ProxyFailed),
            (8, "address type", ProxyFailed),
            (99, "99", ProxyFailed),
        ],
    )
    async def test_refused(
        self, open_pool: OpenPool, code: int, reason: str, kind: type[ConnectFailed]
    ) -> None:
        """The proxy's code is told in words, and whose fault it is."""

        async def script(peer: Peer) -> None:
            await peer.reader.readexactly(3)
            await peer.send(b"\x05\x00")
            await peer.reader.read(100)
            await peer.send(bytes([5, code, 0, 1]) + b"\0" * 6)
            await peer.gone()

        async with scripted(script) as proxy:
            pool = through(open_pool, proxy, Origin(host="a.test", port=80), kind="socks5")
            with pytest.raises(ConnectFailed, match=f"refused: {reason}") as caught:
                await ask(pool)

        assert kind is type(caught.value)
        assert Sent.NO is caught.value.sent
        assert pool.open_connections == 0

    @pytest.mark.parametrize(
        ("first", "second", "reason"),
        [
            (b"\x05\xff", b"", "sign in"),
            (b"\x05\x00", b"", "sign in"),
            (b"HT", b"", "sign in"),
            (b"\x05\x02", b"\x01\x01", "user name or password"),
            (b"\x05\x02", b"", "closed"),
            (b"\x05", b"", "closed"),
            (b"", b"", "closed"),
        ],
    )
    async def test_sign_in_refused(
        self, open_pool: OpenPool, first: bytes, second: bytes, reason: str
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.readexactly(3)
            await peer.send(first)
            if second:
                await peer.reader.read(100)
                await peer.send(second)
                await peer.gone()

        async with scripted(script) as proxy:
            origin = Origin(host="a.test", port=80)
            pool = through(open_pool, proxy, origin, kind="socks5", sign_in=True)
            with pytest.raises(ProxyFailed, match=reason) as caught:
                await ask(pool)

        assert Sent.NO is caught.value.sent
        assert PASSWORD not in str(caught.value)

    async def test_user_name_too_long(self, open_pool: OpenPool) -> None:
        """The protocol has one byte for its length: a failed connection, not a crash."""
        async with scripted(once_socks_password) as proxy:
            egress = Proxy(
                kind="socks5", host="127.0.0.1", port=proxy.origin.port, username="u" * 256
            )
            pool = open_pool(Origin(host="a.test", port=80), proxy=egress)
            with pytest.raises(ConnectFailed):
                await ask(pool)

        assert pool.open_connections == 0


async def once_socks_password(peer: Peer) -> None:
    await peer.reader.readexactly(3)
    await peer.send(b"\x05\x02")
    await peer.gone()


class TestEitherKind:
    @pytest.mark.parametrize("kind", ["http", "socks5"])
    async def test_reach(self, open_pool: OpenPool, kind: str) -> None:
        """Opens a tunnel and closes it, with nothing sent through it."""
        async with scripted(Peer.gone) as server:
            script = (
                connect_proxy(server.origin, [])
                if kind == "http"
                else socks_proxy(server.origin, [])
            )
            async with scripted(script) as proxy:
                pool = through(open_pool, proxy, server.origin, kind=kind)
                await pool.reach(1)

        assert pool.open_connections == 0
        assert (proxy.accepted, server.accepted) == (1, 1)

    @pytest.mark.parametrize(
        ("kind", "error"), [("http", ConnectTimeout), ("socks5", ProxyTimeout)]
    )
    async def test_silent_proxy(
        self, open_pool: OpenPool, kind: str, error: type[ConnectFailed]
    ) -> None:
        """The connect timer covers the talk with the proxy; before our question it is the proxy's fault."""
        async with scripted(Peer.hold) as proxy:
            pool = through(open_pool, proxy, Origin(host="a.test", port=80), kind=kind)
            with pytest.raises(ConnectTimeout) as caught:
                await ask(pool, timers=Timers(connect_s=0.1))

        assert error is type(caught.value)
        assert Sent.NO is caught.value.sent
        assert pool.open_connections == 0

    async def test_silent_after_the_question(self, open_pool: OpenPool) -> None:
        """A SOCKS5 proxy that let us sign in works; the peer is what it does not reach."""

        async def script(peer: Peer) -> None:
            await peer.reader.readexactly(3)
            await peer.send(b"\x05\x00")
            await peer.hold()

        async with scripted(script) as proxy:
            pool = through(open_pool, proxy, Origin(host="a.test", port=80), kind="socks5")
            with pytest.raises(ConnectTimeout) as caught:
                await ask(pool, timers=Timers(connect_s=0.1))

        assert ConnectTimeout is type(caught.value)

    async def test_proxy_that_does_not_accept(self, open_pool: OpenPool) -> None:
        """A full backlog is what a machine that drops packets looks like."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(8)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            egress = Proxy(kind="http", host="127.0.0.1", port=port)
            pool = open_pool(Origin(host="a.test", port=80), proxy=egress)
            with pytest.raises(ProxyTimeout):
                await ask(pool, timers=Timers(connect_s=0.1))
            for filler in fillers:
                filler.close()

    @pytest.mark.parametrize("kind", ["http", "socks5"])
    async def test_no_proxy_there(self, open_pool: OpenPool, kind: str) -> None:
        async with scripted(Peer.hold) as proxy:
            pass
        pool = through(open_pool, proxy, Origin(host="a.test", port=80), kind=kind)
        with pytest.raises(ProxyFailed) as caught:
            await ask(pool)

        assert Sent.NO is caught.value.sent

    @pytest.mark.parametrize("kind", ["http", "socks5"])
    async def test_cancelled(self, open_pool: OpenPool, kind: str) -> None:
        """A caller that leaves during the talk closes the socket to the proxy."""
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.gone()
            left.set()

        async with scripted(script) as proxy:
            pool = through(open_pool, proxy, Origin(host="a.test", port=80), kind=kind)
            task = asyncio.create_task(ask(pool))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(left.wait(), 1)

        assert pool.open_connections == 0
