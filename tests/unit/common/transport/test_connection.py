"""One exchange against peers that are slow, rude or broken."""

import asyncio
import ssl
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from aibridge_common.transport import (
    BodyCut,
    ConnectionDropped,
    HeadersTimeout,
    IdleTimeout,
    ProtocolViolation,
    Sent,
    Timers,
    TransportError,
)
from aibridge_common.transport.connection import BUFFERED_BYTES_MAX

from .asking import ask, drained, fetch, until
from .conftest import OpenPool
from .scripted import (
    Peer,
    Script,
    chunked,
    forever,
    once,
    once_and_close,
    once_and_reset,
    reply,
    scripted,
)

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"
SOON_SILENT = Timers(connect_s=2, headers_s=0.15, idle_s=0.15)


def split_at(data: bytes, *places: int) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *places, len(data)])]


class TestAnswer:
    async def test_status_headers_and_body(self, open_pool: OpenPool) -> None:
        """Names come in lower case, values and body as they were sent, repeated fields all of them."""
        answer = reply(b"\x00\xff", status="429 Slow", fields=(b"X-A: One", b"x-a: two", b"X-E:"))
        async with scripted(once(answer)) as server:
            response = await ask(open_pool(server.origin))
            body = await response.read(100, 1)

        assert response.status == 429
        assert response.headers == [
            (b"content-length", b"2"),
            (b"x-a", b"One"),
            (b"x-a", b"two"),
            (b"x-e", b""),
        ]
        assert body == b"\x00\xff"

    async def test_status_outlives_the_body(self, open_pool: OpenPool) -> None:
        """What was answered stays readable when the connection already serves somebody else."""
        answers = [reply(b"no", status="503 Busy"), reply(b"yes", fields=(b"x-a: 1",))]

        async def script(peer: Peer) -> None:
            for answer in answers:
                await peer.answer(answer)
            await peer.gone()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            first = await ask(pool)
            await first.read(100, 1)
            second = await ask(pool)
            await second.read(100, 1)

        assert server.accepted == 1
        assert (first.status, second.status) == (503, 200)
        assert first.headers == [(b"content-length", b"2")]

    @pytest.mark.parametrize(
        "answer",
        [
            reply(b"hello, world"),
            chunked(b"hello", b", ", b"world"),
            HEAD + b"connection: close\r\n\r\nhello, world",
            b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" + reply(b"hello, world"),
        ],
        ids=["content-length", "chunked", "until-close", "after-interim"],
    )
    async def test_split_at_every_byte(self, open_pool: OpenPool, answer: bytes) -> None:
        """Where the network cuts an answer in two never changes its bytes."""

        def script(place: int) -> Script:
            return once_and_close(*split_at(answer, place), pause_s=0.001)

        scripts = [script(place) for place in range(1, len(answer))]
        async with scripted(*scripts) as server:
            pool = open_pool(server.origin)
            responses = [await ask(pool) for _ in scripts]
            bodies = {await response.read(100, 1) for response in responses}

        assert {b"hello, world"} == bodies
        assert {200} == {response.status for response in responses}

    async def test_one_byte_at_a_time(self, open_pool: OpenPool) -> None:
        """An answer in the smallest pieces is the same answer."""
        answer = chunked(b"hello", b", ", b"world")
        async with scripted(once(*[bytes([byte]) for byte in answer])) as server:
            body = await fetch(open_pool(server.origin))

        assert body == b"hello, world"

    async def test_chunks_arrive_as_they_are_sent(self, open_pool: OpenPool) -> None:
        """A stream is handed on piece by piece, not gathered."""
        pieces = [HEAD + b"transfer-encoding: chunked\r\n\r\n", b"2\r\nab\r\n", b"2\r\ncd\r\n"]
        async with scripted(once(*pieces, b"0\r\n\r\n", pause_s=0.03)) as server:
            response = await ask(open_pool(server.origin))
            chunks = await drained(response)

        assert chunks == [b"ab", b"cd"]

    async def test_chunk_extensions_and_trailers(self, open_pool: OpenPool) -> None:
        """Both are legal, neither reaches the caller, and the connection stays good."""
        head = HEAD + b"transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
        answer = head + b'5;name="a b"\r\nhello\r\n0;last\r\nx-sum: 42\r\n\r\n'
        async with scripted(forever(answer)) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            bodies = [await response.read(10, 1), await fetch(pool), await fetch(pool)]

        assert bodies == [b"hello"] * 3
        assert [name for name, _ in response.headers] == [b"transfer-encoding", b"trailer"]
        assert server.accepted == 1

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    async def test_no_body_by_status(self, open_pool: OpenPool, status: str) -> None:
        """204 and 304 end with their head, whatever their fields say, and the connection is kept."""
        answer = f"HTTP/1.1 {status}\r\netag: x\r\n\r\n".encode()
        async with scripted(forever(answer)) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(2)]

        assert bodies == [b"", b""]
        assert server.accepted == 1

    async def test_empty_body(self, open_pool: OpenPool) -> None:
        async with scripted(forever(reply())) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(2)]

        assert bodies == [b"", b""]
        assert server.accepted == 1

    async def test_body_until_close(self, open_pool: OpenPool) -> None:
        """Without a length the body ends with the connection (RFC 9112 §6.3)."""
        async with scripted(once_and_close(HEAD + b"\r\nhello", b" there", pause_s=0.02)) as server:
            pool = open_pool(server.origin)
            body = await fetch(pool)

        assert body == b"hello there"
        assert pool.open_connections == 0

    async def test_reset_is_not_an_end(self, open_pool: OpenPool) -> None:
        """A body without a length that ends with a reset is a cut one."""
        async with scripted(once_and_reset(HEAD + b"\r\nhello")) as server:
            response = await ask(open_pool(server.origin))
            first = await response.next_chunk(1)
            with pytest.raises(BodyCut):
                await response.next_chunk(1)

        assert first == b"hello"

    async def test_http_1_0(self, open_pool: OpenPool) -> None:
        """Served, and not kept alive."""
        answer = b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"
        async with scripted(once_and_close(answer)) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(2)]

        assert bodies == [b"ok", b"ok"]
        assert server.accepted == 2


