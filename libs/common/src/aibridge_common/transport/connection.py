"""One connection as an asyncio Protocol: at most one exchange at a time, kept alive between exchanges.

It parses into its own fields, which the next exchange overwrites; callers see them through a `Response`.
"""

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from aibridge_common.transport.errors import (
    BodyCut,
    ConnectionDropped,
    HeadersTimeout,
    IdleTimeout,
    ProtocolViolation,
    Sent,
    TransportError,
)

if TYPE_CHECKING:
    from aibridge_common.transport.pool import Pool

HEADER_BYTES_MAX = 64 * 1024
"""Also the limit for whatever else is not body: interim answers, chunk extensions, trailers."""
HEADERS_MAX = 200
_TOO_LARGE = "the head of the answer is too large"
BUFFERED_BYTES_MAX = 256 * 1024
"""More than this unread and we stop reading from the peer: back-pressure instead of memory."""


class Connection(asyncio.Protocol):
    """A peer at the other end of a socket; `Pool` hands it out and takes it back."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._loop = pool.loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._error: TransportError | None = None
        self._deadline_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._awaiting_headers = False
        self._in_use = False
        self.exchanges = 0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._buffered_bytes = 0
        self._header_bytes = 0
        self._bytes_since_body = 0
        self._head_done = False
        self._complete = False
        self._answered = False
        self._framed = False
        self._paused = False
        self._keep_alive = False

    # --- the exchange -------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether the peer still holds the connection open."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, head: bytes, body: bytes, headers_timeout_s: float) -> None:
        """Send a request and wait until the status and headers of its answer are here."""
        transport = self._transport
        if transport is None or transport.is_closing():
            self._pool.forget(self)  # it may have ended before the pool came to count it
            raise ConnectionDropped("the connection was closed", sent=Sent.NO)
        self._reset()
        self._error = None
        self._in_use = True
        self._awaiting_headers = True
        self.exchanges += 1
        if body:
            transport.writelines((head, body))
        else:
            transport.write(head)
        self._arm(headers_timeout_s)
        while not self._head_done:
            await self._wait()

    async def read(self, limit_bytes: int, idle_timeout_s: float) -> bytes:
        """The whole body. Raises `ProtocolViolation` beyond `limit_bytes`."""
        total = 0
        parts: list[bytes] = []
        while part := await self.next_chunk(idle_timeout_s):
            total += len(part)
            if total > limit_bytes:
                self.close()
                raise ProtocolViolation(f"the answer exceeds {limit_bytes} bytes", sent=Sent.MAYBE)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def next_chunk(self, idle_timeout_s: float) -> bytes:
        """All body bytes that have come, waiting for some if there are none; b"" at the end."""
        chunks = self._chunks
        while not chunks:
            if self._complete:
                self._finish()
                return b""
            if self._error is None:
                self._arm(idle_timeout_s)
            await self._wait()
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """End the exchange here, and whoever waits for it; a half-read connection is never used again."""
        if self._head_done:
            self._fail(BodyCut("the exchange was closed here", sent=Sent.MAYBE))
        else:
            self._fail(ConnectionDropped("the connection was closed here", sent=Sent.MAYBE))

    def _finish(self) -> None:
        if not self._in_use:
            return
        self._in_use = False
        if self._keep_alive and self.usable and self._request_is_out:
            self._pool.put_back(self)
        else:
            self._pool.forget(self)
            self.close()

    @property
    def _request_is_out(self) -> bool:
        # A peer may refuse a large request before it has read it; what follows would wait behind the rest of it.
        return self._transport is None or self._transport.get_write_buffer_size() == 0

    def rest(self, idle_s: float) -> None:
        """Wait in the pool; the peer's FIN or the time limit ends the wait."""
        self._arm(idle_s)

    # --- waiting and timers -------------------------------------------------------------------

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _arm(self, timeout_s: float) -> None:
        # One timer per connection, moved lazily: a request that is answered in time costs no timer at all.
        self._deadline_s = deadline = self._loop.time() + timeout_s
        alarm = self._alarm
        if alarm is None:
            self._alarm = self._loop.call_at(deadline, self._ring)
        elif alarm.when() > deadline:
            alarm.cancel()
            self._alarm = self._loop.call_at(deadline, self._ring)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if self._deadline_s > self._loop.time() + 0.001:
            self._alarm = self._loop.call_at(self._deadline_s, self._ring)
        elif not self._in_use:
            self._pool.evict(self)
            self.close()
        elif self._waiter is not None:
            kind = HeadersTimeout if self._awaiting_headers else IdleTimeout
            what = "no answer in time" if self._awaiting_headers else "the answer fell silent"
            self._fail(kind(what, sent=Sent.MAYBE))

    def _fail(self, error: TransportError) -> None:
        if self._error is None:
            self._error = error
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._disarm()
        if self._in_use:
            self._in_use = False
            self._pool.forget(self)
        self._wake()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if not self._in_use:
            self._pool.evict(self)  # bytes nobody asked for: this peer is out of step
            self.close()
            return
        self._answered = True
        self._bytes_since_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ProtocolViolation("the peer switched protocols", sent=Sent.MAYBE))
        except httptools.HttpParserError as error:
            cause = error.__context__
            reason = str(cause) if isinstance(cause, _LimitExceeded) else "not an HTTP answer"
            self._fail(ProtocolViolation(reason, sent=Sent.MAYBE))
            return
        if self._bytes_since_body > HEADER_BYTES_MAX and not self._complete:
            # The parser gathers a field until its end comes, so that is not left to `on_header`.
            self._fail(ProtocolViolation(_TOO_LARGE, sent=Sent.MAYBE))
            return
        if self._head_done:
            self._wake()
        if (
            self._buffered_bytes > BUFFERED_BYTES_MAX
            and not self._paused
            and self._transport is not None
        ):
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Called by the loop; False closes our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._transport = None
        self._disarm()
        if not self._in_use:
            self._pool.evict(self)
            return
        if self._complete:
            self._wake()
            return
        if self._head_done and not self._framed and exc is None:
            self._complete = (
                True  # a body without a length ends with the connection (RFC 9112 §6.3)
            )
            self._wake()
            return
        reason = f": {exc}" if exc is not None else ""
        if self._head_done:
            self._fail(BodyCut(f"the connection ended inside the answer{reason}", sent=Sent.MAYBE))
        elif self._answered:
            self._fail(BodyCut(f"the connection ended inside the head{reason}", sent=Sent.MAYBE))
        else:
            self._fail(
                ConnectionDropped(f"the connection ended before an answer{reason}", sent=Sent.MAYBE)
            )

    # --- httptools callbacks ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._complete:
            raise _LimitExceeded("the peer sent more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX or len(self.headers) >= HEADERS_MAX:
            raise _LimitExceeded(_TOO_LARGE)
        if self._head_done:
            return  # a trailer: it may not pose as a header (RFC 9110 §6.5.1)
        name = name.lower()
        if name in {b"content-length", b"transfer-encoding"}:
            self._framed = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:  # an interim answer (RFC 9110 §15.2): the real one follows
            self.headers.clear()
            self._framed = False
            return
        if status in {204, 304}:
            self._framed = True
        self.status = status
        self._keep_alive = self._parser.should_keep_alive()
        self._head_done = True
        self._bytes_since_body = 0
        self._awaiting_headers = False

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._chunks.append(body)
        self._buffered_bytes += len(body)
        self._bytes_since_body = 0

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._head_done:
            self._complete = True


class _LimitExceeded(Exception):
    pass
