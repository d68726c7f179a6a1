"""The end of a balance, with real PostgreSQL, NATS and billing: spent to its last hold and never beyond."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.billing import AcquireLease, Lease
from aibridge_common.errors import AIBridgeError, InsufficientBalance, Unavailable
from aibridge_common.settings import Secret
from aibridge_router.credit import wallet
from aibridge_router.credit.book import Hold
from aibridge_router.credit.line import RECALL_WITHIN_S
from aibridge_router.credit.wallet import Wallets
from tests.fixtures.books import Books, charge
from tests.fixtures.services import TOKEN, running_billing, until

pytestmark = pytest.mark.anyio

HOLD = 1000


@pytest.fixture
async def address(billing_url: str, clean_stream: str) -> AsyncIterator[str]:
    async with running_billing(billing_url, clean_stream) as url:
        yield url


class Worker:
    """The credit room of one router, and what its spool has not handed over yet."""

    def __init__(self, wallets: Wallets, books: Books) -> None:
        self.wallets = wallets
        self._books = books
        self._sequence = self._watermark = 0
        self._settled: set[int] = set()

    async def serve(self, account: UUID, hold: Hold, cost: int) -> None:
        """The request ends; its charge is settled and then known to be."""
        self._sequence += 1
        sequence = self._sequence
        self.wallets.finish(hold, cost, sequence)
        await self._books.settle(charge(account, cost, lease_id=hold.lease_id))
        self._settled.add(sequence)
        while self._watermark + 1 in self._settled:
            self._watermark += 1
        self.wallets.applied(self._watermark)


@asynccontextmanager
async def workers(
    count: int, address: str, nats_url: str, books: Books
) -> AsyncGenerator[list[Worker]]:
    """They run; at their end they give everything back."""
    async with AsyncExitStack() as stack:
        running: list[Worker] = []
        for number in range(count):
            client = BillingClient(address, Secret(TOKEN))
            wallets = Wallets(client, SystemClock(), f"router-{number}")
            bus = await Bus.connect(nats_url, f"router-{number}")
            task = asyncio.create_task(wallets.run(bus))
            stack.push_async_callback(end, task, wallets, client, bus)
            running.append(Worker(wallets, books))
        await asyncio.sleep(0.1)
        yield running


async def end(task: asyncio.Task[None], wallets: Wallets, client: BillingClient, bus: Bus) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await wallets.give_all_back()
    await client.close()
    await bus.close()


class Outcome(Struct):
    """Of many requests."""

    served: int = 0
    refused: int = 0


async def test_two_hundred_race_for_the_last_ten(address: str, nats_url: str, books: Books) -> None:
    """Each costs all it may; none has ended before the last was decided on."""
    account = await books.account(10 * HOLD + HOLD // 20)

    async with workers(2, address, nats_url, books) as running:
        results = await asyncio.gather(
            *(running[number % 2].wallets.hold(account, HOLD) for number in range(200)),
            return_exceptions=True,
        )
        holds = [each for each in results if isinstance(each, Hold)]
        refused = [each for each in results if isinstance(each, InsufficientBalance)]

        assert (len(holds), len(refused)) == (10, 190)
        assert {each.retry_after_s for each in refused} == {2}

        by_worker = {id(results[number]): running[number % 2] for number in range(200)}
        for hold in holds:
            await by_worker[id(hold)].serve(account, hold, HOLD)

    state = await books.state(account)
    assert (state.spent_microtokens, state.debt_microtokens) == (10 * HOLD, 0)
    assert state.reserved_microtokens == 0


async def test_four_workers_spend_a_balance_for_a_tenth_of_the_demand(
    address: str, nats_url: str, books: Books
) -> None:
    """Requests cost less than they may, come all the time, and are tried at every worker alike."""
    demand, cost = 800, 400
    account = await books.account(demand // 10 * cost)
    outcome = Outcome()

    async with workers(4, address, nats_url, books) as running:
        turns = asyncio.Semaphore(24)

        async def request(number: int) -> None:
            worker = running[number % 4]
            async with turns:
                try:
                    hold = await worker.wallets.hold(account, HOLD)
                except InsufficientBalance:
                    outcome.refused += 1
                    return
                await asyncio.sleep(0.002)
                await worker.serve(account, hold, cost)
                outcome.served += 1

        await asyncio.gather(*(request(number) for number in range(demand)))
        # The last of it, one after another: what the tail cannot serve is less than a hold.
        with contextlib.suppress(InsufficientBalance):
            while True:
                worker = running[outcome.served % 4]
                await worker.serve(account, await worker.wallets.hold(account, HOLD), cost)
                outcome.served += 1

    state = await books.state(account)
    assert state.debt_microtokens == 0
    assert state.spent_microtokens == outcome.served * cost
    assert state.reserved_microtokens == 0
    assert state.posted_microtokens < HOLD, outcome


async def test_a_recall_lets_another_worker_serve(
    address: str, nats_url: str, books: Books
) -> None:
    account = await books.account(10 * HOLD)

    async with workers(2, address, nats_url, books) as running:
        first, second = running
        busy = await first.wallets.hold(account, HOLD)
        # Half of the balance is with the first; the second asks for more than the other half.
        began_s = asyncio.get_running_loop().time()
        hold = await second.wallets.hold(account, 8 * HOLD)
        took_s = asyncio.get_running_loop().time() - began_s
        assert took_s < RECALL_WITHIN_S + 0.5
        await first.serve(account, busy, HOLD)
        await second.serve(account, hold, 8 * HOLD)

    state = await books.state(account)
    assert (state.posted_microtokens, state.debt_microtokens) == (HOLD, 0)


async def test_without_billing_all_who_wait_are_told_at_once(
    nats_url: str, books: Books, tmp_path: Any
) -> None:
    account = await books.account(10 * HOLD)

    async with workers(1, f"unix:{tmp_path}/nobody", nats_url, books) as [worker]:
        began_s = asyncio.get_running_loop().time()
        results = await asyncio.gather(
            *(worker.wallets.hold(account, HOLD) for _ in range(100)), return_exceptions=True
        )

        assert {type(each) for each in results} == {Unavailable}
        assert asyncio.get_running_loop().time() - began_s < 0.5


class LosesAnswers(BillingClient):
    """Billing hears and does everything; its answers to lease requests get lost."""

    lost = 0

    async def acquire_lease(self, command: AcquireLease) -> Lease:
        await super().acquire_lease(command)
        self.lost += 1
        raise Unavailable("the answer was lost")


async def test_a_lost_answer_leaves_nothing_reserved(address: str, books: Books) -> None:
    account = await books.account(10 * HOLD)
    async with LosesAnswers(address, Secret(TOKEN)) as client:
        wallets = Wallets(client, SystemClock(), "router-0")
        with pytest.raises(AIBridgeError):
            await wallets.hold(account, HOLD)

        assert client.lost == wallet.ASKS_MAX
        await until(lambda: nothing_reserved(books, account), within_s=2)


async def nothing_reserved(books: Books, account: UUID) -> bool:
    return (await books.state(account)).reserved_microtokens == 0
