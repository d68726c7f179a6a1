"""Rows 1 to 7 and 30: processes die, servers are away, a disk's content is gone."""

import asyncio
import shutil

import asyncpg

from tests.faults.scene import LONG_WARM_S, RATE_PER_S, Row, Scene
from tests.faults.truth import Bounds

HOT_S = 20.0
"""So long a lease serves at least when it was fresh."""
RECOVERED_S_MAX = 10.0
AWAY_S = 30.0
SPOOL_BYTES_MAX = 2**30


async def router_under_streams(scene: Scene) -> None:
    """Killed while fifty streams run, again and again."""
    rounds, count = (1, 20) if scene.short else (3, 50)
    away: list[float] = []
    for _ in range(rounds):
        running = scene.streams(scene.load, count, tokens=180, delay_ms=60)
        await asyncio.sleep(scene.rng.uniform(2.5, 6.0))
        away.append(await scene.stage.crash("router"))
        await asyncio.gather(*running)
    scene.measure(f"killed {rounds} times, away {max(away):.1f} s at most")


async def router_after_ends(scene: Scene) -> None:
    """Killed in the moment in which answers have just been given."""
    rounds = 3
    for _ in range(rounds):
        asked = [
            scene.question(stream=scene.rng.random() < 0.5, tokens=scene.rng.randint(5, 30))
            for _ in range(30)
        ]
        running = [asyncio.create_task(scene.load.one(each)) for each in asked]
        enough = scene.rng.randint(10, 30)
        while sum(task.done() for task in running) < enough:  # noqa: ASYNC110 - looks at tasks
            await asyncio.sleep(0.001)
        await scene.stage.crash("router")
        await asyncio.gather(*running)
    scene.measure(f"killed {rounds} times")


async def billing_under_load(scene: Scene) -> None:
    """Killed where it happens to be, also between COMMIT and acknowledgement."""
    rounds = 1 if scene.short else 3
    before = scene.stage.said("usage.duplicates")
    async with scene.under_load():
        for _ in range(rounds):
            await asyncio.sleep(scene.rng.uniform(1.0, 2.5))
            await scene.stage.crash("billing")
    scene.measure(
        f"killed {rounds} times, duplicates seen {scene.stage.said('usage.duplicates') - before} times"
    )


async def postgres_under_load(scene: Scene) -> None:
    """All of its processes, five times in twenty seconds."""
    loop = asyncio.get_running_loop()
    async with scene.under_load(warm_s=LONG_WARM_S) as load:
        began_s = killed_s = loop.time()
        for number in range(5):
            await asyncio.sleep(max(0.0, began_s + number * HOT_S / 5 - loop.time()))
            before = scene.stage.kill("postgres")
            killed_s = loop.time()
            if number < 4:
                await scene.stage.back("postgres", before)
        await _answers(scene)
        recovered_s = loop.time() - killed_s
        await asyncio.sleep(max(0.0, began_s + HOT_S - loop.time()))
    hot = [one for one in load.done if began_s <= one.at_s < began_s + HOT_S]
    failed = [one for one in hot if one.answer.status >= 500 or not one.answer.status]
    scene.check(not failed, f"{len(failed)} of {len(hot)} got no answer while it was away")
    scene.check(recovered_s <= RECOVERED_S_MAX, f"recovered after {recovered_s:.1f} s")
    scene.measure(
        f"killed 5 times, {len(failed)} of {len(hot)} failed in {HOT_S:.0f} s, recovered in {recovered_s:.1f} s"
    )


async def _answers(scene: Scene) -> None:
    while True:
        try:
            await scene.query("SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.05)
        else:
            return


async def nats_under_load(scene: Scene) -> None:
    """Killed again and again; what is published meanwhile waits on the router's disk."""
    rounds = 1 if scene.short else 3
    async with scene.under_load() as load:
        for _ in range(rounds):
            await scene.stage.crash("nats")
            await asyncio.sleep(scene.rng.uniform(0.5, 1.5))
    unserved = sum(not one.served for one in load.done)
    scene.check(not unserved, f"{unserved} of {len(load.done)} were not served")
    scene.measure(f"killed {rounds} times, {unserved} not served")


async def nats_away(scene: Scene) -> None:
    """Nobody listens where it was."""
    async with scene.under_load() as load, scene.stage.down("nats"):
        await asyncio.sleep(AWAY_S)
        size = scene.stage.spool_bytes()
    unserved = sum(not one.served for one in load.done)
    scene.check(not unserved, f"{unserved} of {len(load.done)} were not served")
    scene.check(size < SPOOL_BYTES_MAX, f"the spool has {size} bytes")
    scene.measure(f"away {AWAY_S:.0f} s, {unserved} not served, spool {size / 1024:.0f} KiB")


async def nats_loses_acknowledged(scene: Scene) -> None:
    """Billing is away while NATS takes and loses."""
    async with scene.under_load() as load:
        pass
    async with scene.stage.down("billing"):
        await load.at_rate(RATE_PER_S, 5.0)
        await load.drained()
        await asyncio.sleep(1.0)
        unsettled = len(scene.served()) - len((await scene.ledger()).charged)
        async with scene.stage.down("nats"):
            shutil.rmtree(scene.stage.home / "nats" / "store")
    scene.check(unsettled > 0, "nothing was unsettled when it was deleted")
    scene.measure(f"{unsettled} acknowledged and lost")


async def billing_away(scene: Scene) -> None:
    """It is stopped while usage piles up."""
    loop = asyncio.get_running_loop()
    async with scene.under_load() as load:
        async with scene.stage.down("billing"):
            away_s = loop.time()
            await asyncio.sleep(AWAY_S)
            waiting = len(scene.served(away_s))
        back_s = loop.time()
    ok = [one for one in load.done if one.at_s >= back_s and one.served]
    scene.check(bool(ok) or loop.time() - back_s < 1, "nothing is served after its return")
    scene.measure(f"away {AWAY_S:.0f} s, {waiting} answers given meanwhile")


ROWS = (
    Row(
        number="1",
        fault="kill -9 router under 50 streams",
        promise="charged once; estimates within one progress interval",
        play=router_under_streams,
        bounds=Bounds(router_dies=True),
    ),
    Row(
        number="2",
        fault="kill -9 router right after answers end",
        promise="no loss, no double",
        play=router_after_ends,
        bounds=Bounds(router_dies=True),
    ),
    Row(
        number="3",
        fault="kill -9 billing under load",
        promise="no double, charges exact",
        play=billing_under_load,
        settled_within_s=75.0,  # what it had fetched comes again after a minute
    ),
    Row(
        number="4",
        fault="kill -9 PostgreSQL, all processes",
        promise="0 5xx for 20 s on leases; back <= 10 s",
        play=postgres_under_load,
        settled_within_s=75.0,
    ),
    Row(
        number="5",
        fault="kill -9 nats-server",
        promise="nothing lost, all served",
        play=nats_under_load,
        settled_within_s=75.0,
    ),
    Row(
        number="6",
        fault="NATS down for 30 s",
        promise="all served; all settled later",
        play=nats_away,
    ),
    Row(
        number="7",
        fault="NATS folder deleted after acknowledgements",
        promise="0 missing within 120 s",
        play=nats_loses_acknowledged,
        settled_within_s=120.0,
    ),
    Row(
        number="30",
        fault="billing down for 30 s under load",
        promise="catches up, balances exact",
        play=billing_away,
    ),
)