class TestInterimAnswers:
    @pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
    async def test_skipped(self, open_pool: OpenPool, status: str) -> None:
        """The caller sees the final answer only, without the interim one's fields."""
        interim = f"HTTP/1.1 {status}\r\nlink: </a>\r\n\r\n".encode()
        async with scripted(forever(interim * 2 + reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            body = await response.read(100, 1)
            again = await fetch(pool)

        assert response.status == 200
        assert response.headers == [(b"content-length", b"2")]
        assert (body, again) == (b"ok", b"ok")
        assert server.accepted == 1

    async def test_interim_answer_is_no_answer(self, open_pool: OpenPool) -> None:
        """100 Continue does not stop the headers timer."""
        async with scripted(once(b"HTTP/1.1 100 Continue\r\n\r\n")) as server:
            with pytest.raises(HeadersTimeout):
                await ask(open_pool(server.origin), timers=SOON_SILENT)

    @pytest.mark.parametrize("count", [10, 1_000_000])
    async def test_flood(self, open_pool: OpenPool, count: int) -> None:
        """Interim answers without end are refused before the headers timer has to."""

        async def script(peer: Peer) -> None:
            await peer.request()
            for _ in range(count // 10):
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
            await peer.send(reply(b"ok"))

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            if count == 10:
                assert await fetch(pool) == b"ok"
                return
            with pytest.raises(ProtocolViolation, match="too large"):
                await fetch(pool)

    async def test_switching_protocols(self, open_pool: OpenPool) -> None:
        """We never ask for another protocol, so a peer that switches is out of step."""
        answer = b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nxyz"
        async with scripted(once(answer)) as server:
            with pytest.raises(ProtocolViolation) as caught:
                await ask(open_pool(server.origin))

        assert Sent.MAYBE is caught.value.sent


class TestCut:
    @pytest.mark.parametrize(
        "answer",
        [
            HEAD + b"content-length: 20\r\n\r\nhello",
            HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            HEAD + b"transfer-encoding: chunked\r\n\r\n14\r\nhello",
            HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ],
        ids=["content-length", "between-chunks", "inside-a-chunk", "before-the-last-line"],
    )
    @pytest.mark.parametrize("end", [once_and_close, once_and_reset])
    async def test_inside_the_body(
        self, open_pool: OpenPool, answer: bytes, end: Callable[[bytes], Script]
    ) -> None:
        """What came is delivered, then the cut is an error; never a silent end."""
        async with scripted(end(answer)) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            first = await response.next_chunk(1)
            with pytest.raises(BodyCut) as caught:
                await response.next_chunk(1)
            with pytest.raises(BodyCut):
                await response.next_chunk(1)

        assert first == b"hello"
        assert Sent.MAYBE is caught.value.sent
        assert pool.open_connections == 0

    async def test_after_the_head(self, open_pool: OpenPool) -> None:
        """A head that arrived is handed out even when nothing follows it, however close the cut."""
        async with scripted(once_and_close(HEAD + b"content-length: 5\r\n\r\n")) as server:
            response = await ask(open_pool(server.origin))
            with pytest.raises(BodyCut):
                await response.next_chunk(1)

        assert response.status == 200

    async def test_inside_the_head(self, open_pool: OpenPool) -> None:
        """The peer had begun to answer: this is not a dropped request and is never sent again."""
        async with scripted(once_and_close(reply(b"ok")), once_and_close(HEAD)) as server:
            pool = open_pool(server.origin)
            await fetch(pool)
            with pytest.raises(BodyCut) as caught:
                await ask(pool)

        assert Sent.MAYBE is caught.value.sent
        assert server.accepted == 2

    async def test_read_raises_too(self, open_pool: OpenPool) -> None:
        async with scripted(once_and_close(HEAD + b"content-length: 9\r\n\r\nhello")) as server:
            with pytest.raises(BodyCut):
                await fetch(open_pool(server.origin))


class TestTimers:
    async def test_headers_in_time(self, open_pool: OpenPool) -> None:
        """An answer within the headers timer is none of its business."""

        async def script(peer: Peer) -> None:
            await peer.request()
            await asyncio.sleep(0.05)
            await peer.send(reply(b"ok"))

        async with scripted(script) as server:
            response = await ask(open_pool(server.origin), timers=SOON_SILENT)

            assert await response.read(10, 1) == b"ok"

    async def test_headers_too_late(self, open_pool: OpenPool) -> None:
        """The wait ends when it should, the connection is closed and the peer may have acted."""
        loop = asyncio.get_running_loop()
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.gone()
            left.set()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            began_s = loop.time()
            with pytest.raises(HeadersTimeout) as caught:
                await ask(pool, timers=SOON_SILENT)
            took_s = loop.time() - began_s
            await asyncio.wait_for(left.wait(), 1)

        assert 0.14 < took_s < 0.6
        assert Sent.MAYBE is caught.value.sent
        assert pool.open_connections == 0

    async def test_dripping_head(self, open_pool: OpenPool) -> None:
        """The headers timer covers the whole head: a byte now and then does not extend it."""
        async with scripted(once(*[bytes([b]) for b in reply(b"ok")], pause_s=0.02)) as server:
            with pytest.raises(HeadersTimeout):
                await ask(open_pool(server.origin), timers=SOON_SILENT)

    async def test_silence_inside_the_body(self, open_pool: OpenPool) -> None:
        """What came is delivered; silence longer than the idle timer is an error."""
        async with scripted(once(HEAD + b"content-length: 9\r\n\r\nhello")) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            first = await response.next_chunk(0.1)
            with pytest.raises(IdleTimeout) as caught:
                await response.next_chunk(0.1)

        assert first == b"hello"
        assert Sent.MAYBE is caught.value.sent
        assert pool.open_connections == 0

    async def test_dripping_body(self, open_pool: OpenPool) -> None:
        """One byte every 50 ms keeps a body alive for ever: total time is the caller's to limit."""
        drips = [b"x"] * 8
        pieces = [HEAD + b"content-length: 8\r\n\r\n", *drips]
        async with scripted(once(*pieces, pause_s=0.05)) as server:
            response = await ask(open_pool(server.origin))
            chunks = await drained(response, idle_s=0.25)

        assert drips == chunks

    async def test_idle_timer_counts_the_wait_for_the_peer_only(self, open_pool: OpenPool) -> None:
        """A reader that takes its time is not mistaken for a silent peer."""
        pieces = [HEAD + b"content-length: 4\r\n\r\nab", b"cd"]
        async with scripted(once(*pieces, pause_s=0.01)) as server:
            response = await ask(open_pool(server.origin))
            first = await response.next_chunk(0.05)
            await asyncio.sleep(0.2)
            second = await response.next_chunk(0.05)
            await asyncio.sleep(0.2)
            end = await response.next_chunk(0.05)

        assert (first, second, end) == (b"ab", b"cd", b"")

    async def test_shorter_timer_after_a_longer_one(self, open_pool: OpenPool) -> None:
        """The idle timer holds although the headers timer of the same exchange was set far later."""
        loop = asyncio.get_running_loop()
        async with scripted(once(HEAD + b"content-length: 9\r\n\r\nhello")) as server:
            response = await ask(open_pool(server.origin), timers=Timers(headers_s=100))
            await response.next_chunk(0.1)
            began_s = loop.time()
            with pytest.raises(IdleTimeout):
                await response.next_chunk(0.1)

        assert loop.time() - began_s < 0.6


class TestViolations:
    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/9.9 200 OK\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/1.1\r\n\r\n",
            HEAD + b"no colon here\r\n\r\n",
            HEAD + b"content-length: -1\r\n\r\n",
            HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
            HEAD + b"x-a: b\rc\r\n\r\n",
            HEAD + b"x-a: b\x00c\r\n\r\n",
            HEAD + b"content-length: 99999999999999999999999\r\n\r\n",
        ],
    )
    async def test_not_an_answer(self, open_pool: OpenPool, answer: bytes) -> None:
        """What is not HTTP, or is HTTP that two readers may frame differently, is refused."""
        async with scripted(once(answer)) as server:
            pool = open_pool(server.origin)
            with pytest.raises(ProtocolViolation) as caught:
                await ask(pool)

        assert Sent.MAYBE is caught.value.sent
        assert pool.open_connections == 0

    @pytest.mark.parametrize("size", [b"zz", b"-5", b"fffffffffffffffff", b""])
    async def test_bad_chunk_size(self, open_pool: OpenPool, size: bytes) -> None:
        """What came before a broken chunk is delivered, then the break is an error."""
        head = HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
        async with scripted(once(head + size + b"\r\nhello\r\n")) as server:
            response = await ask(open_pool(server.origin))
            first = await response.next_chunk(1)
            with pytest.raises(ProtocolViolation):
                await response.next_chunk(1)

        assert first == b"hello"

    async def test_second_answer(self, open_pool: OpenPool) -> None:
        """An answer nobody asked for spoils the connection, not the answer before it."""
        async with scripted(forever(reply(b"mine") + reply(b"somebody else's"))) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(3)]

        assert bodies == [b"mine"] * 3
        assert server.accepted == 3

    async def test_body_longer_than_announced(self, open_pool: OpenPool) -> None:
        """The surplus never becomes the beginning of the next answer."""
        surplus = HEAD + b"content-length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\n"
        async with scripted(forever(surplus)) as server:
            pool = open_pool(server.origin)
            bodies = [await fetch(pool) for _ in range(2)]

        assert bodies == [b"mine"] * 2
        assert server.accepted == 2


