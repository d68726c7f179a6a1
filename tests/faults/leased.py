"""Rows 11, 12, 14, 15 and 34: nothing is admitted that nobody set aside."""

import asyncio

from aibridge_common.clock import SystemClock
from aibridge_common.ids import parse_request_id
from tests.faults.scene import REFUSED, Row, Scene
from tests.faults.truth import Bounds

LEASE_S = 30.0
HELD_S = 45.0
REFUSED_WITHIN_S = 12.0
"""Billing is waited for 5 s, and once more."""
LAST_TOKENS = 20_000
FEW_TOKENS = 3_000
MICROTOKENS = 1_000_000
HOLD_MICROTOKENS = 4_000 * MICROTOKENS
"""More than any request of these rows may cost."""


async def router_stopped(scene: Scene) -> None:
    """It wakes after its leases have ended, and requests wait at its door."""
    clock = SystemClock()
    async with scene.under_load(4.0):
        await asyncio.sleep(2.0)
    async with scene.stage.held("router"):
        await asyncio.sleep(HELD_S - 3.0)
        running = [
            asyncio.create_task(scene.load.one(scene.question(tokens=10))) for _ in range(20)
        ]
        await asyncio.sleep(3.0)
        woke_at = clock.now()
    done = await asyncio.gather(*running)
    served = [parse_request_id(one.request_id) for one in done if one.served]
    await asyncio.sleep(3.0)
    old = await scene.query(
        "SELECT e.event_id FROM billing.usage_event e JOIN billing.reservation r ON r.id = e.reservation_id"
        " WHERE e.event_id = ANY($1) AND r.created_at < $2",
        served,
        woke_at,
    )
    scene.check(not old, f"{len(old)} were admitted on a lease that had ended")
    scene.check(bool(served), "nothing is served after it woke")
    scene.measure(
        f"{len(served)} of {len(done)} that waited were served, {len(old)} on an old lease"
    )


async def billing_unreachable(scene: Scene) -> None:
    """It takes connections and says nothing, for longer than a lease lives."""
    loop = asyncio.get_running_loop()
    async with scene.under_load(4.0) as load:
        began_s = loop.time()
        async with scene.stage.held("billing"):
            await asyncio.sleep(HELD_S)
            ended_s = loop.time()
    late = [one for one in load.done if began_s + LEASE_S <= one.at_s < ended_s - REFUSED_WITHIN_S]
    # Who waited until it spoke again has a lease of then.
    admitted = [one for one in late if one.served and one.at_s + one.answer.took_s < ended_s]
    refused = [one for one in late if not one.served]
    odd = [one for one in refused if one.answer.status not in REFUSED]
    scene.check(not admitted, f"{len(admitted)} were admitted after every lease had ended")
    slow = [one for one in late if one.answer.took_s > REFUSED_WITHIN_S]
    scene.check(not slow, f"{len(slow)} waited for more than {REFUSED_WITHIN_S:.0f} s for a word")
    scene.check(not odd, f"{len(odd)} were refused with something else: {odd[:1]}")
    scene.measure(
        f"{len(late)} asked after the leases, {len(admitted)} admitted, {len(refused)} refused"
    )


async def last_tokens_at_a_rate(scene: Scene) -> None:
    """Far more is asked for than is there."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + 35.0

    async def customer() -> None:
        while loop.time() < ends_s:
            one = await scene.load.one(scene.question(model="gpt-4o", tokens=60))
            if not one.served:
                await asyncio.sleep(0.4)

    await asyncio.gather(*(customer() for _ in range(30)))
    await _say_what_is_left(scene, LAST_TOKENS)


async def last_tokens_at_once(scene: Scene) -> None:
    """Two hundred want them in the same moment."""
    asked = [scene.question(model="gpt-4o", tokens=80) for _ in range(200)]
    await asyncio.gather(*(scene.load.one(each) for each in asked))
    await _say_what_is_left(scene, FEW_TOKENS)


async def _say_what_is_left(scene: Scene, tokens: int) -> None:
    unserved = [one for one in scene.done if not one.served]
    odd = [one for one in unserved if one.answer.status not in REFUSED]
    scene.check(not odd, f"{len(odd)} were refused with something else: {odd[:1]}")
    await asyncio.sleep(3.0)
    found = await scene.ledger()
    scene.check(found.spent_microtokens <= tokens * MICROTOKENS, "more was spent than was there")
    scene.check(
        found.posted_microtokens <= HOLD_MICROTOKENS,
        f"{found.posted_microtokens} microtokens are left that a request could have had",
    )
    scene.measure(
        f"{len(scene.served())} of {len(scene.done)} served, "
        f"{found.posted_microtokens // MICROTOKENS} of {tokens} tokens left"
    )


async def dearer_backup(scene: Scene) -> None:
    """The cheap model fails, and the next one may cost six times as much."""
    await scene.vendors.fail(
        {"status": 503, "vendor": "openai"}, {"status": 503, "vendor": "google"}
    )
    try:
        for tokens in (90, 200, 400, 800):
            customer = await scene.customer(tokens)
            load = scene.load_at(scene.stage.record.base_url, customer)
            for _ in range(4):
                await load.one(scene.question(model="gpt-4o-mini", tokens=150, customer=customer))
            spent = (await scene.ledger()).spent_microtokens
            scene.say(
                f"   {tokens} tokens: {sum(one.served for one in load.done)} of 4 served, {spent}"
            )
    finally:
        await scene.vendors.heal()
    odd = [one for one in scene.done if not one.served and one.answer.status not in REFUSED]
    scene.check(not odd, f"{len(odd)} were refused with something else: {odd[:1]}")
    scene.check(bool(scene.served()), "no balance was enough")
    scene.check(len(scene.served()) < len(scene.done), "every balance was enough")
    scene.measure(f"{len(scene.served())} of {len(scene.done)} served")


ROWS = (
    Row(
        number="11",
        fault="SIGSTOP router for 45 s",
        promise="0 admitted on an ended lease",
        play=router_stopped,
    ),
    Row(
        number="12",
        fault="billing silent for 45 s",
        promise="503 or 402 after the leases, debt 0",
        play=billing_unreachable,
        bounds=Bounds(),
        settled_within_s=75.0,
    ),
    Row(
        number="14",
        fault="last tokens at a rate",
        promise="never over, debt 0, unused <= 1 hold",
        play=last_tokens_at_a_rate,
        tokens=LAST_TOKENS,
    ),
    Row(
        number="15",
        fault="200 at once for the last tokens",
        promise="no overdraft",
        play=last_tokens_at_once,
        tokens=FEW_TOKENS,
    ),
    Row(
        number="34",
        fault="chain cheap to dear at low balance",
        promise="charge <= hold, debt 0",
        play=dearer_backup,
    ),
)
