"""Requests at a rate or by a number of customers; what each came to is kept."""

import asyncio
import random
from collections.abc import Callable

from msgspec import Struct

from tests.fixtures.asking import Ask
from tests.soak.asking import Mix
from tests.soak.wire import Answer, Wire

TIMEOUT_S = 60.0
IN_FLIGHT_MAX = 400
"""Beyond this the load is not the one that was asked for, and the run says so."""


class Done(Struct, frozen=True, kw_only=True):
    """One request and its end; times are of the loop's clock."""

    ask: Ask
    answer: Answer
    at_s: float

    @property
    def request_id(self) -> str:
        """As the vendors and the ledger know it; empty where no answer began."""
        return self.answer.headers.get("x-aibridge-request-id", "")

    @property
    def served(self) -> bool:
        """Whether the client got what it asked for, or left before it could."""
        answer = self.answer
        if answer.status != 200 or answer.trouble is not None:
            return False
        return answer.left or self.ask.is_complete(answer.body)

    @property
    def why_not(self) -> str:
        """What it got instead, in short."""
        if self.answer.trouble is not None:
            return self.answer.trouble
        return f"{self.answer.status} {self.answer.body[:240].decode(errors='replace')}"


class Load:
    """A source of requests; `done` grows while it runs."""

    def __init__(self, base_url: str, mix: Mix, rng: random.Random) -> None:
        self.done: list[Done] = []
        self.skipped = 0
        self.in_flight_max = IN_FLIGHT_MAX
        self._wire = Wire(base_url)
        self._mix = mix
        self._rng = rng
        self._running: set[asyncio.Task[None]] = set()

    async def at_rate(
        self, per_s: float, for_s: float, until: Callable[[], bool] | None = None
    ) -> None:
        """Open loop: requests come when they come (a Poisson process), however long others take."""
        loop = asyncio.get_running_loop()
        due_s, ends_s = loop.time(), loop.time() + for_s
        while (due_s := due_s + self._rng.expovariate(per_s)) < ends_s and not (until and until()):
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if len(self._running) >= self.in_flight_max:
                self.skipped += 1
                continue
            self._start(self._mix.draw())

    async def by_customers(self, customers: int, for_s: float) -> None:
        """Closed loop without think time: as much as comes out."""
        ends_s = asyncio.get_running_loop().time() + for_s

        async def customer() -> None:
            while asyncio.get_running_loop().time() < ends_s:
                await self.one(self._mix.draw())

        await asyncio.gather(*(customer() for _ in range(customers)))

    async def one(self, asked: Ask) -> Done:
        """One request to its end."""
        at_s = asyncio.get_running_loop().time()
        answer = await self._wire.post(
            asked.path,
            asked.headers,
            asked.body,
            timeout_s=TIMEOUT_S,
            leave_after=asked.leave_after,
        )
        done = Done(ask=asked, answer=answer, at_s=at_s)
        self.done.append(done)
        return done

    async def drained(self) -> None:
        """Wait for what is in flight."""
        while self._running:
            await asyncio.wait(self._running)

    def close(self) -> None:
        """Leave every connection."""
        self._wire.close()

    @property
    def in_flight(self) -> int:
        """Requests without an end yet."""
        return len(self._running)

    def _start(self, asked: Ask) -> None:
        async def run() -> None:
            await self.one(asked)

        task = asyncio.create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