class TestLimits:
    async def test_head_of_allowed_size(self, open_pool: OpenPool) -> None:
        """199 fields and almost 64 KiB pass."""
        fields = tuple(b"x-%d: %b" % (n, b"v" * 310) for n in range(199))
        async with scripted(forever(reply(b"ok", fields=fields))) as server:
            response = await ask(open_pool(server.origin))

            assert await response.read(10, 1) == b"ok"
            assert len(response.headers) == 200

    @pytest.mark.parametrize(
        "fields",
        [
            tuple(b"x-%d: 1" % n for n in range(201)),
            tuple(b"x-%d: %b" % (n, b"v" * 1000) for n in range(70)),
            (b"x-a: " + b"v" * 70_000,),
            (b"x" * 70_000 + b": 1",),
        ],
        ids=["too-many", "too-large", "long-value", "long-name"],
    )
    async def test_head_too_large(self, open_pool: OpenPool, fields: tuple[bytes, ...]) -> None:
        async with scripted(once(reply(b"ok", fields=fields))) as server:
            pool = open_pool(server.origin)
            with pytest.raises(ProtocolViolation, match="too large"):
                await ask(pool)

        assert pool.open_connections == 0

    @pytest.mark.parametrize(
        "beginning",
        [
            b"HTTP/1.1 200 ",
            HEAD + b"x-a: ",
            HEAD + b"x-",
            HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n1;",
            HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-trailer: ",
        ],
        ids=["reason", "value", "name", "chunk-extension", "trailer"],
    )
    async def test_line_without_end(self, open_pool: OpenPool, beginning: bytes) -> None:
        """A line that never ends is refused within the limit instead of being gathered."""
        pushed = 0

        async def script(peer: Peer) -> None:
            nonlocal pushed
            await peer.request()
            await peer.send(beginning)
            while pushed < 64 * 2**20:
                await peer.send(b"a" * 65_536)
                pushed += 65_536

        async with scripted(script) as server:
            with pytest.raises(ProtocolViolation, match="too large"):
                await fetch(open_pool(server.origin))

        assert pushed < 16 * 2**20

    async def test_read_beyond_its_limit(self, open_pool: OpenPool) -> None:
        """A body larger than the caller takes ends the exchange, and the connection with it."""
        async with scripted(once(reply(b"x" * 101))) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            with pytest.raises(ProtocolViolation, match="100 bytes"):
                await response.read(100, 1)

        assert pool.open_connections == 0

    async def test_read_up_to_its_limit(self, open_pool: OpenPool) -> None:
        async with scripted(once(reply(b"x" * 100))) as server:
            response = await ask(open_pool(server.origin))

            assert await response.read(100, 1) == b"x" * 100


