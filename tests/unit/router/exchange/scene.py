"""A scripted vendor on loopback, a client that may leave or stall, and everything between them for real."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

from msgspec import Struct

from aibridge_common.catalog import Chain, Model, MultiplierTexts, Provider
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.billing import AcquireLease, ExtendLease, Lease, RateCard
from aibridge_common.dialect import Dialect, find_endpoint
from aibridge_common.errors import InsufficientBalance, Unavailable
from aibridge_common.events.usage import UsageRecorded
from aibridge_common.ids import uuid7
from aibridge_common.settings import Secret
from aibridge_common.usage import Multipliers
from aibridge_common.web.client import Client
from aibridge_router.catalog.registry import OwnKey, Registry, UpstreamKey
from aibridge_router.credit.wallet import Wallets
from aibridge_router.exchange.asked import read_asked
from aibridge_router.exchange.exchange import Exchange, Services
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.pump import Pumps
from aibridge_router.exchange.repeats import Repeats
from aibridge_router.failover.health import Health
from aibridge_router.failover.walk import Rules, further_budget
from aibridge_router.limits.meters import KeyMeters
from aibridge_router.spool.spool import Spool
from aibridge_router.upstream.egress import EgressPool
from aibridge_router.upstream.fetch import Fetcher
from aibridge_router.upstream.pools import Pools

SAMPLES = Path(__file__).parents[3] / "samples"
KEY = "sk-vendor-secret-0123456789"
ACCOUNT = UUID(int=7)
CARD = Multipliers(
    input=1_000_000,
    output=5_000_000,
    cache_read=100_000,
    cache_write_5m=1_250_000,
    cache_write_1h=2_000_000,
    reasoning=5_000_000,
)
NOTHING: Mapping[str, Any] = MappingProxyType({})
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "gemini_generate": "/v1beta/models/gemini-a:streamGenerateContent",
}
BODIES = {
    "openai_chat": b'{"model":"gpt-a","stream":true,"stream_options":{"include_usage":true},"max_tokens":90}',
    "openai_responses": b'{"model":"gpt-a","stream":true,"input":"hi","max_output_tokens":90}',
    "anthropic_messages": b'{"model":"claude-a","stream":true,"max_tokens":90,"messages":[]}',
    "gemini_generate": b'{"contents":[],"generationConfig":{"maxOutputTokens":90}}',
}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.sse").read_bytes()


class Asked(Struct, frozen=True):
    """A request as the vendor got it."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def provider(self) -> str:
        """Whose path it came under."""
        return self.path.split("/")[1]


class Peer:
    """The vendor's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def answer(self, status: int, body: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def begin_stream(self, *headers: str) -> None:
        kind = "content-type: text/event-stream; charset=utf-8"
        lines = ["HTTP/1.1 200 OK", kind, "transfer-encoding: chunked", *headers]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")

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


class Vendor:
    """Answers every request by its script, or by that of the provider under whose path it came."""

    def __init__(self) -> None:
        self.script: Script = answering(200, b"{}")
        self.scripts: dict[str, Script] = {}
        self.asked: list[Asked] = []
        self.base_url = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                parts = [line.partition(": ") for line in head[1:] if line]
                fields = [(name, value) for name, _, value in parts]
                body = await reader.readexactly(int(dict(fields).get("content-length", "0")))
                asked = Asked(head[0].split(" ")[1], fields, body)
                self.asked.append(asked)
                script = self.scripts.get(asked.provider, self.script)
                await script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks)


def answering(status: int, body: bytes, *headers: str) -> Script:
    async def script(peer: Peer) -> None:
        await peer.answer(status, body, *headers)

    return script


def streaming(*pieces: bytes, end: bool = True) -> Script:
    """Each piece in a read of its own; without `end` the connection is cut inside the answer."""

    async def script(peer: Peer) -> None:
        await peer.begin_stream()
        for piece in pieces:
            await peer.chunk(piece)
            await asyncio.sleep(0)
        if end:
            await peer.end_stream()
        else:
            peer.cut()

    return script


class Browser:
    """The ASGI server's side of a client."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        self.got_some = asyncio.Event()
        self._left = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()

    def leave(self) -> None:
        self._left.set()

    def stall(self) -> None:
        self._reads.clear()

    async def receive(self) -> Any:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self._reads.wait()
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
            return
        self.body += message["body"]
        self.complete = not message["more_body"]
        if self.body:
            self.got_some.set()


