"""The other side of an ASGI request: somewhere to send an answer to, that may leave or stall."""

import asyncio
from collections.abc import Callable

from litestar.types import Receive, Send


class Client:
    """Sends an answer; after the client left it swallows what is sent, so that metering goes on."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.Task[None] | None = None
        self.started = False
        self.finished = False
        self.gone_at_s: float | None = None
        self.sending_since_s: float | None = None

    def watch(self, on_gone: Callable[[], object] | None = None) -> None:
        """Notice when the client leaves before the answer is complete. Only streams are worth the task."""
        self._watch = self._loop.create_task(self._wait_for_disconnect(on_gone))

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send status and headers."""
        self.started = True
        await self._deliver(
            {
                "type": "http.response.start",
                "status": status,
                "headers": headers,
                "trailers": False,
            }
        )

    async def write(self, data: bytes) -> None:
        """Send a part of the body; waits while the client is slow."""
        await self._deliver({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self.finished = True
        await self._deliver({"type": "http.response.body", "body": data, "more_body": False})

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()

    async def _deliver(self, message: object) -> None:
        if self.gone_at_s is not None:
            return
        self.sending_since_s = self._loop.time()
        try:
            await self._send(message)  # pyright: ignore[reportArgumentType]
        except OSError:
            self.gone_at_s = self._loop.time()
        finally:
            self.sending_since_s = None

    async def _wait_for_disconnect(self, on_gone: Callable[[], object] | None) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.finished:
            self.gone_at_s = self._loop.time()
            if on_gone is not None:
                on_gone()
