"""A router that only spools, a process that a test may kill: FOLDER NATS_URL BILLING_URL TOKEN ACCOUNT.

A line of its input is a number of rounds of twenty exchanges at once, each streaming 40 tokens in four steps. Says
what a vendor's log would: `began`, `passed N`, `ended`, `refused`, with the request id, and only what the spool holds.
"""

import asyncio
import os
import random
import sys
from pathlib import Path
from uuid import UUID

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import SystemClock
from aibridge_common.errors import Unavailable
from aibridge_common.events.usage import Outcome, UsageRecorded, UsageSource
from aibridge_common.ids import uuid7
from aibridge_common.settings import Secret
from aibridge_common.usage import Usage
from aibridge_router.spool import state
from aibridge_router.spool.records import Progress, Start
from aibridge_router.spool.spool import Spool

MODEL = "unit"
TOKENS, STEP = 40, 10


def say(word: str, request_id: UUID) -> None:
    os.write(1, f"{word} {request_id}\n".encode())


async def main(folder: str, nats_url: str, billing_url: str, token: str, account: str) -> None:
    state.AGAIN_AFTER_S = 2.0
    one = Spool(Path(folder), "router-0", SystemClock())
    bus = await Bus.connect(nats_url, "router-0")
    billing = BillingClient(billing_url, Secret(token))
    running = asyncio.ensure_future(one.run(bus, billing, lambda _: None))
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            break
        for _ in range(int(line)):
            await asyncio.gather(*(exchange(one, UUID(account)) for _ in range(20)))
    await one.drain(20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    one.close()
    await bus.close()


async def exchange(one: Spool, account: UUID) -> None:
    request = uuid7()
    clock = SystemClock()
    try:
        one.check_room()
        one.start(
            Start(
                request_id=request,
                account_id=account,
                key_id=None,
                lease_id=None,
                hold_microtokens=100,
                requested_model=MODEL,
                model=MODEL,
                provider="openai",
                price_version=1,
                input_tokens_estimate=7,
                endpoint="openai_chat",
                stream=True,
                at=clock.now(),
            )
        )
    except Unavailable:
        say("refused", request)
        return
    say("began", request)
    for passed in range(STEP, TOKENS + 1, STEP):
        await asyncio.sleep(random.uniform(0, 0.01))
        one.progress(
            Progress(
                request_id=request,
                model=MODEL,
                provider="openai",
                price_version=1,
                usage=Usage(input=7, output=1),
                output_tokens_estimate=passed,
            )
        )
        await asyncio.sleep(0)
        say(f"passed {passed}", request)
    one.final(
        UsageRecorded(
            event_id=request,
            account_id=account,
            key_id=None,
            lease_id=None,
            requested_model=MODEL,
            billed_model=MODEL,
            provider="openai",
            price_version=1,
            usage=Usage(input=7, output=TOKENS),
            source=UsageSource.FINAL,
            outcome=Outcome.COMPLETED,
            occurred_at=clock.now(),
        )
    )
    await asyncio.sleep(0)
    say("ended", request)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
