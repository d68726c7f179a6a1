"""Every vendor down at once: row 24 of the acceptance table. Quick refusals, no storm, and back within ten seconds."""

import asyncio
from collections import Counter

from tests.fixtures.asking import VENDORS
from tests.soak.load import Done
from tests.soak.site import Site
from tests.soak.table import Figure, percentile
from tests.soak.vendors import Vendors

RATE_PER_S = 15.0
WELL_S = 10.0
LEARNS_S = 6.0
"""Five failures in a row open a breaker; at this rate the last of six models has had them by then."""
REFUSED_MS_MAX = 100.0
CALLS_PER_S_MAX = 2.0
"""For each model: a probe every one to four seconds, and the few that pass as the last way out."""
BACK_WITHIN_S = 10.0
WATCHED_S = 20.0
"""How long its return is watched for."""


async def outage(site: Site, for_s: float, rate_per_s: float = RATE_PER_S) -> list[Figure]:
    """All well, all down for so long, all well."""
    vendors, load = site.vendors, site.load(quick=True)
    loop = asyncio.get_running_loop()
    try:
        await load.at_rate(rate_per_s, WELL_S)
        await load.drained()
        site.say("-- every vendor is down")
        await vendors.fail({"status": 503})
        down_at_s = loop.time()
        await load.at_rate(rate_per_s, LEARNS_S)
        learnt_at_s, log_at = loop.time(), vendors.end_of_log()
        await load.at_rate(rate_per_s, for_s)
        await load.drained()
        calls = len(vendors.calls(log_at))
        site.say("-- every vendor is well")
        healed_at_s = loop.time()
        await vendors.heal()
        await load.at_rate(rate_per_s, WATCHED_S, lambda: _is_back(load.done, healed_at_s))
        await load.drained()
    finally:
        await _leave(vendors)
        load.close()
    well = [one for one in load.done if one.at_s < down_at_s]
    refused = [one for one in load.done if learnt_at_s <= one.at_s < healed_at_s]
    after = [one for one in load.done if one.at_s >= healed_at_s]
    return _figures(site, well, refused, after, calls, learnt_at_s, healed_at_s)


async def _leave(vendors: Vendors) -> None:
    await vendors.heal()
    await vendors.close()


def _figures(
    site: Site,
    well: list[Done],
    refused: list[Done],
    after: list[Done],
    calls: int,
    learnt_at_s: float,
    healed_at_s: float,
) -> list[Figure]:
    lasted_s = healed_at_s - learnt_at_s
    odd = [one for one in refused if not _is_refusal(one)]
    for why, count in Counter(one.why_not for one in odd).most_common(5):
        site.say(f"not a 503 with Retry-After, {count} times: {why}")
    usual_ms = percentile([one.answer.took_s * 1000 for one in well], 0.99)
    took_ms = [one.answer.took_s * 1000 for one in refused]
    return [
        Figure(name="answers while all was well, p99", value=usual_ms, unit="ms"),
        Figure(name="requests while all were down", value=len(refused), unit="count"),
        Figure(name="not a 503 with Retry-After", value=len(odd), unit="count", at_most=0),
        Figure(
            name="a refusal takes, p50",
            value=percentile(took_ms, 0.5),
            unit="ms",
            at_most=REFUSED_MS_MAX,
        ),
        # On a busy machine everything waits for a core, so a refusal may take what an answer took just before.
        Figure(
            name="a refusal takes, p99",
            value=percentile(took_ms, 0.99),
            unit="ms",
            at_most=max(REFUSED_MS_MAX, 2 * usual_ms),
        ),
        Figure(
            name="vendor calls while all were down",
            value=calls / lasted_s / len(VENDORS),
            unit="1/s for each model",
            at_most=CALLS_PER_S_MAX,
        ),
        Figure(
            name="first answer after the return",
            value=min((_ended_s(one) for one in after if one.served), default=1e9) - healed_at_s,
            unit="s",
            at_most=BACK_WITHIN_S,
        ),
        Figure(
            name="every model answers for itself",
            value=max(_own_answer_s(after, model) for model in VENDORS) - healed_at_s,
            unit="s",
            at_most=BACK_WITHIN_S,
        ),
    ]


def _is_refusal(one: Done) -> bool:
    status = 529 if one.ask.dialect == "messages" else 503
    return one.answer.status == status and "retry-after" in one.answer.headers


def _ended_s(one: Done) -> float:
    return one.at_s + one.answer.took_s


def _own_answer_s(done: list[Done], model: str) -> float:
    """When a model first gave an answer by itself; very late if it never did."""
    own = (
        _ended_s(one)
        for one in done
        if one.ask.model == model and one.answer.headers.get("x-aibridge-model") == model
    )
    return min(own, default=1e9)


def _is_back(done: list[Done], healed_at_s: float) -> bool:
    after = [one for one in done if one.at_s >= healed_at_s]
    return all(_own_answer_s(after, model) < 1e9 for model in VENDORS)
