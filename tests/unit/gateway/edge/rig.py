"""The real edge under uvicorn, between a scripted router on a Unix socket and whoever connects."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import uvicorn
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from aibridge_common.clients.auth import AuthClient
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.auth import KeyFacts, KeyVerdict
from aibridge_common.errors import Unavailable
from aibridge_common.settings import Secret
from aibridge_common.web.drain import Drain
from aibridge_common.web.overload import Limiter
from aibridge_gateway.edge.addresses import ClientAddresses
from aibridge_gateway.edge.admission import Admission
from aibridge_gateway.edge.forward import Forwarder, RouterAt
from aibridge_gateway.edge.keyring import Keyring
from aibridge_gateway.edge.relay import Relay

FACTS = KeyFacts(key_id=UUID(int=3), account_id=UUID(int=2))
TOKEN = "token-of-the-gateway"
CONCURRENCY_MAX, ACCOUNT_CONCURRENCY_MAX = 20, 12


class FakeAuth:
    """Knows one key."""

    def __init__(self) -> None:
        self.away = False
        self.broken = False
        self.facts = FACTS

    async def verify_key(self, key: str) -> KeyVerdict:
        if self.away:
            raise Unavailable("auth is away")
        if self.broken:
            raise RuntimeError("secret detail")
        return KeyVerdict(facts=self.facts) if key == "ab-live" else KeyVerdict(reason="unknown")


class Asked(Struct, frozen=True):
    """A request as the router got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """The router's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def answer(self, status: int, body: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def begin_stream(self) -> None:
        await self.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def send(self, data: bytes) -> None:
        with suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def left(self) -> None:
        """Wait until the other end closes."""
        with suppress(OSError):
            await self.reader.read()

    def cut(self) -> None:
        self._writer.close()


Script = Callable[[Peer], Awaitable[None]]


async def say_ok(peer: Peer) -> None:
    await peer.answer(200, b'{"ok":true}', "content-type: application/json", "server: router")


class Router:
    """Answers every request by its script."""

    listening: asyncio.Server

    def __init__(self) -> None:
        self.script: Script = say_ok
        self.asked: list[Asked] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                parts = [line.partition(": ") for line in head[1:] if line]
                headers = {name: value for name, _, value in parts}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.asked.append(Asked(method, target, headers, body))
                await self.script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks)


class Edge:
    """A running edge."""

    def __init__(
        self,
        routers: list[Router],
        auth: FakeAuth,
        port: int,
        http: httpx.AsyncClient,
        limiter: Limiter,
        drain: Drain,
        forwarder: Forwarder,
    ) -> None:
        self.router, *_ = self.routers = routers
        self.auth = auth
        self.port = port
        self.http = http
        self.limiter = limiter
        self.drain = drain
        self.forwarder = forwarder

    async def post(
        self, path: str, body: bytes = b"{}", *, key: str | None = "ab-live", **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("content-type", "application/json")
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        return await self.http.post(path, content=body, headers=sent)

    async def connect(
        self, path: str, body: bytes, *, length: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A plain socket on which a request was sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [
            f"POST {path} HTTP/1.1",
            "host: edge",
            "x-api-key: ab-live",
            "content-type: application/json",
            f"content-length: {len(body) if length is None else length}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return reader, writer


@asynccontextmanager
async def running(directory: Path, routers: int = 1) -> AsyncGenerator[Edge]:
    behind = {
        directory / f"router{f'-{number}' if number else ''}.sock": Router()
        for number in range(routers)
    }
    auth = FakeAuth()
    for path, router in behind.items():
        router.listening = await asyncio.start_unix_server(router.serve, path)
    clock = SystemClock()
    keyring = Keyring(cast("AuthClient", auth), clock)
    drain = Drain(600)
    limiter, forwarder = (
        Limiter(CONCURRENCY_MAX),
        Forwarder(RouterAt.parse(",".join(f"unix:{path}" for path in behind))),
    )
    drain.on_last_call(forwarder.last_call)
    admission = Admission(limiter, ACCOUNT_CONCURRENCY_MAX)
    relay = Relay(
        keyring, ClientAddresses("127.0.0.0/8"), admission, forwarder, drain, clock, Secret(TOKEN)
    )

    async def serve_relay(scope: Scope, receive: Receive, send: Send) -> None:
        await relay(scope, receive, send)

    app = Litestar(
        [
            asgi("/v1", is_mount=True, copy_scope=False)(serve_relay),
            asgi("/v1beta", is_mount=True, copy_scope=False)(serve_relay),
        ],
        openapi_config=None,
        logging_config=None,
    )
    config = uvicorn.Config(
        app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.ensure_future(server.serve(sockets=[sock]))
        port: int = sock.getsockname()[1]
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as http:
            try:
                yield Edge([*behind.values()], auth, port, http, limiter, drain, forwarder)
            finally:
                for router in behind.values():
                    router.listening.close()
                    await router.close()
                forwarder.close()
                server.should_exit = server.force_exit = True
                await serving