class Billing:
    """Grants what is asked until told otherwise."""

    def __init__(self) -> None:
        self.empty = False
        self.away = False
        self.most_microtokens: int | None = None
        """What is free of the balance; None for one without end."""
        self.granted: dict[UUID, int] = {}

    async def acquire_lease(self, command: AcquireLease) -> Lease:
        granted = self._take(int(command.min_microtokens), int(command.want_microtokens))
        self.granted[command.lease_id] = granted
        return self._lease(command.lease_id, one_request=command.for_one)

    async def extend_lease(self, lease_id: UUID, command: ExtendLease) -> Lease:
        before = self.granted[lease_id]
        least, most = int(command.min_microtokens), int(command.granted_microtokens)
        self.granted[lease_id] += self._take(least - before, most - before)
        return self._lease(lease_id)

    def _lease(self, lease_id: UUID, *, one_request: bool = False) -> Lease:
        granted = str(self.granted[lease_id])
        return Lease(
            lease_id=lease_id, granted_microtokens=granted, ttl_s=60, one_request=one_request
        )

    def _take(self, least: int, most: int) -> int:
        if self.away:
            raise Unavailable("billing is away")
        free = self.most_microtokens
        if self.empty or (free is not None and least > free):
            raise InsufficientBalance("no")
        if free is None:
            return most
        taken = min(free, most)
        self.most_microtokens = free - taken
        return taken

    async def release_lease(
        self, lease_id: UUID, keep_microtokens: int = 0, granted_microtokens: int | None = None
    ) -> None:
        """The tests look at what is left in leases."""


class WatchedSpool(Spool):
    """The spool, and what was put into it."""

    events: list[UsageRecorded]

    def __init__(self, folder: Path, router: str, clock: SystemClock) -> None:
        self.events = []
        super().__init__(folder, router, clock)

    def final(self, event: UsageRecorded) -> int:
        self.events.append(event)
        return super().final(event)


class Scene:
    """One router's exchange room with one vendor behind it."""

    def __init__(self, vendor: Vendor, folder: Path) -> None:
        self.vendor = vendor
        self.billing = Billing()
        clock = SystemClock()
        self.spool = WatchedSpool(folder, "router-test", clock)
        self.wallets = Wallets(cast("BillingClient", self.billing), clock, "router-test")
        self.pools = Pools()
        self.egress = EgressPool()
        self.health = Health(random.Random(1))
        self.services = Services(
            pools=self.pools,
            egress=self.egress,
            wallets=self.wallets,
            spool=self.spool,
            clock=clock,
            health=self.health,
            further=further_budget(),
            fetcher=Fetcher(enabled=False),
            rng=random.Random(1),
            repeats=Repeats(),
            meters=KeyMeters(cast("BillingClient", self.billing), clock),
        )
        self.pumps = Pumps()
        self.browser = Browser()
        self.headers: list[tuple[bytes, bytes]] = []
        self.model_options: dict[str, Any] = {}
        self.chains: list[Chain] = []
        self.elsewhere: dict[str, str] = {}
        """Base URLs of providers that are not the vendor."""
        self.cards: dict[str, Multipliers] = {}
        """Prices that are not `CARD`, by model."""
        self.keys: dict[str, list[UpstreamKey]] = {}
        """The operator's keys of a provider, where they are not one each."""
        self.rules = Rules()
        self.left_s = 7.0

    def exchange(
        self,
        dialect: str,
        body: bytes | None = None,
        path: str = "",
        *,
        continuable: bool = False,
        own_keys: Sequence[OwnKey] = (),
    ) -> Exchange:
        endpoint = find_endpoint(path or PATHS[dialect])
        assert endpoint is not None
        inbound = Inbound(
            request_id=uuid7(),
            account_id=ACCOUNT,
            key_id=None,
            headers=self.headers,
            query=b"alt=sse",
            left_s=self.left_s,
        )
        sent = BODIES[dialect] if body is None else body
        asked = read_asked(endpoint, self.registry(), sent, inbound.query, continuation=continuable)
        client = Client(self.browser.receive, self.browser.send)
        return Exchange(self.services, inbound, asked, self.rules, client, own_keys)

    async def serve(self, dialect: str, body: bytes | None = None, path: str = "") -> Browser:
        """One exchange from its start to its end."""
        await self.pumps.run(self.exchange(dialect, body, path))
        return self.browser

    def registry(self) -> Registry:
        return registry(
            self.vendor.base_url,
            chains=self.chains,
            elsewhere=self.elsewhere,
            multipliers=self.cards,
            keys=self.keys,
            **self.model_options,
        )

    @property
    def events(self) -> list[UsageRecorded]:
        return list(self.spool.events)

    @property
    def charged(self) -> int:
        """What the lease book knows of charges; checks that no hold was left behind."""
        charges = 0
        for lease in self.wallets._book.all():
            assert lease.in_flight_microtokens == 0
            charges += lease.granted_microtokens - lease.free_microtokens
        return charges


