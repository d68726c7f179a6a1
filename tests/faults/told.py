"""Rows 27 to 29: a key is revoked, a clock is wrong, the bus carries nonsense."""

import asyncio

import httpx
import msgspec

from aibridge_common.bus.nats import Bus, BusUnavailable
from aibridge_common.clients.auth import AuthClient
from aibridge_common.events.usage import SUBJECT
from aibridge_common.ids import uuid7
from aibridge_common.settings import Secret
from aibridge_common.usage import Usage
from tests.faults.clocks import SERVICES, Clocks
from tests.faults.scene import Row, Scene, Skipped
from tests.faults.truth import Bounds
from tests.fixtures.books import envelope, usage_event

REFUSED_WITHIN_S = 1.0
SETTLED_WITHIN_S = 5.0
AHEAD_S = 600
LAG = "aibridge_billing_usage_lag_seconds "
TOO_LONG = b"x" * 10 * 2**20


async def key_revoked(scene: Scene) -> None:
    """While it is used twenty times a second."""
    loop, record = asyncio.get_running_loop(), scene.stage.record
    async with scene.under_load(20.0) as load:
        async with AuthClient(record.auth_url, Secret(record.service_token)) as auth:
            await auth.revoke_key(scene.customers[0].key_id)
        revoked_s = loop.time()
        await asyncio.sleep(3.0)
    accepted = [one.at_s for one in load.done if one.answer.status == 200]
    refused = [one for one in load.done if one.answer.status == 401]
    late_s = max(0.0, max(accepted) - revoked_s)
    scene.check(late_s <= REFUSED_WITHIN_S, f"accepted {late_s:.2f} s after the revocation")
    scene.check(bool(refused), "nothing was refused")
    scene.measure(f"last accepted {late_s:.2f} s after, {len(refused)} refused")


async def clock_ahead(scene: Scene) -> None:
    """Ten minutes, on the router and then on billing, and back; each is killed while it is ahead."""
    clocks = Clocks(scene.stage.home.parent)
    if not clocks.can_move:
        raise Skipped("needs Linux and a C compiler")
    for name in SERVICES:
        clocks.move(name, 0)
        before = len(scene.done)
        async with scene.under_load(4.0):
            clocks.move(name, AHEAD_S)
            await asyncio.sleep(35.0)  # longer than a lease
            refused = [one for one in scene.done[before:] if not one.served]
            scene.check(not refused, f"{len(refused)} were refused though nothing was away")
            await _is_ahead(scene, name)
            await scene.stage.crash(name)
            await asyncio.sleep(5.0)
            clocks.move(name, 0)
            await scene.stage.crash(name)
            await asyncio.sleep(8.0)
    held = await scene.query(
        "SELECT 1 FROM billing.reservation WHERE state = 0"
        " AND hard_expires_at NOT BETWEEN now() AND now() + interval '17 minutes'"
    )
    scene.check(not held, f"{len(held)} leases end when none should")
    scene.measure(f"{len(scene.served())} of {len(scene.done)} served")


async def _is_ahead(scene: Scene, name: str) -> None:
    """The row proves something only if the service believed the clock."""
    record = scene.stage.record
    if name == "router":
        newest = await scene.query(
            "SELECT max(extract(epoch FROM occurred_at - recorded_at)) FROM billing.usage_event"
        )
        ahead_s = float(newest[0][0])
    else:
        headers = {"authorization": f"Bearer {record.service_token}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
            told = (await http.get(f"{record.billing_url}/metrics")).text
        [line] = [each for each in told.splitlines() if each.startswith(LAG)]
        ahead_s = float(line.removeprefix(LAG))
    scene.check(ahead_s > AHEAD_S - 60, f"{name} is only {ahead_s:.0f} s ahead")


async def poison(scene: Scene) -> None:
    """Four kinds of nonsense, and one that the bus does not take."""
    loop, account = asyncio.get_running_loop(), scene.customers[0].account_id
    model = {"requested_model": "gpt-4o", "billed_model": "gpt-4o"}
    nonsense = [
        b"\xff{ this is no envelope",
        envelope(usage_event(uuid7(), 1, **model), router="poison-1"),
        envelope(usage_event(account, 10**15, **model), router="poison-2"),
        envelope(usage_event(account, 1, usage=Usage(input=1)), router="poison-3"),
    ]
    scene.bounds = msgspec.structs.replace(scene.bounds, dead_letters=len(nonsense))
    bus = await Bus.connect(scene.stage.record.nats_url, "poison")
    try:
        async with scene.under_load() as load:
            for number, payload in enumerate(nonsense):
                await bus.append(f"{SUBJECT}.poison-{number}", payload, f"poison-{uuid7().hex}")
            try:
                await bus.append(f"{SUBJECT}.poison", TOO_LONG, "too long")
            except BusUnavailable:
                pass
            else:
                scene.check(False, "the bus took 10 MB")
            sent_s = loop.time()
            one = await load.one(scene.question(tokens=5))
            while one.request_id not in (await scene.ledger()).charged:
                await asyncio.sleep(0.1)
                if loop.time() > sent_s + 60:
                    break
            lag_s = loop.time() - sent_s
    finally:
        await bus.close()
    scene.check(lag_s <= SETTLED_WITHIN_S, f"the next charge came after {lag_s:.1f} s")
    scene.measure(f"{len(nonsense)} dead letters, the next charge after {lag_s:.1f} s")


ROWS = (
    Row(
        number="27",
        fault="key revoked under load",
        promise="refused <= 1 s",
        play=key_revoked,
    ),
    Row(
        number="28",
        fault="clock 10 minutes ahead",
        promise="no wrong expiry, no wrong charge",
        play=clock_ahead,
        bounds=Bounds(router_dies=True),
    ),
    Row(
        number="29",
        fault="poison on the bus",
        promise="dead letters, the rest settled <= 5 s",
        play=poison,
        bounds=Bounds(),
    ),
)
