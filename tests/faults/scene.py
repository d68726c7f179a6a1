"""One row on the stage: its customers, its traffic, what it measured, and the end check."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
from msgspec import Struct

from aibridge_common.ids import uuid7
from aibridge_sandbox.script import directive
from tests.faults.ledger import Ledger, read_ledger
from tests.faults.stage import Stage
from tests.faults.truth import Bounds, Verdict, judge
from tests.fixtures.asking import DIALECTS, VENDORS, Ask, ask
from tests.fixtures.customer import Customer, open_account
from tests.soak.asking import Mix
from tests.soak.load import Done, Load
from tests.soak.vendors import Vendors

ENOUGH_TOKENS = 50_000_000
RATE_PER_S = 8.0
WARM_S = 4.0
LONG_WARM_S = 12.0
"""Leases double while they run out, so an account that was busy for this long has large ones."""
LOOK_EVERY_S = 1.0
REFUSED = frozenset({402, 429, 503, 529})
"""What may be said instead of an answer: 429 is how OpenAI's clients hear of an empty balance."""


class Skipped(Exception):
    """The row needs what this machine has not."""


class Scene:
    """What a row has at hand."""

    def __init__(
        self,
        stage: Stage,
        customer: Customer,
        seed: int,
        say: Callable[[str], None],
        *,
        short: bool,
    ) -> None:
        self.stage = stage
        self.customers = [customer]
        self.rng = random.Random(seed)
        self.say = say
        self.short = short
        self.bounds = Bounds()
        self.measured: list[str] = []
        self.wrong: list[str] = []
        self.since = uuid7()
        self.vendors = Vendors(stage.record.sandbox_url, stage.home / "sandbox.jsonl")
        self._log_at = self.vendors.end_of_log()
        self._loads: list[Load] = []
        self.load = self.load_at(stage.record.base_url)

    @property
    def done(self) -> list[Done]:
        """Every request of the row that has an end."""
        return [one for load in self._loads for one in load.done]

    def load_at(
        self, base_url: str, customer: Customer | None = None, *, quick: bool = False
    ) -> Load:
        """Traffic of a customer of the row."""
        key = (customer or self.customers[0]).key
        mix = Mix(random.Random(self.rng.random()), key, quick=quick)
        load = Load(base_url, mix, random.Random(self.rng.random()))
        self._loads.append(load)
        return load

    async def customer(self, tokens: int) -> Customer:
        """One more."""
        customer = await open_account(self.stage.record, tokens)
        self.customers.append(customer)
        return customer

    @asynccontextmanager
    async def under_load(
        self, per_s: float = RATE_PER_S, warm_s: float = WARM_S
    ) -> AsyncGenerator[Load]:
        """Steady traffic, warm when the body begins, ended to the last answer when it ends."""
        over = asyncio.Event()
        running = asyncio.create_task(self.load.at_rate(per_s, 600.0, over.is_set))
        try:
            await asyncio.sleep(warm_s)
            yield self.load
        finally:
            over.set()
            await running
            await self.load.drained()

    def question(
        self,
        *,
        stream: bool = False,
        model: str | None = None,
        dialect: str | None = None,
        customer: Customer | None = None,
        **words: object,
    ) -> Ask:
        """One request of this row."""
        rng = self.rng
        return ask(
            dialect or rng.choice(DIALECTS),
            model or rng.choice(list(VENDORS)),
            f"{directive(**words)} question {rng.randrange(10**9)}",
            stream=stream,
            key=(customer or self.customers[0]).key,
        )

    def streams(
        self, load: Load, count: int, *, tokens: int, delay_ms: int
    ) -> list[asyncio.Task[Done]]:
        """So many at once, in every dialect and from every vendor."""
        asked = [self.question(stream=True, tokens=tokens, delay_ms=delay_ms) for _ in range(count)]
        return [asyncio.create_task(load.one(each)) for each in asked]

    def check(self, fine: bool, otherwise: str) -> None:
        """A promise of this row alone."""
        if not fine:
            self.wrong.append(otherwise)

    def measure(self, text: str) -> None:
        """For the table."""
        self.measured.append(text)

    def served(self, since_s: float = 0.0, until_s: float = 1e18) -> list[Done]:
        """Those that were begun in this time of the loop's clock and got their answer."""
        return [one for one in self.done if since_s <= one.at_s < until_s and one.served]

    def explain(self) -> None:
        """Why requests were not served."""
        for why, count in Counter(one.why_not for one in self.done if not one.served).most_common(
            4
        ):
            self.say(f"   not served, {count} times: {why[:150]}")

    async def ledger(self) -> Ledger:
        """As it is now."""
        accounts = [customer.account_id for customer in self.customers]
        return await read_ledger(self.stage.record.database_url, accounts, self.since)

    async def end_check(self, within_s: float) -> Verdict:
        """Wait until everything fits; at the latest then say what does not."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            ledger = await self.ledger()
            verdict = judge(self.done, self.vendors.calls(self._log_at), ledger, self.bounds)
            took_s = loop.time() - began_s
            verdict.settled_s = took_s
            if not verdict.wrong or took_s > within_s:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return verdict

    async def close(self) -> None:
        """Leave everything."""
        for load in self._loads:
            load.close()
        await self.vendors.close()

    async def query(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """A look into the database."""
        connection = await asyncpg.connect(self.stage.record.database_url)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()


class Row(Struct, frozen=True, kw_only=True):
    """One row of the acceptance table."""

    number: str
    fault: str
    promise: str
    play: Callable[[Scene], Awaitable[None]]
    bounds: Bounds = Bounds()
    tokens: int = ENOUGH_TOKENS
    """What its customer has."""
    settled_within_s: float = 60.0


class Result(Struct, frozen=True, kw_only=True):
    """How it went."""

    row: Row
    seed: int
    measured: str
    wrong: list[str]
    skipped: str | None = None


async def run_row(
    row: Row, stage: Stage, seed: int, say: Callable[[str], None], *, short: bool = False
) -> Result:
    """Inject, heal, wait, check."""
    say(f"-- row {row.number}: {row.fault}")
    customer = await open_account(stage.record, row.tokens)
    scene = Scene(stage, customer, seed, say, short=short)
    before = (await scene.ledger()).dead_letters
    scene.bounds = row.bounds
    try:
        await row.play(scene)
        scene.explain()
        expected = scene.bounds.dead_letters + before
        scene.bounds = Bounds(
            router_dies=row.bounds.router_dies,
            output_tokens=row.bounds.output_tokens,
            dead_letters=expected,
        )
        verdict = await scene.end_check(row.settled_within_s)
        scene.measure(
            f"{len(scene.done)} requests, {verdict.exact} charges exact, {verdict.estimated} estimated (worst"
            f" {verdict.output_off_max} tokens off), {verdict.free} free, settled in {verdict.settled_s:.0f} s"
        )
    except Skipped as reason:
        return Result(row=row, seed=seed, measured="", wrong=[], skipped=str(reason))
    finally:
        await scene.close()
    wrong = scene.wrong + verdict.wrong
    for each in wrong[:8]:
        say(f"   WRONG: {each}")
    say(f"   {'; '.join(scene.measured)}")
    return Result(row=row, seed=seed, measured="; ".join(scene.measured), wrong=wrong)
