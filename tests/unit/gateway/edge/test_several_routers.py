"""A request goes to its account's router, and to another one only when it was certainly not begun."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from aibridge_gateway.edge.routers import Routers

from .rig import FACTS, Edge, Peer, Router, running

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


class Rig:
    """An edge with two routers; `own` is the one that its account belongs to."""

    def __init__(self, edge: Edge, folder: Path) -> None:
        self.edge = edge
        urls = [f"unix:{folder}/router.sock", f"unix:{folder}/router-1.sock"]
        own, other = Routers(urls).order(0, FACTS.account_id)
        self.own, self.other = edge.routers[own], edge.routers[other]

    async def stop(self, router: Router) -> None:
        """Listen no more, and cut what is open."""
        router.listening.close()
        await router.close()

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.own.asked), len(self.other.asked)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        edge = await stack.enter_async_context(running(folder, routers=2))
        yield Rig(edge, folder)


async def refuse(peer: Peer) -> None:
    await peer.answer(503, b"{}", "x-ab-refused: draining", "connection: close")
    peer.cut()


async def overloaded(peer: Peer) -> None:
    await peer.answer(503, b"{}", "retry-after: 1")


async def cut(peer: Peer) -> None:
    peer.cut()


async def test_an_account_stays_with_its_router(rig: Rig) -> None:
    for _ in range(10):
        assert (await rig.edge.post(CHAT)).status_code == 200

    assert rig.asked == (10, 0)


async def test_a_router_that_refuses_connections_is_passed_over(rig: Rig) -> None:
    await rig.stop(rig.own)
    for _ in range(5):
        assert (await rig.edge.post(CHAT)).status_code == 200

    assert rig.asked == (0, 5)


async def test_a_router_that_drains_is_asked_once_and_left_alone(rig: Rig) -> None:
    rig.own.script = refuse
    answers = [await rig.edge.post(CHAT, b'{"n": 7}') for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert rig.asked == (1, 5)
    assert rig.own.asked[0].body == rig.other.asked[0].body == b'{"n": 7}'


async def test_when_all_drain_the_client_is_told_and_not_how(rig: Rig) -> None:
    rig.own.script = rig.other.script = refuse
    answer = await rig.edge.post(CHAT)

    assert answer.status_code == 503
    assert "x-ab-refused" not in answer.headers
    assert rig.asked == (1, 1)


async def test_another_refusal_is_the_answer(rig: Rig) -> None:
    """Overload says nothing of the other requests of the account: their leases are here."""
    rig.own.script = overloaded

    assert (await rig.edge.post(CHAT)).status_code == 503
    assert rig.asked == (1, 0)


async def test_what_may_have_begun_is_not_sent_again(rig: Rig) -> None:
    rig.own.script = cut

    assert (await rig.edge.post(CHAT)).status_code == 503
    assert rig.asked == (1, 0)


async def test_a_router_killed_at_work_on_a_kept_connection_is_not_replaced(rig: Rig) -> None:
    """The dropped connection was in use before, and the router is gone: was the request read? Nobody knows."""
    assert (await rig.edge.post(CHAT)).status_code == 200

    async def die(peer: Peer) -> None:
        rig.own.listening.close()
        peer.cut()

    rig.own.script = die

    assert (await rig.edge.post(CHAT)).status_code == 503
    assert rig.asked == (2, 0)


async def test_a_refused_request_is_begun_once_however_many_come_at_once(rig: Rig) -> None:
    rig.own.script = refuse
    answers = await asyncio.gather(*(rig.edge.post(CHAT) for _ in range(12)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(rig.other.asked) == 12
