"""One response on one connection: bytes out, and the ways a connection can die."""

import asyncio
import socket
import struct
from typing import Protocol

from litestar.types import Receive, Scope, Send

LINK_STATE = "aibridge_sandbox_link"
"""Where the server leaves the connection in the ASGI state."""

_BLINK_S = 0.02
_FLUSH_S = 2.0


class ClientGone(Exception):  # an event of the conversation, not an error of ours
    """The client closed the connection before the answer was over."""


class Link(Protocol):
    """The connection below ASGI."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None before the connection is made."""
        ...


class Wire:
    """Used by one response; only `cut` needs the sandbox's own server."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._link: Link | None = (scope.get("state") or {}).get(LINK_STATE)

    @property
    def _transport(self) -> asyncio.Transport | None:
        return self._link.transport if self._link is not None else None

    async def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Status line and headers; they leave at once."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        """Raises `ClientGone` if nobody is there to read it."""
        transport = self._transport
        if transport is not None and transport.is_closing():
            raise ClientGone
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        await asyncio.sleep(0)

    async def finish(self) -> None:
        """The clean end."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def pause(self, seconds: float) -> None:
        """Raises `ClientGone` if the client leaves meanwhile."""
        if seconds <= 0:
            return
        if seconds <= _BLINK_S:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._receive_disconnect()
        except TimeoutError:
            return
        raise ClientGone

    async def cut(self, *, reset: bool) -> None:
        """End the connection in the middle of whatever was being said.

        What was written reaches the client first; a reset then makes the kernel send RST.
        """
        transport = self._transport
        if transport is None:
            raise RuntimeError("only the sandbox's own server can cut a connection")
        if reset:
            await self._flush(transport)
            raw: socket.socket = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        await self._receive_disconnect()

    async def _flush(self, transport: asyncio.Transport) -> None:
        try:
            async with asyncio.timeout(_FLUSH_S):
                await asyncio.sleep(_BLINK_S)
                while transport.get_write_buffer_size():  # noqa: ASYNC110  # transports have no event
                    await asyncio.sleep(_BLINK_S)
        except TimeoutError:
            return

    async def _receive_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
