"""A pool of kept-alive connections to one origin."""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from aibridge_common.proxy import Proxy
from aibridge_common.transport.connection import Connection
from aibridge_common.transport.errors import (
    ConnectFailed,
    ConnectionDropped,
    ConnectTimeout,
    Sent,
)
from aibridge_common.transport.origin import Origin
from aibridge_common.transport.response import Response
from aibridge_common.transport.tunnel import open_tunnel


class Timers(Struct, frozen=True, kw_only=True):
    """How long each stage of an exchange may take."""

    connect_s: float = 5.0
    headers_s: float = 120.0
    idle_s: float = 60.0


DEFAULT_TIMERS = Timers()
IDLE_CONNECTION_S = 30.0
"""Shorter than the keep-alive of the servers we talk to, so that they rarely close under our hands."""

STALE_DROP_S = 1.0
"""A connection that had ended before we sent says so within a round trip. A later drop is of a request that was worked
on: sending it again would have the peer do, and charge, it twice."""


class Pool:
    """Connections to one origin, directly or through one proxy.

    Must be made inside the event loop that uses it. At most `connections_max` at once: beyond that `request`
    raises `ConnectFailed` at once, since a queue here would hide an overload from those who can shed it.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        connections_max: int = 4096,
        idle_connection_s: float = IDLE_CONNECTION_S,
    ) -> None:
        self.origin = origin
        self.loop = asyncio.get_running_loop()
        self._tls = (tls or ssl.create_default_context()) if origin.tls else None
        self._proxy = proxy
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._connecting = 0
        self._closed = False
        self._retired = False
        self._connections_max = connections_max
        self._idle_connection_s = idle_connection_s
        self._host_line = b" HTTP/1.1\r\nhost: " + origin.host_header.encode() + b"\r\n"

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes = b"",
        timers: Timers = DEFAULT_TIMERS,
    ) -> Response:
        """Send a request; the answer's status and headers are there when this returns.

        The caller reads the body to its end or calls `close()`; doing both is harmless. A kept-alive
        connection that the peer closed at once and before a byte of answer is replaced once: it was closing already.
        Raises `TransportError`; its `sent` says whether the peer may have acted.
        """
        head = bytearray(method)
        head += b" "
        head += target
        head += self._host_line
        for name, value in headers:
            head += name
            head += b": "
            head += value
            head += b"\r\n"
        if body or method != b"GET":
            head += b"content-length: %d\r\n" % len(body)
        head += b"\r\n"
        connection = self._take_idle()
        reused = connection is not None
        if connection is None:
            connection = await self._connect(timers.connect_s)
        stale_until_s = self.loop.time() + STALE_DROP_S
        try:
            await connection.exchange(bytes(head), body, timers.headers_s)
        except ConnectionDropped:
            if not reused or self._closed or self.loop.time() > stale_until_s:
                raise
            try:
                connection = await self._connect(timers.connect_s)
            except ConnectFailed as error:
                error.sent = (
                    Sent.MAYBE
                )  # the dropped connection's peer may have read it before it went
                raise
            await self._exchange(connection, bytes(head), body, timers.headers_s)
        except BaseException:
            connection.close()
            raise
        return Response(connection)

    @staticmethod
    async def _exchange(
        connection: Connection, head: bytes, body: bytes, headers_timeout_s: float
    ) -> None:
        try:
            await connection.exchange(head, body, headers_timeout_s)
        except BaseException:
            connection.close()
            raise

    def _take_idle(self) -> Connection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
            self._open.discard(connection)
        return None

    async def _connect(self, timeout_s: float) -> Connection:
        if self._closed:
            raise ConnectFailed("the pool is closed")
        if len(self._open) + self._connecting >= self._connections_max:
            raise ConnectFailed(f"all {self._connections_max} connections are in use")
        self._connecting += 1
        try:
            connection = await self._open_connection(self.loop.time() + timeout_s)
        except TimeoutError:
            raise ConnectTimeout(f"no connection within {timeout_s:g} s") from None
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be encoded
            raise ConnectFailed(f"cannot connect: {error}") from error
        finally:
            self._connecting -= 1
        if self._closed:
            connection.close()
            raise ConnectFailed("the pool is closed")
        self._open.add(connection)
        return connection

    async def _open_connection(self, deadline_s: float) -> Connection:
        origin, loop = self.origin, self.loop
        connection = Connection(self)
        hostname = origin.host if self._tls is not None else None
        sock = None
        if self._proxy is not None and origin.socket_path is None:
            sock = await open_tunnel(self._proxy, origin, deadline_s)
        async with asyncio.timeout_at(deadline_s):
            if origin.socket_path is not None:
                await loop.create_unix_connection(lambda: connection, origin.socket_path)
            elif sock is not None:
                await loop.create_connection(
                    lambda: connection, sock=sock, ssl=self._tls, server_hostname=hostname
                )
            else:
                await loop.create_connection(
                    lambda: connection,
                    origin.address or origin.host,
                    origin.port,
                    ssl=self._tls,
                    server_hostname=hostname,
                )
        return connection

    async def reach(self, timeout_s: float) -> None:
        """Open a connection as a request would, and close it. Raises `ConnectFailed`."""
        connection = await self._connect(timeout_s)
        self._open.discard(connection)
        connection.close()

    # --- called by connections ----------------------------------------------------------------

    def put_back(self, connection: Connection) -> None:
        """Keep a connection whose exchange is over for the next one; the newest is used first."""
        if self._retired:
            self._open.discard(connection)
            connection.close()
            return
        connection.rest(self._idle_connection_s)
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """The connection is gone or spoilt."""
        self._open.discard(connection)

    def evict(self, connection: Connection) -> None:
        """An idle connection ended."""
        self._open.discard(connection)
        try:
            self._idle.remove(connection)
        except ValueError:
            return

    # --- lifecycle ----------------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        """Connections that are open now, idle or not."""
        return len(self._open)

    def retire(self) -> None:
        """Keep no connection any longer: idle ones close now, the others when their exchange is over."""
        self._retired = True
        while self._idle:
            connection = self._idle.pop()
            self._open.discard(connection)
            connection.close()

    def close(self) -> None:
        """Close every connection; running exchanges end with an error, new ones are refused."""
        self._closed = True
        for connection in list(self._open):
            connection.close()
        self._idle.clear()
        self._open.clear()
