"""Row 26 of the acceptance table: SIGTERM under a hundred streams, and every process restarted three times in turn.

Two pairs of gateway and router stand behind a balancer that does what a Kubernetes Service does: a pair is taken out
of it before it is told to stop, and put back when it is ready.
"""

import asyncio
import random
import signal
import tempfile
from collections import Counter
from pathlib import Path

import asyncpg

from aibridge_sandbox.script import directive
from tests.fixtures.asking import DIALECTS, VENDORS, Ask, ask
from tests.fixtures.pair import Pair
from tests.soak.load import Done
from tests.soak.site import Site
from tests.soak.table import Figure
from tests.soak.wire import Wire

STREAMS = 100
STREAM_S = 5.0
REQUESTS_PER_S = 10.0
ROUNDS = 3
TIMEOUT_S = 60.0
RETURNED_WITHIN_S = 20.0


class Balancer:
    """Gives each request to the next pair that is in."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._wires = {pair.name: Wire(pair.base_url) for pair in pairs}
        self._turn = 0
        self.inside = [pair.name for pair in pairs]

    def wire(self) -> Wire:
        """The next one's."""
        self._turn += 1
        return self._wires[self.inside[self._turn % len(self.inside)]]

    def close(self) -> None:
        """Leave every connection."""
        for wire in self._wires.values():
            wire.close()


class Traffic:
    """A hundred streams at any time, and short requests at a rate."""

    def __init__(self, balancer: Balancer, key: str, seed: int) -> None:
        self.streams: list[Done] = []
        self.requests: list[Done] = []
        self.over = False
        self._balancer = balancer
        self._key = key
        self._rng = random.Random(seed)

    async def run(self) -> None:
        """Until it is told that it is over; then to the last one's end."""
        await asyncio.gather(self._short(), *(self._long() for _ in range(STREAMS)))

    async def _long(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, STREAM_S))
        while not self.over:
            words = directive(tokens=50, delay_ms=STREAM_S * 1000 / 50)
            self.streams.append(await self._send(words, stream=True))

    async def _short(self) -> None:
        running: list[asyncio.Task[None]] = []
        while not self.over:
            await asyncio.sleep(1 / REQUESTS_PER_S)
            running.append(asyncio.create_task(self._one()))
        await asyncio.gather(*running)

    async def _one(self) -> None:
        self.requests.append(await self._send(directive(tokens=5), stream=False))

    async def _send(self, words: str, *, stream: bool) -> Done:
        rng = self._rng
        asked = self._ask(f"{words} question {rng.randrange(10**9)}", stream=stream)
        at_s = asyncio.get_running_loop().time()
        answer = await self._balancer.wire().post(
            asked.path, asked.headers, asked.body, timeout_s=TIMEOUT_S
        )
        return Done(ask=asked, answer=answer, at_s=at_s)

    def _ask(self, text: str, *, stream: bool) -> Ask:
        model = self._rng.choice(list(VENDORS))
        return ask(self._rng.choice(DIALECTS), model, text, stream=stream, key=self._key)


async def rolling(site: Site, rounds: int = ROUNDS) -> list[Figure]:
    """Every process of both pairs in turn, so many times over."""
    with tempfile.TemporaryDirectory(prefix="aib-") as folder:  # a socket's path must be short
        pairs = [Pair(site.stack, Path(folder), f"rolling-{n}") for n in range(2)]
        try:
            return await _roll(site, pairs, rounds)
        finally:
            for pair in pairs:
                pair.kill()


async def _roll(site: Site, pairs: list[Pair], rounds: int) -> list[Figure]:
    await asyncio.gather(*(pair.start() for pair in pairs))
    balancer = Balancer(pairs)
    traffic = Traffic(balancer, site.stack.demo_key, site.seed)
    running = asyncio.create_task(traffic.run())
    codes: Counter[int] = Counter()
    try:
        await asyncio.sleep(STREAM_S)
        for number in range(rounds):
            for pair in pairs:
                site.say(f"-- round {number + 1}: {pair.name} restarts, {_so_far(traffic)}")
                balancer.inside.remove(pair.name)
                for service in ("gateway", "router"):
                    pair.terminate(service)
                    codes[await pair.gone(service)] += 1
                await pair.start()
                balancer.inside.append(pair.name)
                await asyncio.sleep(1.0)
    finally:
        traffic.over = True
        await running
        balancer.close()
    broken = [one for one in traffic.streams if not one.served]
    failed = [one for one in traffic.requests if not one.served]
    for why, count in Counter(one.why_not for one in broken + failed).most_common(8):
        site.say(f"not served, {count} times: {why}")
    for pair in pairs:
        pair.terminate("gateway")
        pair.terminate("router")
        codes[await pair.gone("gateway")] += 1
        codes[await pair.gone("router")] += 1
    return [
        Figure(name="streams", value=len(traffic.streams), unit="count"),
        Figure(name="broken streams", value=len(broken), unit="count", at_most=0),
        Figure(name="new requests", value=len(traffic.requests), unit="count"),
        Figure(name="failed new requests", value=len(failed), unit="count", at_most=0),
        Figure(name="processes ended", value=codes.total(), unit="count"),
        Figure(
            name="ended by more than the signal",
            value=codes.total() - codes[0] - codes[-signal.SIGTERM],
            unit="count",
            at_most=0,
        ),
        Figure(
            name="left reserved by the routers that ended",
            value=await _left_reserved(site, [pair.name for pair in pairs]),
            unit="microtokens",
            at_most=0,
        ),
    ]


def _so_far(traffic: Traffic) -> str:
    done = traffic.streams + traffic.requests
    return f"{len(done)} done, {sum(not one.served for one in done)} not served"


async def _left_reserved(site: Site, holders: list[str]) -> int:
    """What the ledger still sets aside for them once their charges are settled."""
    connection = await asyncpg.connect(site.stack.database_url)
    try:
        give_up_s = asyncio.get_running_loop().time() + RETURNED_WITHIN_S
        while True:
            left: int = await connection.fetchval(
                "SELECT coalesce(sum(remaining_utok), 0)::bigint FROM billing.reservation"
                " WHERE state = 0 AND holder = ANY($1)",
                holders,
            )
            if not left or asyncio.get_running_loop().time() > give_up_s:
                return left
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
