"""A service that is told to stop ends in good order, within its time."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from litestar.types import Receive, Scope, Send

from aibridge_common.clock import FrozenClock
from aibridge_common.web.drain import Drain
from aibridge_common.web.serve import DrainingServer

APP = Path(__file__).with_name("draining_app.py")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))


class TestTimes:
    def test_before_the_start_all_of_it_remains(self, clock: FrozenClock) -> None:
        drain = Drain(600, clock)
        clock.advance(1000)

        assert (drain.started, drain.remaining_s) == (False, 600)

    def test_it_runs_out_from_the_first_start(self, clock: FrozenClock) -> None:
        drain = Drain(600, clock)
        drain.start()
        clock.advance(100)
        drain.start()

        assert (drain.started, drain.remaining_s) == (True, 500)

        clock.advance(501)
        assert drain.remaining_s == 0

    @pytest.mark.parametrize(
        ("drain_s", "last_call_after_s"), [(600, 580), (100, 80), (10, 8), (1, 0.8)]
    )
    def test_the_last_call_leaves_twenty_seconds_or_a_fifth(
        self, clock: FrozenClock, drain_s: float, last_call_after_s: float
    ) -> None:
        drain, calls = Drain(drain_s, clock), list[str]()
        drain.on_last_call(lambda: calls.append("one"))
        drain.on_last_call(lambda: calls.append("another"))
        drain.tick()
        drain.start()
        clock.advance(last_call_after_s - 0.01)
        drain.tick()
        assert calls == []

        clock.advance(0.02)
        drain.tick()
        drain.tick()
        assert calls == ["one", "another"]

    @pytest.mark.anyio
    async def test_from_the_start_nobody_new_is_welcome(self, clock: FrozenClock) -> None:
        drain = Drain(600, clock)
        assert await drain.accepting()

        drain.start()
        assert not await drain.accepting()


class Service:
    """The application in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, path: str) -> None:
        self.process = process
        self._path = path

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=self._path), base_url="http://service", timeout=5
        )

    @asynccontextmanager
    async def idle(self) -> AsyncGenerator[asyncio.StreamReader]:
        """A kept-alive connection that has had its answer."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        writer.write(b"GET /livez HTTP/1.1\r\nhost: service\r\n\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        yield reader
        writer.close()

    async def exits(self, within_s: float) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()


@asynccontextmanager
async def running(drain_s: float) -> AsyncGenerator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        process = await asyncio.create_subprocess_exec(sys.executable, APP, path, str(drain_s))
        service = Service(process, path)
        try:
            async with asyncio.timeout(20), service.http() as http:
                while True:
                    with suppress(httpx.ConnectError):
                        await http.get("/livez")
                        break
                    await asyncio.sleep(0.02)
            yield service
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def test_it_begins_in_the_signal_handler() -> None:
    """Uvicorn itself looks a tenth of a second later, and a request may come in between."""
    drain = Drain(600)
    DrainingServer(uvicorn.Config(nothing), drain).handle_exit(signal.SIGTERM, None)

    assert drain.started


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is never called."""


@pytest.mark.anyio
class TestServing:
    @pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
    async def test_a_running_stream_survives_and_nothing_new_is_begun(
        self, sign: signal.Signals
    ) -> None:
        async with (
            running(30) as service,
            service.http() as http,
            service.idle() as idle,
            http.stream("GET", "/stream") as stream,
        ):
            pieces = stream.aiter_raw()
            assert await anext(pieces) == b"began "
            service.process.send_signal(sign)
            async with asyncio.timeout(1):  # its owner then turns to another worker, unrefused
                assert await idle.read() == b""

            async with service.http() as other:
                ready = await other.get("/readyz")
                live = await other.get("/livez")
                refused = await other.get("/refusing")
                await other.get("/end")

            assert (ready.status_code, live.status_code, refused.status_code) == (503, 200, 503)
            assert ready.json()["checks"] == {"accepting": False}
            assert await anext(pieces) == b"asked"
            assert await service.exits(5) in {0, -sign}

    async def test_the_last_call_ends_what_still_runs(self) -> None:
        async with (
            running(1) as service,
            service.http() as http,
            http.stream("GET", "/stream") as stream,
        ):
            service.process.send_signal(signal.SIGTERM)

            assert await stream.aread() == b"began last call"
            assert await service.exits(5) in {0, -signal.SIGTERM}

    async def test_with_nothing_running_it_ends_at_once(self) -> None:
        async with running(600) as service:
            service.process.send_signal(signal.SIGTERM)

            assert await service.exits(5) in {0, -signal.SIGTERM}
