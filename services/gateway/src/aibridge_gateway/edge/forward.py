"""Carries a request to the router and its answer back, bytes as they are."""

import asyncio
import re
from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from aibridge_common import envelopes
from aibridge_common.dialect import Surface
from aibridge_common.errors import Unavailable
from aibridge_common.internal import DRAINING, REFUSED
from aibridge_common.transport import Origin, Pool, Response, Sent, Timers, TransportError
from aibridge_common.web.client import Client
from aibridge_gateway.edge.headers import Headers, outward
from aibridge_gateway.edge.routers import Routers

_TIMERS = Timers(connect_s=2.0, headers_s=620.0, idle_s=620.0)
"""The router keeps the real deadlines; these only end what a lost router left behind."""

_STREAM = re.compile(rb'"stream"\s*:\s*true')
_FRAME_ENDS = (b"\n\n", b"\r\n\r\n")


def asks_for_stream(target: bytes, body: bytes) -> bool:
    """Whether the answer may come piece by piece; the bytes are searched, not parsed."""
    return b"streamGenerateContent" in target or _STREAM.search(body) is not None


class RouterAt(Struct, frozen=True, kw_only=True):
    """Where a router is asked."""

    url: str
    origin: Origin
    prefix: bytes

    @staticmethod
    def parse(urls: str) -> list["RouterAt"]:
        """The routers of the setting, separated by commas. Raises ValueError naming what is wrong."""
        named = [url.strip() for url in urls.split(",")]
        if len(set(named)) < len(named):
            raise ValueError("a router's URL stands twice")
        parsed = [(url, *Origin.parse(url)) for url in named]
        return [
            RouterAt(url=url, origin=origin, prefix=path.encode()) for url, origin, path in parsed
        ]


class Forwarder:
    """A pool of kept-alive connections to each router. Must be made inside the event loop that uses it."""

    def __init__(self, routers: Sequence[RouterAt]) -> None:
        self._pools = [(Pool(router.origin), router.prefix) for router in routers]
        self._routers = Routers([router.url for router in routers])
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[object]] = set()
        self._last_call_made = False

    def close(self) -> None:
        """Close every connection."""
        for pool, _ in self._pools:
            pool.close()

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
        account_id: UUID,
        streamed: bool,
        surface: Surface,
    ) -> None:
        """Ask the account's router and answer the client.

        A client that leaves a stream ends our request to the router, which goes on metering by itself. Raises
        `Unavailable` when no router can be reached; after the answer has begun its connection is cut instead.
        """
        task = asyncio.current_task()
        assert task is not None, "ASGI handlers run in tasks"
        self._running.add(task)
        if streamed:
            client.watch(task.cancel)
        response: Response | None = None
        sent = b""
        try:
            response = await self._ask(account_id, method, target, headers, body)
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

    async def _ask(
        self, account_id: UUID, method: bytes, target: bytes, headers: Headers, body: bytes
    ) -> Response:
        """The answer of the first router that takes the request.

        Another one is asked only when nothing was sent, or when the router says that it did not begin. Raises
        `TransportError`.
        """
        places = self._routers.order(self._loop.time(), account_id)
        for place in places:
            pool, prefix = self._pools[place]
            is_last = place == places[-1]
            try:
                response = await pool.request(method, prefix + target, headers, body, _TIMERS)
            except TransportError as error:
                if error.sent is Sent.NO:
                    self._routers.avoid(self._loop.time(), place)
                if is_last or error.sent is not Sent.NO:
                    raise
                continue
            if not _is_leaving(response):
                self._routers.answered(place)
                return response
            self._routers.avoid(self._loop.time(), place)
            if is_last:
                return response
            response.close()
        raise AssertionError("there is at least one router")


async def _end(client: Client, response: Response | None, sent: bytes, surface: Surface) -> None:
    """Say in the caller's dialect that no more comes; inside an event, and where there are none, only a cut can."""
    if not client.started or response is None:
        raise _restarting()
    if client.finished:
        await client.finish()
    elif response.is_event_stream and (not sent or sent.endswith(_FRAME_ENDS)):
        await client.finish(envelopes.stream_event(surface, _restarting()))
    else:
        raise AnswerCut


def _is_leaving(response: Response) -> bool:
    return response.status >= 500 and (REFUSED, DRAINING) in response.headers


def _restarting() -> Unavailable:
    return Unavailable("the service is restarting; try again", retry_after_s=1)


class AnswerCut(Exception):
    """The answer ended before its end; the client must see a cut, never a clean end."""
