"""Connections are kept, counted, replaced once, and given back whatever happens."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from aibridge_common.transport import (
    BodyCut,
    ConnectFailed,
    ConnectionDropped,
    ConnectTimeout,
    HeadersTimeout,
    Origin,
    Sent,
    Timers,
    TransportError,
)

from .asking import ask, fetch, until
from .conftest import OpenPool
from .scripted import Peer, Script, forever, once, once_and_close, pump, reply, scripted

pytestmark = pytest.mark.anyio

HASTY = Timers(connect_s=0.1, headers_s=2, idle_s=2)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def full_backlog() -> Iterator[Origin]:
    """A listener whose queue is full: the kernel drops what would connect to it."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield Origin(host="127.0.0.1", port=listener.getsockname()[1])


class TestKeepAlive:
    async def test_reuse(self, open_pool: OpenPool) -> None:
        """Requests one after another share a connection."""
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(5)]

            assert pool.open_connections == 1
        assert bodies == [b"ok"] * 5
        assert server.accepted == 1

    async def test_newest_first(self, open_pool: OpenPool) -> None:
        """The connection used last is used next, so that those too many grow old and go."""
        seen: list[int] = []

        def numbered(number: int) -> Script:
            async def script(peer: Peer) -> None:
                while True:
                    await peer.request()
                    seen.append(number)
                    await peer.send(reply(b"ok"))

            return script

        async with scripted(numbered(0), numbered(1)) as server:
            pool = open_pool(server.origin)
            older, newer = await ask(pool), await ask(pool)
            await older.read(9, 1)
            await newer.read(9, 1)
            for _ in range(3):
                await fetch(pool)

        assert seen == [0, 1, 1, 1, 1]

    async def test_idle_connection_goes(self, open_pool: OpenPool) -> None:
        """A connection that nobody wants is closed in time, whatever timers its exchange had."""
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin, idle_connection_s=0.1)
            response = await ask(pool, timers=Timers(headers_s=600, idle_s=600))
            await response.read(9, 600)
            at_first = pool.open_connections
            await asyncio.sleep(0.25)

            assert (at_first, pool.open_connections) == (1, 0)

    async def test_use_puts_the_idle_limit_off(self, open_pool: OpenPool) -> None:
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin, idle_connection_s=0.15)
            for _ in range(5):
                await fetch(pool)
                await asyncio.sleep(0.07)

        assert server.accepted == 1

    async def test_idle_limit_spares_a_running_exchange(self, open_pool: OpenPool) -> None:
        """The limit of a resting connection does not end the exchange that took it up again."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"ok"))
            await peer.request()
            await asyncio.sleep(0.25)
            await peer.send(reply(b"late"))

        async with scripted(script) as server:
            pool = open_pool(server.origin, idle_connection_s=0.1)
            await fetch(pool)
            late = await fetch(pool)

        assert late == b"late"

    @pytest.mark.parametrize("polite", [True, False], ids=["fin", "reset"])
    async def test_peer_closes_an_idle_connection(self, open_pool: OpenPool, polite: bool) -> None:
        """It is noticed at once, and the next request goes out on a new one."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"ok"))
            await asyncio.sleep(0.02)
            peer.close() if polite else peer.reset()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            await until(lambda: pool.open_connections == 0)
            await fetch(pool)

        assert server.accepted == 2

    async def test_unasked_bytes(self, open_pool: OpenPool) -> None:
        """Bytes on an idle connection close it: they never answer the next request."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"first"))
            await asyncio.sleep(0.02)
            await peer.send(reply(b"forged"))
            await peer.gone()

        async with scripted(script, forever(reply(b"second"))) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            await until(lambda: pool.open_connections == 0)
            body = await fetch(pool)

        assert body == b"second"

    async def test_connection_close(self, open_pool: OpenPool) -> None:
        """A peer that says close is taken at its word, even when it then does not."""
        async with scripted(forever(reply(b"ok", fields=(b"connection: close",)))) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            open_connections = pool.open_connections
            await fetch(pool)

        assert open_connections == 0
        assert server.accepted == 2

    async def test_closes_after_k_requests(self, open_pool: OpenPool) -> None:
        """A server that closes after every third answer, as some do, is never noticed."""

        async def script(peer: Peer) -> None:
            for _ in range(3):
                await peer.answer(reply(b"ok"))

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(10)]

        assert bodies == [b"ok"] * 10
        assert server.accepted == 4


class TestReplacement:
    @staticmethod
    def drop_second(peer_end: str) -> Script:
        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"first"))
            await peer.request()
            peer.close() if peer_end == "fin" else peer.reset()

        return script

    @pytest.mark.parametrize("end", ["fin", "reset"])
    async def test_stale_connection(self, open_pool: OpenPool, end: str) -> None:
        """A kept-alive connection that ends before a byte of answer is replaced."""
        async with scripted(self.drop_second(end), forever(reply(b"second"))) as server:
            pool = open_pool(server.origin)
            first = await fetch(pool)
            second = await fetch(pool)

            assert pool.open_connections == 1
        assert (first, second) == (b"first", b"second")
        assert server.accepted == 2

    async def test_only_once(self, open_pool: OpenPool) -> None:
        """When the replacement is dropped as well the caller learns that the peer may have acted."""

        async def drop(peer: Peer) -> None:
            await peer.request()

        async with scripted(self.drop_second("fin"), drop) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            with pytest.raises(ConnectionDropped) as caught:
                await fetch(pool)

        assert Sent.MAYBE is caught.value.sent
        assert server.accepted == 2
        assert pool.open_connections == 0

    async def test_replacement_is_a_new_connection(self, open_pool: OpenPool) -> None:
        """Another resting connection may be as stale as the first: the second try takes none."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"ok"))
            await peer.request()

        async with scripted(script, script, forever(reply(b"new"))) as server:
            pool = open_pool(server.origin)
            responses = [await ask(pool), await ask(pool)]
            for response in responses:
                await response.read(9, 1)
            body = await fetch(pool)

        assert body == b"new"
        assert server.accepted == 3

    @pytest.mark.parametrize("end", ["fin", "reset"])
    async def test_fresh_connection(self, open_pool: OpenPool, end: str) -> None:
        """A request dropped on a fresh connection is not sent again: it may have been acted on."""

        async def script(peer: Peer) -> None:
            await peer.request()
            peer.close() if end == "fin" else peer.reset()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            with pytest.raises(ConnectionDropped) as caught:
                await ask(pool)

        assert Sent.MAYBE is caught.value.sent
        assert server.accepted == 1
        assert pool.open_connections == 0

    async def test_silence_is_no_drop(self, open_pool: OpenPool) -> None:
        """A kept-alive connection on which no answer comes in time is not replaced."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"ok"))
            await peer.hold()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            with pytest.raises(HeadersTimeout):
                await ask(pool, timers=Timers(headers_s=0.1))

        assert server.accepted == 1

    @pytest.mark.parametrize("end", ["fin", "reset"])
    async def test_late_drop(
        self, open_pool: OpenPool, end: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A kept-alive connection that ends long after the request was sent is not replaced: it was worked on."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"first"))
            await peer.request()
            await asyncio.sleep(0.15)
            peer.close() if end == "fin" else peer.reset()

        monkeypatch.setattr("aibridge_common.transport.pool.STALE_DROP_S", 0.05)
        async with scripted(script, forever(reply(b"second"))) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            with pytest.raises(ConnectionDropped) as caught:
                await fetch(pool)

        assert Sent.MAYBE is caught.value.sent
        assert server.accepted == 1
        assert pool.open_connections == 0

    async def test_replacement_fails(self, open_pool: OpenPool) -> None:
        """What the caller hears is what the second connection met; the first may have been read all the same."""
        async with scripted(self.drop_second("fin")) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            assert server._server is not None
            server._server.close()
            with pytest.raises(ConnectFailed) as caught:
                await fetch(pool)

        assert caught.value.sent is Sent.MAYBE

        assert pool.open_connections == 0


class TestConnect:
    async def test_refused(self, open_pool: OpenPool) -> None:
        pool = open_pool(Origin(host="127.0.0.1", port=free_port()))
        with pytest.raises(ConnectFailed) as caught:
            await ask(pool)

        assert Sent.NO is caught.value.sent
        assert not isinstance(caught.value, ConnectTimeout)
        assert pool.open_connections == 0

    async def test_timeout(self, open_pool: OpenPool, full_backlog: Origin) -> None:
        """A peer that does not even accept costs the connect timer and nothing was sent."""
        loop = asyncio.get_running_loop()
        pool = open_pool(full_backlog, connections_max=1)
        began_s = loop.time()
        for _ in range(2):
            with pytest.raises(ConnectTimeout) as caught:
                await ask(pool, timers=HASTY)

            assert Sent.NO is caught.value.sent
        assert 0.18 < loop.time() - began_s < 1
        assert pool.open_connections == 0

    @pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "x" * 64 + ".test"])
    async def test_bad_name(self, open_pool: OpenPool, host: str) -> None:
        """A name that leads nowhere is a failed connection, even one that cannot be encoded."""
        pool = open_pool(Origin(host=host, port=80))
        with pytest.raises(ConnectFailed):
            await ask(pool)

        assert pool.open_connections == 0

    async def test_cancelled(self, open_pool: OpenPool, full_backlog: Origin) -> None:
        """A caller that leaves while we connect frees the slot."""
        pool = open_pool(full_backlog, connections_max=1)
        task = asyncio.create_task(ask(pool))
        await asyncio.sleep(0.02)
        with pytest.raises(ConnectFailed, match="all 1 connections"):
            await ask(pool, timers=HASTY)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectTimeout):
            await ask(pool, timers=HASTY)

        assert pool.open_connections == 0

    async def test_accepted_and_reset(self, open_pool: OpenPool) -> None:
        """A peer that resets what it accepts leaves nothing behind, however often it does."""

        async def script(peer: Peer) -> None:
            peer.reset()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            for _ in range(20):
                with pytest.raises((ConnectionDropped, ConnectFailed)):
                    await ask(pool)

        assert pool.open_connections == 0

    async def test_accepts_and_never_answers(self, open_pool: OpenPool) -> None:
        async with scripted(Peer.hold) as server:
            pool = open_pool(server.origin)
            with pytest.raises(HeadersTimeout):
                await ask(pool, timers=Timers(headers_s=0.1))

        assert pool.open_connections == 0


class TestUnixSocket:
    async def test_request(self, open_pool: OpenPool, socket_path: Path) -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            for _ in range(2):
                seen.append(await peer.request())
                await peer.send(reply(b"ok"))

        async with scripted(script, socket_path=socket_path) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(2)]

        assert bodies == [b"ok", b"ok"]
        assert server.accepted == 1
        assert b"\r\nhost: localhost\r\n" in seen[0]

    async def test_nobody_listens(self, open_pool: OpenPool, socket_path: Path) -> None:
        pool = open_pool(Origin(host="localhost", socket_path=str(socket_path)))
        with pytest.raises(ConnectFailed) as caught:
            await ask(pool)

        assert Sent.NO is caught.value.sent


class TestTls:
    async def test_trusted(
        self, open_pool: OpenPool, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        """Requests pass and share the connection when the context trusts the certificate."""
        async with scripted(forever(reply(b"x" * 300_000)), tls=server_tls) as server:
            pool = open_pool(server.origin, tls=trusting)
            sizes = [len(await fetch(pool, b"y" * 300_000)) for _ in range(3)]

        assert sizes == [300_000] * 3
        assert server.accepted == 1

    async def test_untrusted(self, open_pool: OpenPool, server_tls: ssl.SSLContext) -> None:
        """By default the machine's authorities decide, and nothing is sent to a stranger."""
        async with scripted(forever(reply(b"ok")), tls=server_tls) as server:
            pool = open_pool(server.origin)
            with pytest.raises(ConnectFailed) as caught:
                await ask(pool)

        assert Sent.NO is caught.value.sent
        assert "certificate" in str(caught.value).lower()
        assert pool.open_connections == 0

    async def test_other_name(
        self, open_pool: OpenPool, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        """A trusted certificate for another name is refused."""
        async with scripted(forever(reply(b"ok")), tls=server_tls) as server:
            origin = Origin(host="127.0.0.1", port=server.origin.port, tls=True)
            with pytest.raises(ConnectFailed):
                await ask(open_pool(origin, tls=trusting))

    async def test_peer_speaks_plainly(self, open_pool: OpenPool, trusting: ssl.SSLContext) -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.read(1)
            await peer.send(reply(b"plain"))

        async with scripted(script) as server:
            origin = Origin(host="localhost", port=server.origin.port, tls=True)
            with pytest.raises(ConnectFailed) as caught:
                await ask(open_pool(origin, tls=trusting))

        assert Sent.NO is caught.value.sent

    @pytest.mark.parametrize("end", ["close", "reset"])
    async def test_ends_in_the_handshake(
        self, open_pool: OpenPool, trusting: ssl.SSLContext, end: str
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.read(1)
            peer.close() if end == "close" else peer.reset()

        async with scripted(script) as server:
            origin = Origin(host="localhost", port=server.origin.port, tls=True)
            pool = open_pool(origin, tls=trusting)
            with pytest.raises(ConnectFailed):
                await ask(pool)

        assert pool.open_connections == 0

    async def test_handshake_takes_too_long(
        self, open_pool: OpenPool, trusting: ssl.SSLContext
    ) -> None:
        """The connect timer covers TLS, too."""
        async with scripted(Peer.hold) as server:
            origin = Origin(host="localhost", port=server.origin.port, tls=True)
            pool = open_pool(origin, tls=trusting)
            with pytest.raises(ConnectTimeout) as caught:
                await ask(pool, timers=HASTY)

        assert Sent.NO is caught.value.sent
        assert pool.open_connections == 0

    async def test_peer_speaks_first(
        self, open_pool: OpenPool, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        """A connection spoilt by the last segment of its handshake takes no slot for ever."""
        server_tls.maximum_version = ssl.TLSVersion.TLSv1_2  # there the server has the last word

        async def hasty(peer: Peer) -> None:
            await peer.send(reply(b"too early"))
            await peer.gone()

        async with scripted(hasty, tls=server_tls) as behind:

            async def in_large_segments(peer: Peer) -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", behind.origin.port)
                upwards = asyncio.create_task(pump(peer.reader, writer))
                await pump(reader, peer.writer, gather_s=0.05)
                await upwards

            async with scripted(in_large_segments) as server:
                origin = Origin(host="localhost", port=server.origin.port, tls=True)
                pool = open_pool(origin, tls=trusting)
                for _ in range(3):
                    with contextlib.suppress(
                        TransportError
                    ):  # or an answer, if it was asked in time
                        await ask(pool, timers=Timers(headers_s=0.2))

                assert [dead for dead in pool._open if not dead.usable] == []

    async def test_cut(
        self, open_pool: OpenPool, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        part = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"
        async with scripted(once_and_close(part), tls=server_tls) as server:
            pool = open_pool(server.origin, tls=trusting)
            response = await ask(pool)
            first = await response.next_chunk(1)
            with pytest.raises(BodyCut):
                await response.next_chunk(1)

        assert first == b"hello"


class TestMany:
    async def test_200_at_once(self, open_pool: OpenPool) -> None:
        """Every caller gets the answer to its own request."""

        async def script(peer: Peer) -> None:
            while True:
                request = await peer.request()
                await asyncio.sleep(0.02)
                await peer.send(reply(request[-8:]))

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            for _ in range(2):
                asked = [b"%08d" % n for n in range(200)]
                answered = await asyncio.gather(*[fetch(pool, body) for body in asked])

                assert asked == answered
            assert pool.open_connections == 200
        assert server.accepted == 200

    async def test_connections_max(self, open_pool: OpenPool) -> None:
        """One too many is refused at once with nothing sent; a slot given back serves again."""
        async with scripted(once(reply(b"ok" * 500)), forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin, connections_max=2)
            first, second = await ask(pool), await ask(pool)
            with pytest.raises(ConnectFailed, match="all 2 connections") as caught:
                await ask(pool)
            first.close()
            third = await ask(pool)
            await third.read(9, 1)
            await second.read(9, 1)
            fourth = await fetch(pool)

        assert Sent.NO is caught.value.sent
        assert fourth == b"ok"
        assert server.accepted == 3

    async def test_connections_being_made_count(self, open_pool: OpenPool) -> None:
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin, connections_max=3)
            results = await asyncio.gather(*[fetch(pool) for _ in range(5)], return_exceptions=True)

        assert results.count(b"ok") == 3
        assert sum(isinstance(result, ConnectFailed) for result in results) == 2
        assert server.accepted == 3

    async def test_cancelled_crowd(self, open_pool: OpenPool) -> None:
        """Fifty callers that leave at any moment leave nothing behind."""

        async def script(peer: Peer) -> None:
            while True:
                await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab", b"cd")
                await asyncio.sleep(0.001)

        async with scripted(script) as server:
            pool = open_pool(server.origin)

            async def caller(patience_s: float) -> None:
                response = None
                try:
                    async with asyncio.timeout(patience_s):
                        response = await ask(pool)
                        await response.read(9, 1)
                except TimeoutError:
                    return
                finally:
                    if response is not None:
                        response.close()

            for _ in range(3):
                await asyncio.gather(*[caller(n * 0.0004) for n in range(50)])
            body = await fetch(pool)

            assert pool.open_connections == len(pool._idle)
        assert body == b"abcd"


class TestClose:
    async def test_resting_connections(self, open_pool: OpenPool) -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"ok"))
            await peer.gone()
            left.set()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            pool.close()
            open_connections = pool.open_connections
            await asyncio.wait_for(left.wait(), 1)

        assert open_connections == 0

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"], ids=["head", "body"]
    )
    @pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
    async def test_running_exchanges(
        self, open_pool: OpenPool, answer: bytes, reused: bool
    ) -> None:
        """Whoever waits for an answer gets an error that says the peer may have acted."""

        async def script(peer: Peer) -> None:
            if reused:
                await peer.answer(reply(b"ok"))
            await peer.answer(answer)
            await peer.gone()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            if reused:
                await fetch(pool)
            running = asyncio.create_task(fetch(pool))
            await asyncio.sleep(0.03)
            pool.close()
            with pytest.raises(TransportError) as caught:
                await asyncio.wait_for(running, 1)

        assert Sent.MAYBE is caught.value.sent
        assert server.accepted == 1

    async def test_new_requests(self, open_pool: OpenPool) -> None:
        """A closed pool refuses instead of opening what nobody will close."""
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            pool.close()
            with pytest.raises(ConnectFailed, match="closed") as caught:
                await ask(pool)

        assert Sent.NO is caught.value.sent
        assert server.accepted == 0

    async def test_while_connecting(self, open_pool: OpenPool) -> None:
        """A connection that comes about after the close is closed, not leaked."""
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            running = asyncio.create_task(ask(pool))
            await asyncio.sleep(0)
            pool.close()
            with pytest.raises(TransportError):
                await running

            assert pool.open_connections == 0

    async def test_twice(self, open_pool: OpenPool) -> None:
        pool = open_pool(Origin(host="127.0.0.1", port=free_port()))
        pool.close()
        pool.close()

        assert pool.open_connections == 0


class TestRetire:
    async def test_idle_connections_close_at_once(self, open_pool: OpenPool) -> None:
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            pool.retire()

            assert pool.open_connections == 0

    async def test_a_running_answer_goes_on_to_its_end(self, open_pool: OpenPool) -> None:
        """And its connection is not kept; who still holds the pool is served too."""
        body = b"x" * 1000
        async with scripted(once(reply(body)[:-500], reply(body)[-500:], pause_s=0.05)) as server:
            pool = open_pool(server.origin)
            running = await ask(pool)
            pool.retire()
            late = await fetch(pool)

            assert await running.read(2**20, 2) == body
            assert late == body
            assert pool.open_connections == 0
