"""Steady traffic while one vendor after another flaps: row 23 of the acceptance table, and what must not pile up."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from msgspec import Struct

from aibridge_common.ids import uuid7
from tests.soak.audit import Books, audit, read_books
from tests.soak.load import Done, Load
from tests.soak.site import Site
from tests.soak.table import Figure, percentile
from tests.soak.vendors import FAULTS, Call, Vendors
from tests.soak.watch import MIB, Sample, Watch, grown_bytes, slope_bytes_per_h

RATE_PER_S = 20.0
SERVED_SHARE_MIN = 0.999
EXTRA_SHARE_MAX = 0.20
GROWTH_MIB_MAX = 12.0
"""From the first quarter after warm-up to the last. A leak of 1 KiB a request shows as 9 MiB in ten minutes."""
FDS_GROWTH_MAX = 12
"""Connections to a vendor that just came back may be more than before it went."""
WARM_UP_SHARE = 0.2
SETTLED_WITHIN_S = 30.0
RESERVED_WITHIN_S = 120.0
"""A lease lives 30 s, and what it paid stays covered for 60 s."""
LONG_ENOUGH_S = 300.0
"""A shorter run says nothing about memory."""


class Phase(Struct, frozen=True, kw_only=True):
    """A part of the run."""

    name: str
    share: float
    """Of the whole time."""
    victim: str | None = None
    by_periods: bool = False
    """On and off in turn; otherwise half of its calls fail at random, all the time."""


PHASES = (
    Phase(name="all well", share=0.10),
    Phase(name="half of anthropic's calls fail", share=0.20, victim="anthropic"),
    Phase(name="anthropic off and on", share=0.20, victim="anthropic", by_periods=True),
    Phase(name="half of openai's calls fail", share=0.12, victim="openai"),
    Phase(name="openai off and on", share=0.12, victim="openai", by_periods=True),
    Phase(name="half of google's calls fail", share=0.08, victim="google"),
    Phase(name="google off and on", share=0.08, victim="google", by_periods=True),
    Phase(name="all well again", share=0.10),
)


class Spell(Struct, frozen=True, kw_only=True):
    """When a phase was, on the loop's clock."""

    phase: Phase
    began_s: float
    ended_s: float


async def flapping(site: Site, for_s: float, rate_per_s: float = RATE_PER_S) -> list[Figure]:
    """Run it, wait until everything is settled, and say how it went."""
    vendors, load = site.vendors, site.load()
    watch = Watch(
        {name: site.stack.pids[name] for name in ("router", "gateway")}, max(0.5, for_s / 300)
    )
    watching = asyncio.create_task(watch.run())
    reporting = asyncio.create_task(_report(site, load))
    since, log_at = uuid7(), vendors.end_of_log()
    before = await read_books(site.stack.database_url, site.stack.demo_account_id, since)
    try:
        spells = await _phases(site, vendors, load, for_s, rate_per_s)
        await vendors.heal()
        await load.drained()
        calls, books = await _settled(site, vendors, load, since, log_at)
        after = await _released(site, since) if for_s >= LONG_ENOUGH_S else books
    finally:
        for task in (watching, reporting):
            task.cancel()
        await vendors.heal()
        await vendors.close()
        load.close()
    return [
        *_of_requests(site, load, spells, calls),
        *_of_money(site, load.done, calls, before, after, released=for_s >= LONG_ENOUGH_S),
        *_of_processes(site, watch, spells[-1].ended_s - for_s * (1 - WARM_UP_SHARE), for_s),
    ]


async def _phases(
    site: Site, vendors: Vendors, load: Load, for_s: float, rate_per_s: float
) -> list[Spell]:
    loop = asyncio.get_running_loop()
    rng = random.Random(site.seed + 2)
    spells: list[Spell] = []
    for phase in PHASES:
        site.say(f"-- {phase.name}")
        began_s, lasts_s = loop.time(), phase.share * for_s
        trouble = asyncio.create_task(_trouble(vendors, phase, rng, lasts_s))
        try:
            await load.at_rate(rate_per_s, lasts_s)
        finally:
            trouble.cancel()
            with suppress(asyncio.CancelledError):
                await trouble
        await vendors.heal()
        spells.append(Spell(phase=phase, began_s=began_s, ended_s=loop.time()))
    return spells


async def _trouble(vendors: Vendors, phase: Phase, rng: random.Random, lasts_s: float) -> None:
    if phase.victim is None:
        return
    turn_s = min(6.0, lasts_s / 4)
    for fault in _faults(rng):
        script = fault | {"vendor": phase.victim}
        await vendors.fail(script if phase.by_periods else script | {"probability": 0.5})
        await asyncio.sleep(turn_s)
        if phase.by_periods:
            await vendors.heal()
            await asyncio.sleep(turn_s)


def _faults(rng: random.Random) -> Iterator[dict[str, Any]]:
    while True:
        yield from rng.sample(FAULTS, len(FAULTS))


async def _report(site: Site, load: Load) -> None:
    seen = 0
    while True:
        await asyncio.sleep(5.0)
        fresh, seen = load.done[seen:], len(load.done)
        unserved = sum(not one.served for one in fresh)
        others = sum(one.answer.headers.get("x-aibridge-attempts", "1") != "1" for one in fresh)
        median_ms = percentile([one.answer.begins_s for one in fresh], 0.5) * 1000
        site.say(
            f"{seen:6} done, {load.in_flight:3} in flight; of the last {len(fresh)}: {unserved} not served,"
            f" {others} after several attempts, begun within {median_ms:.0f} ms (median)"
        )


