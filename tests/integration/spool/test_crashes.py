"""Whatever is killed, usage is charged once: real files, a real bus, a real ledger, processes that die."""

import asyncio
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from aibridge_billing.ledger.journal import Settled
from aibridge_billing.metering import consumer
from aibridge_billing.metering.settlement import Settlement
from aibridge_common.events.usage import Outcome
from aibridge_devstack.echo import Echo
from aibridge_devstack.nats import nats_service, nats_url
from aibridge_devstack.ports import free_ports
from aibridge_devstack.supervisor import Supervisor
from tests.fixtures.books import Books
from tests.fixtures.services import forget_usage, running_billing, until
from tests.fixtures.tiny_disk import fill

from .killed import Router

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
SEED = int(os.environ.get("AIBRIDGE_TEST_SEED", str(random.randrange(2**32))))


@pytest.fixture
async def account(books: Books) -> UUID:
    return await books.account(10**9)


@pytest.fixture
async def billing(billing_url: str, nats_url: str) -> AsyncIterator[str]:
    await forget_usage(nats_url)
    async with running_billing(billing_url, nats_url) as url:
        yield url


async def charged(books: Books, account: UUID) -> dict[UUID, tuple[int, int]]:
    """Outcome and output of every charge of the account."""
    rows = await books.rows(
        "SELECT event_id, outcome, output_tok FROM usage_event WHERE account_id = :id", id=account
    )
    return {row.event_id: (row.outcome, row.output_tok) for row in rows}


async def check(books: Books, account: UUID, router: Router, within_s: float = 40.0) -> None:
    """What ended is charged in full, what did not from its last words, and nothing twice."""
    ended, passed = router.said("ended"), router.passed()

    async def all_there() -> bool:
        return (ended | set(passed)) <= (await charged(books, account)).keys()

    await until(all_there, within_s)
    found = await charged(books, account)
    for request, (outcome, output) in found.items():
        if request in ended:
            assert (outcome, output) == (Outcome.COMPLETED, 40)
        elif outcome == Outcome.RECOVERED:
            # It may have written one step more than it lived to say.
            assert passed.get(request, 0) <= output <= passed.get(request, 0) + 10
    assert found.keys() <= router.said("began")


async def test_a_router_killed_again_and_again_charges_every_exchange_once(
    books: Books, account: UUID, billing: str, nats_url: str, tmp_path: Path
) -> None:
    sys.stdout.write(f"AIBRIDGE_TEST_SEED={SEED}\n")
    rng = random.Random(SEED)
    router = Router(tmp_path / "spool", nats_url, billing, account)
    for _ in range(5):
        with router:
            router.serve(1000)
            before = len(router.said("began"))
            await until(lambda seen=before: served(router, seen + 40), within_s=40)
            await asyncio.sleep(rng.uniform(0, 0.3))
    with router:
        await check(books, account, router)
        await until(lambda: only_its_own_segment(router))
        assert router.stop() == 0
    outcomes = [outcome for outcome, _ in (await charged(books, account)).values()]

    assert outcomes.count(Outcome.RECOVERED) > 5
    assert outcomes.count(Outcome.COMPLETED) > 100


async def served(router: Router, count: int) -> bool:
    return len(router.said("ended")) > 0 and len(router.said("began")) >= count


async def only_its_own_segment(router: Router) -> bool:
    """Everything that earlier runs left was settled and deleted."""
    return router.segments == 1


async def test_a_bus_that_loses_what_it_acknowledged_is_healed(
    books: Books, account: UUID, billing_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data is deleted after the acknowledgement, before billing read any of it."""
    monkeypatch.setattr(consumer, "RETRY_S", 0.2)
    [port, monitor] = free_ports(2)
    service = nats_service(tmp_path / "nats", port=port, monitor_port=monitor, password="p")
    url = nats_url(port=port, password="p")
    with (tmp_path / "servers.log").open("w") as log:
        async with Supervisor(echo=Echo(log)) as first:
            await first.start(service)
            async with running_billing(billing_url, url) as at:
                router = Router(tmp_path / "spool", url, at, account)
                with router:
                    router.serve(1)
                    await until(lambda: served(router, 20), within_s=40)
                    await check(books, account, router)
            with router:  # billing is away now; the bus takes everything
                before = len(router.said("ended"))
                router.serve(3)
                await until(lambda: served(router, before + 60), within_s=40)
                assert router.stop() == 0
        shutil.rmtree(tmp_path / "nats" / "store")
        async with Supervisor(echo=Echo(log)) as second:
            await second.start(service)
            async with running_billing(billing_url, url) as at:
                router = Router(tmp_path / "spool", url, at, account)
                with router:
                    await check(books, account, router)
    assert len(await charged(books, account)) == 80


class Stopped(Settlement):
    """Commits, and then the process is gone before it can acknowledge anything."""

    died = 0

    async def apply(self, payloads: list[bytes]) -> Settled:
        settled = await super().apply(payloads)
        if Stopped.died < 3:
            Stopped.died += 1
            raise OSError("killed here")
        return settled


async def test_billing_that_dies_between_commit_and_acknowledgement_charges_once(
    books: Books,
    account: UUID,
    billing_url: str,
    nats_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aibridge_billing.app.Settlement", Stopped)
    monkeypatch.setattr(consumer, "RETRY_S", 0.2)
    await forget_usage(nats_url)
    async with running_billing(billing_url, nats_url) as at:
        router = Router(tmp_path / "spool", nats_url, at, account)
        with router:
            router.serve(5)
            await until(lambda: served(router, 100), within_s=40)
            await check(books, account, router)
            assert router.stop() == 0

    assert Stopped.died == 3
    assert len(await charged(books, account)) == 100
    assert (await books.state(account)).spent_microtokens == 100 * (7 + 2 * 40)


async def test_a_full_disk_takes_no_new_work_and_loses_nothing(
    books: Books, account: UUID, billing: str, nats_url: str, tmp_path: Path, tiny_disk: Path
) -> None:
    """Somebody else fills the disk while exchanges run; when it has room again, so has the router."""
    router = Router(tiny_disk / "spool", nats_url, billing, account)
    router._said = tmp_path / "said"
    with router:
        router.serve(4)
        await until(lambda: served(router, 80), within_s=40)
        filler = fill(tiny_disk)
        router.serve(40)
        await until(lambda: refused(router), within_s=40)
        await check(books, account, router)
        filler.unlink()
        before = len(router.said("ended"))
        await asyncio.sleep(1.5)
        router.serve(1)
        await until(lambda: served_more(router, before + 20), within_s=40)
        await check(books, account, router)
        assert router.stop() == 0
    with router:
        await check(books, account, router)


async def refused(router: Router) -> bool:
    return len(router.said("refused")) > 20


async def served_more(router: Router, count: int) -> bool:
    return len(router.said("ended")) >= count
