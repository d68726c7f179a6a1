"""The other side of an ASGI request: it may be slow, leave, or break the pipe."""

import asyncio
from typing import Any

import pytest

from aibridge_common.web.client import Client

pytestmark = pytest.mark.anyio

DISCONNECT = {"type": "http.disconnect"}
BODY = {"type": "http.request", "body": b"", "more_body": False}


class Wire:
    """Receive and send as a server would give them, under the test's control."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        self.free = asyncio.Event()
        self.free.set()
        self.broken = False

    async def receive(self) -> Any:
        return await self.incoming.get()

    async def send(self, message: Any) -> None:
        await self.free.wait()
        if self.broken:
            raise BrokenPipeError
        self.sent.append(message)


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class TestSending:
    async def test_whole_answer(self, wire: Wire) -> None:
        client = Client(wire.receive, wire.send)
        await client.start(201, [(b"x-a", b"1")])
        await client.write(b"ab")
        await client.finish(b"c")

        assert wire.sent == [
            {
                "type": "http.response.start",
                "status": 201,
                "headers": [(b"x-a", b"1")],
                "trailers": False,
            },
            {"type": "http.response.body", "body": b"ab", "more_body": True},
            {"type": "http.response.body", "body": b"c", "more_body": False},
        ]
        assert (client.started, client.finished, client.gone_at_s) == (True, True, None)

    async def test_slow_client(self, wire: Wire) -> None:
        """While a write waits it says since when, so that somebody else can lose patience."""
        client = Client(wire.receive, wire.send)
        wire.free.clear()
        writing = asyncio.create_task(client.write(b"x"))
        await turns()
        since_s = client.sending_since_s
        wire.free.set()
        await writing

        assert since_s is not None
        assert client.sending_since_s is None

    async def test_broken_pipe(self, wire: Wire) -> None:
        """A write to a client that has gone is no error; later ones are not even tried."""
        client = Client(wire.receive, wire.send)
        await client.start(200, [])
        wire.broken = True
        await client.write(b"lost")
        wire.broken = False
        await client.write(b"swallowed")
        await client.finish()

        assert client.gone_at_s is not None
        assert client.sending_since_s is None
        assert len(wire.sent) == 1

    async def test_cancelled_write(self, wire: Wire) -> None:
        client = Client(wire.receive, wire.send)
        wire.free.clear()
        writing = asyncio.create_task(client.write(b"x"))
        await turns()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

        assert client.sending_since_s is None


class TestWatching:
    async def test_client_leaves(self, wire: Wire) -> None:
        """What is left of the request is passed over; leaving is noticed once and told."""
        told: list[bool] = []
        client = Client(wire.receive, wire.send)
        client.watch(lambda: told.append(True))
        wire.incoming.put_nowait(BODY)
        await turns()
        before = client.gone_at_s
        wire.incoming.put_nowait(DISCONNECT)
        await turns()
        await client.write(b"swallowed")

        assert before is None
        assert client.gone_at_s is not None
        assert told == [True]
        assert wire.sent == []

    async def test_end_is_no_leaving(self, wire: Wire) -> None:
        """Servers say disconnect after every complete answer."""
        told: list[bool] = []
        client = Client(wire.receive, wire.send)
        client.watch(lambda: told.append(True))
        await client.start(200, [])
        await client.finish(b"x")
        wire.incoming.put_nowait(DISCONNECT)
        await turns()

        assert (client.gone_at_s, told) == (None, [])

    async def test_close_stops_watching(self, wire: Wire) -> None:
        """No task is left, and a client that leaves then is nobody's business."""
        told: list[bool] = []
        tasks = asyncio.all_tasks()
        client = Client(wire.receive, wire.send)
        client.watch(lambda: told.append(True))
        await turns()
        client.close()
        wire.incoming.put_nowait(DISCONNECT)
        await turns()

        assert told == []
        assert asyncio.all_tasks() == tasks

    async def test_close_without_watch(self, wire: Wire) -> None:
        Client(wire.receive, wire.send).close()

        assert wire.sent == []