class TestBackPressure:
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_slow_reader(
        self,
        open_pool: OpenPool,
        socket_path: Path,
        server_tls: ssl.SSLContext,
        trusting: ssl.SSLContext,
        tls: bool,
    ) -> None:
        """While nobody reads, a peer can push no more than the buffers hold; then all of it comes."""
        # Beyond our own limit it is the kernel's buffers, and TCP's grow to some MiB on loopback.
        size, bound = (16 * 2**20, 10 * 2**20) if tls else (5 * 2**20, 2**20)
        body = bytes(range(256)) * (size // 256)
        pushed = 0

        async def script(peer: Peer) -> None:
            nonlocal pushed
            if tls:
                peer.limit_send_buffer(262_144)  # TCP's would grow while it is written to
            await peer.request()
            await peer.send(HEAD + b"content-length: %d\r\n\r\n" % len(body))
            for start in range(0, len(body), 65_536):
                await peer.send(body[start : start + 65_536])
                pushed += 65_536
            await peer.gone()

        async with scripted(
            script, tls=server_tls if tls else None, socket_path=None if tls else socket_path
        ) as server:
            response = await ask(open_pool(server.origin, tls=trusting))
            stood_at = -1
            while stood_at != pushed:
                stood_at = pushed
                await asyncio.sleep(0.1)
            assert response._connection is not None
            buffered = response._connection._buffered_bytes
            chunks = await drained(response)

        assert stood_at < bound
        assert buffered <= 2 * BUFFERED_BYTES_MAX
        assert body == b"".join(chunks)

    async def test_cut_while_paused(self, open_pool: OpenPool, socket_path: Path) -> None:
        """A slow reader of a cut body still gets all that came before it learns of the cut."""
        part = b"x" * 600_000

        async with scripted(
            once_and_close(HEAD + b"content-length: 900000\r\n\r\n" + part),
            socket_path=socket_path,
        ) as server:
            response = await ask(open_pool(server.origin))
            await asyncio.sleep(0.1)
            got = [await response.next_chunk(1)]
            while sum(map(len, got)) < len(part):
                await asyncio.sleep(0.01)
                got.append(await response.next_chunk(1))
            with pytest.raises(BodyCut):
                await response.next_chunk(1)

        assert b"".join(got) == part


class TestRequest:
    async def test_bytes_on_the_wire(self, open_pool: OpenPool) -> None:
        """The request is what was asked for, with `host` and the length of the body."""
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            for _ in range(3):
                seen.append(await peer.request())
                await peer.send(reply())

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            await (await ask(pool, b"{}")).read(1, 1)
            await (await ask(pool, b"", method=b"GET", target=b"/v1/m?limit=2")).read(1, 1)
            await (await ask(pool, b"")).read(1, 1)

        host = b"host: 127.0.0.1:%d\r\n" % server.origin.port
        assert (
            b"POST /v1/x HTTP/1.1\r\n" + host + b"x-test: 1\r\ncontent-length: 2\r\n\r\n{}"
            == (seen[0])
        )
        assert b"GET /v1/m?limit=2 HTTP/1.1\r\n" + host + b"x-test: 1\r\n\r\n" == seen[1]
        assert seen[2].endswith(b"content-length: 0\r\n\r\n")

    async def test_large_body(self, open_pool: OpenPool) -> None:
        """8 MB go up unharmed, to a peer that takes its time."""
        body = bytes(range(256)) * 2**15

        async def script(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05)
            got = await peer.reader.readexactly(len(body))
            await peer.send(reply(b"same" if got == body else b"other"))

        async with scripted(script) as server:
            answer = await fetch(open_pool(server.origin), body)

        assert answer == b"same"

    async def test_answer_before_the_request_is_read(self, open_pool: OpenPool) -> None:
        """An early refusal is read; a connection with half a request in it is not used again."""

        async def refuse(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.send(reply(b"large", status="413 Too Large"))
            await peer.hold()

        async with scripted(refuse, forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            early = await ask(pool, b"x" * 16 * 2**20)
            first = await early.read(100, 1)
            second = await fetch(pool)

        assert (early.status, first, second) == (413, b"large", b"ok")
        assert server.accepted == 2

    async def test_half_closed_by_the_peer(self, open_pool: OpenPool) -> None:
        """A peer that says it will not send any more before it answers has dropped the request."""

        async def script(peer: Peer) -> None:
            await peer.request()
            peer.writer.write_eof()
            await peer.gone()

        async with scripted(script) as server:
            with pytest.raises(ConnectionDropped):
                await ask(open_pool(server.origin))


class TestClose:
    async def test_half_read(self, open_pool: OpenPool) -> None:
        """A connection with the rest of an old answer in it is never used again."""
        async with scripted(forever(reply(b"x" * 100_000))) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            await response.next_chunk(1)
            response.close()
            open_connections = pool.open_connections
            await fetch(pool)

        assert open_connections == 0
        assert server.accepted == 2

    async def test_twice(self, open_pool: OpenPool) -> None:
        async with scripted(forever(reply(b"x"))) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            response.close()
            response.close()

        assert pool.open_connections == 0

    async def test_after_the_end(self, open_pool: OpenPool) -> None:
        """Closing a response that was read to its end leaves the connection to the next one."""
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            for _ in range(3):
                response = await ask(pool)
                await response.read(100, 1)
                response.close()

        assert server.accepted == 1

    async def test_late_close_spares_the_next_exchange(self, open_pool: OpenPool) -> None:
        """Closing a finished response does not end the exchange that now uses its connection."""

        async def script(peer: Peer) -> None:
            await peer.answer(reply(b"first"))
            await peer.request()
            await asyncio.sleep(0.05)
            await peer.send(reply(b"second"))
            await peer.gone()

        async with scripted(script) as server:
            pool = open_pool(server.origin)
            first = await ask(pool)
            await first.read(100, 1)
            running = asyncio.create_task(fetch(pool))
            await asyncio.sleep(0.01)
            first.close()
            second = await asyncio.wait_for(running, 1)

        assert second == b"second"
        assert server.accepted == 1

    async def test_reading_a_finished_response(self, open_pool: OpenPool) -> None:
        """Its end stays its end; it takes no bytes from the exchange that came after."""
        async with scripted(forever(reply(b"ok"))) as server:
            pool = open_pool(server.origin)
            first = await ask(pool)
            await first.read(100, 1)
            second = await ask(pool)
            after_the_end = await first.next_chunk(1)
            body = await second.read(100, 1)

        assert (after_the_end, body) == (b"", b"ok")

    async def test_while_another_task_reads(self, open_pool: OpenPool) -> None:
        """A reader whose response is closed by another task is woken with an error."""
        async with scripted(once(HEAD + b"content-length: 9\r\n\r\n")) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            reading = asyncio.create_task(response.next_chunk(60))
            await asyncio.sleep(0.01)
            response.close()
            with pytest.raises(TransportError):
                await asyncio.wait_for(reading, 1)

        assert pool.open_connections == 0


class TestCancel:
    async def test_while_waiting_for_headers(self, open_pool: OpenPool) -> None:
        """The slot is free and the peer sees the connection close."""
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.gone()
            left.set()

        async with scripted(script) as server:
            pool = open_pool(server.origin, connections_max=1)
            task = asyncio.create_task(ask(pool))
            await until(lambda: pool.open_connections == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            open_connections = pool.open_connections
            await asyncio.wait_for(left.wait(), 1)

        assert open_connections == 0

    async def test_while_reading(self, open_pool: OpenPool) -> None:
        """A cancelled read leaves the response open for its owner to close."""
        async with scripted(once(HEAD + b"content-length: 9\r\n\r\nhello")) as server:
            pool = open_pool(server.origin)
            response = await ask(pool)
            await response.next_chunk(1)
            task = asyncio.create_task(response.next_chunk(60))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            response.close()

        assert pool.open_connections == 0

    async def test_no_byte_is_lost(self, open_pool: OpenPool) -> None:
        """A read that is cancelled and begun again sees every byte."""
        pieces = [HEAD + b"content-length: 4\r\n\r\nab", b"cd"]
        async with scripted(once(*pieces, pause_s=0.05)) as server:
            response = await ask(open_pool(server.origin))
            first = await response.next_chunk(1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.next_chunk(1), 0.01)
            rest = await response.read(100, 1)

        assert (first, rest) == (b"ab", b"cd")
