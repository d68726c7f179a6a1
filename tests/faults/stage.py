"""The running product, process by process: killed, held, kept down. Its supervisor starts again what dies."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from aibridge_devstack.record import DevRecord, read_record

BACK_WITHIN_S = 60.0
LOOK_EVERY_S = 0.02


class Stage:
    """Finds each process anew, since its id changes when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.log = folder / "log"

    @property
    def record(self) -> DevRecord:
        """What runs now."""
        found = read_record(self.home / "dev.json")
        assert found is not None, "it runs"
        return found

    def kill(self, name: str) -> int:
        """SIGKILL to the process and its children; its id."""
        pid = self.record.pids[name]
        children = _children(pid)
        for each in (pid, *children):  # a postmaster first: it must not see its children die
            _signal(each, signal.SIGKILL)
        return pid

    async def back(self, name: str, before: int) -> None:
        """Wait until it was started again and answers."""
        async with asyncio.timeout(BACK_WITHIN_S):
            while self.record.pids.get(name, before) == before:  # noqa: ASYNC110 - a file changes
                await asyncio.sleep(LOOK_EVERY_S)

    async def crash(self, name: str) -> float:
        """Kill it and wait until it is back; how long it was away."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await self.back(name, self.kill(name))
        return loop.time() - began_s

    @asynccontextmanager
    async def held(self, name: str) -> AsyncGenerator[None]:
        """SIGSTOP, and SIGCONT at the end."""
        pid = self.record.pids[name]
        _signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pid, signal.SIGCONT)

    @asynccontextmanager
    async def down(self, name: str) -> AsyncGenerator[None]:
        """Killed, and its port taken by a server that hangs up at once; then back."""
        before = self.kill(name)
        async with _port_taken(self._port(name)):
            yield
        await self.back(name, before)

    def said(self, word: str) -> int:
        """How many lines of all output have the word."""
        return self.log.read_text(errors="replace").count(word)

    def spool_bytes(self) -> int:
        """What the router has on disk."""
        return sum(path.stat().st_size for path in (self.home / "spool").glob("*.spool"))

    def _port(self, name: str) -> int:
        record = self.record
        urls = {"nats": record.nats_url, "billing": record.billing_url}
        port = urlsplit(urls[name]).port
        assert port is not None, f"{name} has a port"
        return port


@asynccontextmanager
async def _port_taken(port: int) -> AsyncGenerator[None]:
    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    while True:
        try:
            server = await asyncio.start_server(hang_up, "127.0.0.1", port)
            break
        except OSError:  # the one that was killed is not quite gone
            await asyncio.sleep(0.002)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


def _children(pid: int) -> list[int]:
    return [int(each) for each in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
