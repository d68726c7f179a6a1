"""Three times what the product can bear: row 25 of the acceptance table. It goes on serving what it can."""

import asyncio
from collections import Counter

from tests.soak.load import Done
from tests.soak.site import Site
from tests.soak.table import Figure, percentile

CUSTOMERS = (8, 16, 32)
PEAK_S = 8.0
TIMES = 3.0
GOODPUT_SHARE_MIN = 0.8
SLOWER_AT_MOST = 2.0
IN_FLIGHT_MAX = 4000


async def overload(site: Site, for_s: float) -> list[Figure]:
    """Find the peak by closed loops, then send a multiple of it at a rate that does not care."""
    peak_per_s = peak_p99_s = 0.0
    for customers in CUSTOMERS:
        done = await _closed(site, customers)
        per_s = sum(one.served for one in done) / PEAK_S
        site.say(f"{customers} customers: {per_s:.0f} answers/s")
        if per_s > peak_per_s:
            peak_per_s = per_s
            peak_p99_s = percentile([one.answer.took_s for one in done if one.served], 0.99)
    rate_per_s = TIMES * peak_per_s
    site.say(f"-- {rate_per_s:.0f} requests/s for {for_s:.0f} s")
    load = site.load(quick=True)
    load.in_flight_max = IN_FLIGHT_MAX
    began_s = asyncio.get_running_loop().time()
    try:
        await load.at_rate(rate_per_s, for_s)
        sent_s = asyncio.get_running_loop().time() - began_s
        await load.drained()
    finally:
        load.close()
    served = [one for one in load.done if one.served]
    in_time = [one for one in served if one.at_s + one.answer.took_s <= began_s + sent_s]
    shed = [one for one in load.done if _is_shed(one)]
    odd = [one for one in load.done if not one.served and not _is_shed(one)]
    for why, count in Counter(one.why_not for one in odd).most_common(5):
        site.say(f"neither served nor shed, {count} times: {why}")
    return [
        Figure(name="peak", value=peak_per_s, unit="answers/s"),
        Figure(name="sent", value=len(load.done) / sent_s, unit="requests/s"),
        Figure(name="held back by the generator", value=load.skipped, unit="count"),
        Figure(
            name="goodput",
            value=100 * len(in_time) / sent_s / peak_per_s,
            unit="% of the peak",
            at_least=100 * GOODPUT_SHARE_MIN,
        ),
        Figure(name="shed with 503 and Retry-After", value=len(shed), unit="count"),
        Figure(name="neither served nor shed", value=len(odd), unit="count", at_most=0),
        Figure(name="answers at the peak, p99", value=peak_p99_s * 1000, unit="ms"),
        Figure(
            name="answers under overload, p99",
            value=percentile([one.answer.took_s for one in served], 0.99) * 1000,
            unit="ms",
            at_most=SLOWER_AT_MOST * peak_p99_s * 1000,
        ),
    ]


async def _closed(site: Site, customers: int) -> list[Done]:
    load = site.load(quick=True)
    try:
        await load.by_customers(customers, PEAK_S)
    finally:
        load.close()
    return load.done


def _is_shed(one: Done) -> bool:
    return one.answer.status in {503, 529} and "retry-after" in one.answer.headers
