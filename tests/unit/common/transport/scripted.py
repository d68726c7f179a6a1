"""A server that does on each connection exactly what the test says, the unfriendly things too."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from aibridge_common.transport import Origin

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read one request, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        return head + await self.reader.readexactly(int(length[1]) if length else 0)

    async def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Write the pieces one by one, each in a segment of its own."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause_s)
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Read one request, then send."""
        await self.request()
        await self.send(*pieces, pause_s=pause_s)

    def limit_send_buffer(self, size_bytes: int) -> None:
        """Fix the kernel's buffer on our side, which otherwise grows while it is written to."""
        descriptor = os.dup(self.writer.get_extra_info("socket").fileno())
        with socket.socket(fileno=descriptor) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)

    def reset(self) -> None:
        """End the connection with an RST instead of a FIN."""
        descriptor = os.dup(self.writer.get_extra_info("socket").fileno())
        with socket.socket(fileno=descriptor) as sock:  # uvloop's own wrapper does not let us
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()

    async def hold(self) -> None:
        """Neither read nor write nor close until the other side has gone or the server stops."""
        await asyncio.Event().wait()

    async def gone(self) -> None:
        """Wait until the other side closes; what it still says is thrown away."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass


Script = Callable[[Peer], Awaitable[None]]


class Scripted:
    """A running server: the n-th connection follows the n-th script, later ones the last."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.accepted = 0
        self.origin = Origin(host="localhost")

    async def start(self, *, tls: ssl.SSLContext | None, socket_path: Path | None) -> None:
        if socket_path is not None:
            self._server = await asyncio.start_unix_server(self._accept, socket_path)
            self.origin = Origin(host="localhost", socket_path=str(socket_path))
            return
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=tls, backlog=1024
        )
        port = self._server.sockets[0].getsockname()[1]
        host = "127.0.0.1" if tls is None else "localhost"
        self.origin = Origin(host=host, port=port, tls=tls is not None)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # sockets are closed one turn after their transports

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
        self.accepted += 1
        task = asyncio.get_running_loop().create_task(self._run(script, Peer(reader, writer)))
        self._tasks.add(task)

    @staticmethod
    async def _run(script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, as many tests want it to
        finally:
            peer.writer.transport.abort() if peer.writer.is_closing() else peer.close()
            with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
                async with asyncio.timeout(1):
                    await peer.writer.wait_closed()


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Script, tls: ssl.SSLContext | None = None, socket_path: Path | None = None
) -> AsyncGenerator[Scripted]:
    server = Scripted(*scripts)
    await server.start(tls=tls, socket_path=socket_path)
    try:
        yield server
    finally:
        await server.stop()


def reply(body: bytes = b"", *, status: str = "200 OK", fields: tuple[bytes, ...] = ()) -> bytes:
    """A complete answer with a content-length."""
    lines = [b"HTTP/1.1 " + status.encode(), b"content-length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    """A complete answer in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def forever(answer: bytes) -> Script:
    """Answer every request of a connection the same way."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(answer)

    return script


def once(*pieces: bytes, pause_s: float = 0.0) -> Script:
    """Answer one request, then leave the connection open."""

    async def script(peer: Peer) -> None:
        await peer.answer(*pieces, pause_s=pause_s)
        await peer.gone()

    return script


def once_and_close(*pieces: bytes, pause_s: float = 0.0) -> Script:
    """Answer one request, then close."""

    async def script(peer: Peer) -> None:
        await peer.answer(*pieces, pause_s=pause_s)

    return script


def once_and_reset(*pieces: bytes) -> Script:
    """Answer one request, then reset the connection once the answer has had time to arrive."""

    async def script(peer: Peer) -> None:
        await peer.answer(*pieces)
        await asyncio.sleep(0.02)
        peer.reset()

    return script


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, gather_s: float = 0.0
) -> None:
    """Copy until one side ends; what comes within `gather_s` goes on as one segment."""
    try:
        while data := await reader.read(65_536):
            if gather_s:
                await asyncio.sleep(gather_s)
                data += await _waiting(reader)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one side left
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
    finally:
        writer.close()


async def _waiting(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(65_536), 0.001)
    except TimeoutError:
        return b""
