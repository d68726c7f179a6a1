"""The caller's end of one exchange.

The connection serves other exchanges afterwards, so a caller never holds it: what it does with a response that is
over, `close()` above all, must not reach whoever uses the connection by then.
"""

from aibridge_common.transport.connection import Connection


class Response:
    """Status and headers of an answer, and its body as it comes."""

    __slots__ = ("_connection", "headers", "status")

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self.status = connection.status
        self.headers = connection.headers

    @property
    def is_event_stream(self) -> bool:
        """Whether the body comes in server-sent events."""
        return any(
            name == b"content-type" and value.startswith(b"text/event-stream")
            for name, value in self.headers
        )

    async def next_chunk(self, idle_timeout_s: float) -> bytes:
        """All body bytes that have come, waiting for some if there are none; b"" at the end."""
        if self._connection is None:
            return b""
        data = await self._connection.next_chunk(idle_timeout_s)
        if not data:
            self._connection = None
        return data

    async def read(self, limit_bytes: int, idle_timeout_s: float) -> bytes:
        """The whole body. Raises `ProtocolViolation` beyond `limit_bytes`."""
        if self._connection is None:
            return b""
        data = await self._connection.read(limit_bytes, idle_timeout_s)
        self._connection = None
        return data

    def close(self) -> None:
        """End the exchange here; a half-read connection is never used again. Does nothing after the end."""
        if self._connection is not None:
            self._connection.close()
