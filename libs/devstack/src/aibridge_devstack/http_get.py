"""One GET over TCP or a Unix socket, by hand: a client library would cost a quarter second of start."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

_TIMEOUT_S = 5.0
_BODY_BYTES_MAX = 4 * 1024**2


class Answer(Struct, frozen=True, kw_only=True):
    """Of a server that spoke HTTP."""

    status: int
    body: bytes


async def http_get(
    origin: str, path: str, *, headers: Mapping[str, str] | None = None
) -> Answer | None:
    """None when nobody answers. `origin` is http://host:port or unix:/path.

    Speaks HTTP/1.0, so that the body ends with the connection and is never chunked.
    """
    head = [f"GET {path} HTTP/1.0", "host: localhost"]
    head += [f"{name}: {value}" for name, value in (headers or {}).items()]
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await _open(origin)
            try:
                writer.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
                answer = b""
                while len(answer) < _BODY_BYTES_MAX and (chunk := await reader.read(65536)):
                    answer += chunk
            finally:
                writer.close()
                await writer.wait_closed()
    except OSError:  # refused, reset, or the time is up
        return None
    return _parse(answer)


def _parse(answer: bytes) -> Answer | None:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return None
    return Answer(status=int(words[1]), body=body)


async def _open(origin: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if origin.startswith("unix:"):
        return await asyncio.open_unix_connection(origin.removeprefix("unix:"))
    address = urlsplit(origin)
    return await asyncio.open_connection(address.hostname, address.port)
