"""Content behind customers' addresses: fetched from public hosts, and from nowhere else."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator

import pytest

from aibridge_common.errors import InvalidRequest
from aibridge_router.upstream.fetch import CONTENT_BYTES_MAX, Fetcher
from aibridge_router.upstream.public import is_public

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG....."
ANSWERS = {
    "/a.png": b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: %d\r\n\r\n" % len(PNG)
    + PNG,
    "/page": b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
    "/gone": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    "/away": b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n",
    "/huge": b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: %d\r\n\r\n"
    % (CONTENT_BYTES_MAX + 1)
    + b"x" * (CONTENT_BYTES_MAX + 1),
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[head.split(b" ")[1].decode()])
        try:
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def open_fetcher(port: int) -> Fetcher:
    return Fetcher(enabled=True, allows=lambda _address: True, ports=frozenset({port}))


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await fetcher.fetch_all([url])
    assert caught.value.param == "url"
    return caught.value.message


class TestContent:
    async def test_comes_with_its_kind(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/a.png"
        fetched = await open_fetcher(port).fetch_all([url, url])

        assert [url] == list(fetched)
        assert (fetched[url].media_type, fetched[url].base64) == ("image/png", "iVBORy4uLi4u")

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("/page", "neither an image nor a PDF"),
            ("/gone", "status 404"),
            ("/away", "status 302"),
            ("/huge", "cannot be fetched"),
        ],
    )
    async def test_of_another_sort_is_refused(self, path: str, reason: str, port: int) -> None:
        assert reason in await refusal(open_fetcher(port), f"http://127.0.0.1:{port}{path}")


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/a.png",
            "https://localhost/a.png",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://2130706433/",
            "http://0x7f.1/",
        ],
    )
    async def test_that_are_not_public_are_refused(self, url: str) -> None:
        message = await refusal(Fetcher(enabled=True), url)

        assert "not public" in message or "not known" in message

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("http://93.184.216.34:22/", "usual web ports"),
            ("ftp://93.184.216.34/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("unix:/run/x.sock", "only the usual web ports"),
            ("http://user:word@93.184.216.34/", "credentials"),
            ("http:///x", "no host"),
            ("http://93.184.216.34/a b", "percent-encoded"),
            ("http://93.184.216.34/a\r\nx: y", "percent-encoded"),
            ("http://[::1", ""),
        ],
    )
    async def test_of_a_wrong_form_are_refused(self, url: str, reason: str) -> None:
        assert reason in await refusal(Fetcher(enabled=True), url)

    async def test_are_refused_one_and_all_when_fetching_is_off(self) -> None:
        assert "off here" in await refusal(Fetcher(enabled=False), "https://example.com/a.png")

    async def test_may_not_be_many(self) -> None:
        with pytest.raises(InvalidRequest, match="at most 20"):
            await Fetcher(enabled=True).fetch_all([f"https://example.com/{n}" for n in range(21)])

    async def test_that_are_public_pass(self) -> None:
        assert is_public(ipaddress.ip_address("93.184.216.34"))
        assert is_public(ipaddress.ip_address("2606:2800:220:1::"))