async def _settled(
    site: Site, vendors: Vendors, load: Load, since: UUID, log_at: int
) -> tuple[list[Call], Books]:
    """Until the ledger has a row for everything that was served, or the time is up."""
    give_up_s = asyncio.get_running_loop().time() + SETTLED_WITHIN_S
    served = {one.request_id for one in load.done if one.served and not one.answer.left}
    while True:
        books = await read_books(site.stack.database_url, site.stack.demo_account_id, since)
        late = asyncio.get_running_loop().time() > give_up_s
        if late or served <= books.charged.keys():
            await asyncio.sleep(6.0)  # what clients left is settled within five seconds
            books = await read_books(site.stack.database_url, site.stack.demo_account_id, since)
            return vendors.calls(log_at), books
        await asyncio.sleep(0.5)


async def _released(site: Site, since: UUID) -> Books:
    """Until no balance is reserved any more, or the time is up."""
    site.say("-- waiting until nothing is reserved")
    give_up_s = asyncio.get_running_loop().time() + RESERVED_WITHIN_S
    while True:
        books = await read_books(site.stack.database_url, site.stack.demo_account_id, since)
        if not books.reserved_microtokens or asyncio.get_running_loop().time() > give_up_s:
            return books
        await asyncio.sleep(1.0)


# --- what came of it ------------------------------------------------------------------------------


def _of_requests(
    site: Site, load: Load, spells: Sequence[Spell], calls: Sequence[Call]
) -> list[Figure]:
    done = load.done
    unserved = [one for one in done if not one.served]
    for why, count in Counter(one.why_not for one in unserved).most_common(10):
        site.say(f"not served, {count} times: {why}")
    made = Counter(call.request_id for call in calls)
    begun = [one.answer.begins_s * 1000 for one in done if one.served]
    figures = [
        Figure(name="requests", value=len(done), unit="count"),
        Figure(name="requests not sent in time", value=load.skipped, unit="count", at_most=0),
        Figure(
            name="served",
            value=100 * (1 - len(unserved) / len(done)),
            unit="% of requests",
            at_least=100 * SERVED_SHARE_MIN,
        ),
        Figure(
            name="extra upstream calls",
            value=100 * _extra(done, made),
            unit="% of requests",
            at_most=100 * EXTRA_SHARE_MAX,
        ),
        Figure(name="answer begins, p50", value=percentile(begun, 0.5), unit="ms"),
        Figure(name="answer begins, p99", value=percentile(begun, 0.99), unit="ms"),
    ]
    for spell in spells:
        if (victim := spell.phase.victim) is None:
            continue
        during = [one for one in done if spell.began_s <= one.at_s < spell.ended_s]
        asked = [one for one in during if one.ask.vendor == victim]
        figures.append(
            Figure(
                name=f"extra calls: {spell.phase.name}",
                value=100 * _extra(asked, made),
                unit="% of requests for it",
            )
        )
    return figures


def _extra(done: Sequence[Done], made: Counter[str]) -> float:
    """Calls beyond the first of each request, as a share of the requests."""
    extra = sum(max(0, made[one.request_id] - 1) for one in done if one.request_id)
    return extra / len(done) if done else 0.0


def _of_money(
    site: Site,
    done: Sequence[Done],
    calls: Sequence[Call],
    before: Books,
    after: Books,
    *,
    released: bool,
) -> list[Figure]:
    findings = audit(done, calls, after)
    for misfit in findings.wrong[:20]:
        site.say(f"does not fit: {misfit}")
    spent = after.spent_microtokens - before.spent_microtokens
    charged = after.ever_charged_microtokens - before.ever_charged_microtokens
    figures = [
        Figure(name="charges equal to the vendor's truth", value=findings.exact, unit="count"),
        Figure(name="charges that do not fit", value=len(findings.wrong), unit="count", at_most=0),
        Figure(
            name="charged - owed by the truth",
            value=findings.charged_microtokens - findings.owed_microtokens,
            unit="microtokens",
            at_most=0,
            at_least=0,
        ),
        Figure(
            name="spent by the account - sum of charges",
            value=spent - charged,
            unit="microtokens",
            at_most=0,
            at_least=0,
        ),
    ]
    if released:
        figures.append(
            Figure(
                name="reserved after the end",
                value=after.reserved_microtokens,
                unit="microtokens",
                at_most=0,
            )
        )
    return figures


def _of_processes(site: Site, watch: Watch, warm_at_s: float, for_s: float) -> list[Figure]:
    figures: list[Figure] = []
    judged = for_s >= LONG_ENOUGH_S
    for name, samples in watch.samples.items():
        warm = [sample for sample in samples if sample.at_s >= warm_at_s]
        grown_mib = grown_bytes(warm) / MIB
        site.say(f"{name}: memory {_course(warm)} MiB, files {_files(warm)}")
        figures += [
            Figure(
                name=f"{name}: memory (PSS) at the end", value=warm[-1].pss_bytes / MIB, unit="MiB"
            ),
            Figure(
                name=f"{name}: growth after warm-up",
                value=grown_mib,
                unit="MiB",
                at_most=GROWTH_MIB_MAX if judged else None,
            ),
            Figure(
                name=f"{name}: slope after warm-up",
                value=slope_bytes_per_h(warm) / MIB,
                unit="MiB/h",
            ),
            Figure(
                name=f"{name}: growth of open files",
                value=warm[-1].fds - max(s.fds for s in warm[: max(1, len(warm) // 2)]),
                unit="count",
                at_most=FDS_GROWTH_MAX,
            ),
        ]
    return figures


def _course(samples: Sequence[Sample]) -> str:
    step = max(1, len(samples) // 10)
    return " ".join(f"{sample.pss_bytes / MIB:.1f}" for sample in samples[::step])


def _files(samples: Sequence[Sample]) -> str:
    step = max(1, len(samples) // 10)
    return " ".join(str(sample.fds) for sample in samples[::step])
