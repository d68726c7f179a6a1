"""Carries a request to the router and its answer back, bytes as they are."""

import asyncio
import re

from aibridge_common import envelopes
from aibridge_common.dialect import Surface
from aibridge_common.errors import Unavailable
from aibridge_common.transport import Pool, Response, Timers, TransportError
from aibridge_common.web.client import Client
from aibridge_gateway.edge.headers import Headers, outward

_TIMERS = Timers(connect_s=2.0, headers_s=620.0, idle_s=620.0)
"""The router keeps the real deadlines; these only end what a lost router left behind."""

_STREAM = re.compile(rb'"stream"\s*:\s*true')
_FRAME_ENDS = (b"\n\n", b"\r\n\r\n")


def asks_for_stream(target: bytes, body: bytes) -> bool:
    """Whether the answer may come piece by piece; the bytes are searched, not parsed."""
    return b"streamGenerateContent" in target or _STREAM.search(body) is not None


class Forwarder:
    """One pool of kept-alive connections to the router."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self._pool = pool
        self._prefix = prefix.encode()
        self._running: set[asyncio.Task[object]] = set()
        self._last_call_made = False

    def last_call(self) -> None:
        """End what still runs: a stream with an error event, what has not begun with a refusal, the rest with a cut."""
        self._last_call_made = True
        for task in self._running:
            task.cancel()

    async def forward(
        self,
        client: Client,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes,
        *,
        streamed: bool,
        surface: Surface,
    ) -> None:
        """Ask the router and answer the client.

        A client that leaves a stream ends our request to the router, which goes on metering by itself. Raises
        `Unavailable` when the router cannot be reached; after the answer has begun its connection is cut instead.
        """
        task = asyncio.current_task()
        assert task is not None, "ASGI handlers run in tasks"
        self._running.add(task)
        if streamed:
            client.watch(task.cancel)
        response: Response | None = None
        sent = b""
        try:
            response = await self._pool.request(
                method, self._prefix + target, headers, body, _TIMERS
            )
            await client.start(response.status, outward(response.headers))
            while data := await response.next_chunk(_TIMERS.idle_s):
                await client.write(data)
                sent = data
            await client.finish()
        except TransportError as error:
            if client.started:
                raise AnswerCut from error
            raise _restarting() from error
        except asyncio.CancelledError:
            if client.gone_at_s is None and not self._last_call_made:
                raise
            task.uncancel()
            if client.gone_at_s is None:
                await _end(client, response, sent, surface)
        finally:
            self._running.discard(task)
            client.close()
            if response is not None:
                response.close()


async def _end(client: Client, response: Response | None, sent: bytes, surface: Surface) -> None:
    """Say in the caller's dialect that no more comes; inside an event, and where there are none, only a cut can."""
    if not client.started or response is None:
        raise _restarting()
    if client.finished:
        await client.finish()
    elif _is_event_stream(response) and (not sent or sent.endswith(_FRAME_ENDS)):
        await client.finish(envelopes.stream_event(surface, _restarting()))
    else:
        raise AnswerCut


def _is_event_stream(response: Response) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in response.headers
    )


def _restarting() -> Unavailable:
    return Unavailable("the service is restarting; try again", retry_after_s=1)


class AnswerCut(Exception):
    """The answer ended before its end; the client must see a cut, never a clean end."""
