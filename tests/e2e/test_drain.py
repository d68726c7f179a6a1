"""SIGTERM under a hundred streams (row 26): none breaks, and who comes then is told to come back."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aibridge_sandbox.script import directive
from tests.fixtures.asking import DIALECTS, VENDORS, Ask, ask
from tests.fixtures.pair import Pair
from tests.fixtures.trouble import Trouble
from tests.soak.load import Done
from tests.soak.wire import Wire

STREAMS = 100
STREAM_S = 6.0
BEGUN_S = 3.0
TIMEOUT_S = 60.0

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pair(trouble: Trouble) -> AsyncIterator[Pair]:
    """A gateway and a router of this test alone."""
    with tempfile.TemporaryDirectory(prefix="aib-") as folder:  # a socket's path must be short
        one = Pair(trouble.record, Path(folder), "draining")
        try:
            await one.start()
            yield one
            await one.stop()
        finally:
            one.kill()


def a_stream(key: str, number: int) -> Ask:
    words = directive(tokens=40, delay_ms=STREAM_S * 1000 / 40)
    model = list(VENDORS)[number % len(VENDORS)]
    dialect = DIALECTS[number % len(DIALECTS)]
    return ask(dialect, model, f"{words} stream {number}", stream=True, key=key)


async def send(pair: Pair, asked: Ask) -> Done:
    wire = Wire(pair.base_url)
    try:
        answer = await wire.post(asked.path, asked.headers, asked.body, timeout_s=TIMEOUT_S)
    finally:
        wire.close()
    return Done(ask=asked, answer=answer, at_s=0.0)


@pytest.mark.parametrize("stopped", [("gateway",), ("router",), ("gateway", "router")])
async def test_no_stream_breaks(stopped: tuple[str, ...], pair: Pair, trouble: Trouble) -> None:
    streams = [
        asyncio.create_task(send(pair, a_stream(trouble.key, number))) for number in range(STREAMS)
    ]
    await asyncio.sleep(BEGUN_S)

    for service in stopped:
        pair.terminate(service)
    done = await asyncio.gather(*streams)

    assert [one.why_not for one in done if not one.served] == []
    for service in stopped:
        assert await pair.gone(service) in {0, -15}


async def test_who_comes_while_the_router_drains_is_served_or_told_to_come_back(
    pair: Pair, trouble: Trouble
) -> None:
    streams = [
        asyncio.create_task(send(pair, a_stream(trouble.key, number))) for number in range(8)
    ]
    await asyncio.sleep(BEGUN_S)
    pair.terminate("router")
    await asyncio.sleep(1.0)

    late = await send(pair, ask("chat", "gpt-4o", "Am I late?", stream=False, key=trouble.key))

    refused = late.answer.status == 503 and int(late.answer.headers["retry-after"]) >= 1
    assert late.served or refused, late.why_not
    assert all(one.served for one in await asyncio.gather(*streams))
