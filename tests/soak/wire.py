"""A lean HTTP/1.1 client: the load shares its cores with what it measures, so it must cost little."""

import asyncio
from urllib.parse import urlsplit

from msgspec import Struct

HEAD_BYTES_MAX = 2**17
CONNECT_S = 5.0


class Answer(Struct, frozen=True, kw_only=True):
    """What one request came to. `status` is 0 when there was none; `trouble` says what the wire did wrong."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    begins_s: float = 0.0
    """Until the status line."""
    took_s: float = 0.0
    left: bool = False
    """We went away in the middle, as some clients do."""
    trouble: str | None = None


class Wire:
    """Kept-alive connections to one origin."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname is not None, f"names no host: {base_url}"
        self._host, self._port = parts.hostname, parts.port or 80
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(
        self,
        path: str,
        headers: dict[str, str],
        body: bytes,
        *,
        timeout_s: float,
        leave_after: int | None = None,
    ) -> Answer:
        """One request. `leave_after` closes the connection after so many pieces of the answer. Never raises."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        call = _Call(path, headers | {"host": f"{self._host}:{self._port}"}, body, leave_after)
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await self._connection()
                try:
                    await call.run(reader, writer)
                except BaseException:
                    writer.transport.abort()
                    raise
        except TimeoutError:
            call.trouble = f"not over after {timeout_s:g} s"
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            call.trouble = f"{type(error).__name__}: {error}"
        else:
            if call.keeps:
                self._idle.append((reader, writer))
            else:
                writer.transport.abort()
        return Answer(
            status=call.status,
            headers=call.headers,
            body=bytes(call.body),
            begins_s=(call.began_at_s or loop.time()) - began_s,
            took_s=loop.time() - began_s,
            left=call.left,
            trouble=call.trouble,
        )

    def close(self) -> None:
        """Leave every idle connection."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES_MAX)


class _Call:
    def __init__(
        self, path: str, headers: dict[str, str], body: bytes, leave_after: int | None
    ) -> None:
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self._request = (
            "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        )
        self._leave_after = leave_after
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.began_at_s: float | None = None
        self.keeps = False
        self.left = False
        self.trouble: str | None = None

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.began_at_s = asyncio.get_running_loop().time()
        first, *rest = head.rstrip().split("\r\n")
        self.status = int(first.split(maxsplit=2)[1])
        for line in rest:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        if "chunked" in self.headers.get("transfer-encoding", ""):
            await self._read_chunks(reader)
        else:
            self.body += await reader.readexactly(int(self.headers.get("content-length", "0")))
        self.keeps = not self.left and self.headers.get("connection", "") != "close"

    async def _read_chunks(self, reader: asyncio.StreamReader) -> None:
        pieces = 0
        while size := int(await reader.readuntil(b"\r\n"), 16):
            self.body += (await reader.readexactly(size + 2))[:-2]
            pieces += 1
            if pieces == self._leave_after:
                self.left = True
                return
        await reader.readexactly(2)
