"""Ways to ask a server whether it is ready. None of them raises for a server that is not there."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from msgspec import Struct

_ANSWER_TIMEOUT_S = 5
_STATUS_LINE_BYTES_MAX = 4096


class HttpProbe(Struct, frozen=True, kw_only=True):
    """Ready when `GET path` answers 200. `origin` is http://host:port or unix:/path."""

    origin: str
    path: str

    async def answers(self) -> bool:
        """Ask once."""
        return await get_status(self.origin, self.path) == 200


class PostgresProbe(Struct, frozen=True, kw_only=True):
    """Ready when a query answers; while PostgreSQL starts or recovers it refuses connections."""

    url: str

    async def answers(self) -> bool:
        """Ask once."""
        try:
            connection = await asyncpg.connect(self.url, timeout=_ANSWER_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError):  # TimeoutError is an OSError
            return False
        try:
            return await connection.fetchval("select 1") == 1
        finally:
            await connection.close()


async def get_status(
    origin: str, path: str, *, headers: dict[str, str] | None = None
) -> int | None:
    """The status of one GET; None when nobody answers. By hand: a client library costs start-up."""
    given = {"host": "localhost", "connection": "close", **(headers or {})}
    head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in given.items())
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            reader, writer = await _open(origin)
            try:
                writer.write(f"{head}\r\n".encode("latin-1"))
                answer = await reader.read(_STATUS_LINE_BYTES_MAX)
            finally:
                writer.close()
                await writer.wait_closed()
    except OSError:  # refused, reset, or the time is up
        return None
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else None


async def _open(origin: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if origin.startswith("unix:"):
        return await asyncio.open_unix_connection(Path(origin.removeprefix("unix:")))
    address = urlsplit(origin)
    return await asyncio.open_connection(address.hostname, address.port)
