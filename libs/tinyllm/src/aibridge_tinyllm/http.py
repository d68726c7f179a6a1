"""As much of ASGI as one small server needs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aibridge_tinyllm.refusal import Refusal

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"
_BODY_BYTES_MAX = 1024 * 1024
"""Far more than the context holds."""


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.started = False
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._receive = receive
        self._send = send

    def header(self, name: bytes) -> str:
        """Empty if there is none."""
        return dict(self._headers).get(name, b"").decode("latin-1")

    async def body(self) -> bytes:
        """To its end. Raises `Refusal` for one that is too large."""
        body = bytearray()
        more = True
        while more and len(body) <= _BODY_BYTES_MAX:
            message = await self._receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > _BODY_BYTES_MAX:
            raise Refusal(413, f"The request has more than {_BODY_BYTES_MAX} bytes.")
        return bytes(body)

    @asynccontextmanager
    async def calling_when_left(self, left: Callable[[], None]) -> AsyncGenerator[None]:
        """Inside, `left` is called when the client goes away. For after the body was read."""

        async def watch() -> None:
            while (await self._receive())["type"] != "http.disconnect":
                pass
            left()

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()

    async def start(self, status: int, content_type: str, **headers: str) -> None:
        """Status and headers."""
        told = {"content-type": content_type, **headers}
        raw = [
            (name.replace("_", "-").encode(), value.encode("latin-1"))
            for name, value in told.items()
        ]
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """A part of the answer; nothing happens if the client is gone."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(
        self, status: int, body: bytes, content_type: str = JSON, **headers: str
    ) -> None:
        """Everything at once."""
        await self.start(status, content_type, content_length=str(len(body)), **headers)
        await self.write(body, more=False)