def registry(
    base_url: str,
    *,
    chains: Sequence[Chain] = (),
    elsewhere: Mapping[str, str] = NOTHING,
    multipliers: Mapping[str, Multipliers] = NOTHING,
    keys: Mapping[str, list[UpstreamKey]] = NOTHING,
    **model_options: Any,
) -> Registry:
    def base(provider: str) -> str:
        return elsewhere.get(provider, f"{base_url}/{provider}")

    def model(name: str, provider: str, **more: Any) -> Model:
        facts: dict[str, Any] = {"context_tokens": 100_000, "max_output_tokens": 1000}
        return Model(
            id=name,
            title=name,
            provider=provider,
            multipliers=MultiplierTexts(input="1", output="5"),
            **{**facts, **more, **model_options},
        )

    providers = [
        Provider(
            name="openai",
            title="OpenAI",
            base_url=base("openai"),
            paths={
                Dialect.OPENAI_CHAT: "/v1/chat/completions",
                Dialect.OPENAI_RESPONSES: "/v1/responses",
            },
        ),
        Provider(
            name="anthropic",
            title="Anthropic",
            base_url=base("anthropic"),
            auth="x-api-key",
            paths={
                Dialect.ANTHROPIC_MESSAGES: "/v1/messages",
                Dialect.OPENAI_CHAT: "/v1/chat/completions",
            },
            headers={"anthropic-version": "2023-06-01"},
        ),
        Provider(
            name="google",
            title="Google",
            base_url=base("google"),
            auth="x-goog-api-key",
            paths={
                Dialect.GEMINI_GENERATE: "/v1beta/models/{model}:{verb}",
                Dialect.OPENAI_CHAT: "/v1beta/openai/chat/completions",
            },
        ),
    ]
    models = [
        model("gpt-a", "openai", aliases=["gpt-alias"]),
        model("gpt-b", "openai", upstream_model="gpt-b-2026"),
        model("claude-a", "anthropic"),
        model("gemini-a", "google", upstream_model="gemini-a-001"),
    ]
    began = datetime(2026, 1, 1, tzinfo=UTC)
    cards = [
        RateCard(
            model=one.id,
            version=3,
            valid_from=began,
            multipliers=multipliers.get(one.id, CARD),
        )
        for one in models
    ]
    all_keys = {
        provider.name: [UpstreamKey(id=UUID(int=number), secret=Secret(KEY))]
        for number, provider in enumerate(providers)
    }
    return Registry(models, providers, {**all_keys, **keys}, cards, chains=list(chains))


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Scene]:
    vendor = Vendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    scene = Scene(vendor, folder)
    watch = asyncio.ensure_future(scene.pumps.watch())
    try:
        yield scene
    finally:
        watch.cancel()
        scene.pools.close()
        scene.spool.close()
        server.close()
        await vendor.close()
        with suppress(asyncio.CancelledError):
            await watch
