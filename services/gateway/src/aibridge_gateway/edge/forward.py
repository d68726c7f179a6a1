"""Carries a request to the router and its answer back, bytes as they are."""

import asyncio
import re

from aibridge_common.errors import Unavailable
from aibridge_common.transport import Pool, Response, Timers, TransportError
from aibridge_common.web.client import Client
from aibridge_gateway.edge.headers import Headers, outward

_TIMERS = Timers(connect_s=2.0, headers_s=620.0, idle_s=620.0)
"""The router keeps the real deadlines; these only end what a lost router left behind."""

_STREAM = re.compile(rb'"stream"\s*:\s*true')


class Forwarder:
    """One pool of kept-alive connections to the router."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self._pool = pool
        self._prefix = prefix.encode()

    async def forward(
        self, client: Client, method: bytes, target: bytes, headers: Headers, body: bytes
    ) -> None:
        """Ask the router and answer the client.

        A client that leaves a stream ends our request to the router, which goes on metering by itself. Raises
        `Unavailable` when the router cannot be reached; after the answer has begun its connection is cut instead.
        """
        if b"streamGenerateContent" in target or _STREAM.search(body) is not None:
            task = asyncio.current_task()
            assert task is not None, "ASGI handlers run in tasks"
            client.watch(task.cancel)
        response: Response | None = None
        try:
            response = await self._pool.request(
                method, self._prefix + target, headers, body, _TIMERS
            )
            await self._answer(client, response)
        except TransportError as error:
            if client.started:
                raise AnswerCut from error
            raise Unavailable("the service is restarting; try again", retry_after_s=1) from error
        except asyncio.CancelledError:
            if client.gone_at_s is None:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            client.close()
            if response is not None:
                response.close()

    @staticmethod
    async def _answer(client: Client, response: Response) -> None:
        await client.start(response.status, outward(response.headers))
        while data := await response.next_chunk(_TIMERS.idle_s):
            await client.write(data)
        await client.finish()


class AnswerCut(Exception):
    """The router was lost inside an answer; the client must see a cut, never a clean end."""
