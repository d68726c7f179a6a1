"""Children of a supervisor: started, restarted, stopped in order, never left behind."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aibridge_devstack.child import Child
from aibridge_devstack.echo import Echo
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.ports import LOOPBACK, free_ports
from aibridge_devstack.probes import HttpProbe
from aibridge_devstack.service import Job, Service
from aibridge_devstack.supervisor import Supervisor

from .fake.running import alive, none_alive, until

pytestmark = pytest.mark.anyio
PROGRAM = Path(__file__).parent / "fake" / "child.py"


class Bench:
    """Makes children that leave notes."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "notes"
        self.terminal = io.StringIO()
        self.echo = Echo(self.terminal)

    def service(
        self,
        name: str,
        *habits: str,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_timeout_s: float = 10.0,
    ) -> Service:
        [port] = free_ports(1)
        return Service(
            name=name,
            argv=(sys.executable, "-I", "-S", str(PROGRAM), str(port), str(self.file), *habits),
            env={},
            probe=HttpProbe(origin=f"http://{LOOPBACK}:{port}", path="/"),
            stop_signal=stop_signal,
            stop_timeout_s=stop_timeout_s,
            ready_timeout_s=15.0,
        )

    def notes(self) -> list[str]:
        return self.file.read_text().splitlines()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def port_of(service: Service) -> str:
    return service.argv[4]


async def eventually(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition, within_s=15)


async def test_stop_order_and_signals(bench: Bench) -> None:
    """The last started stops first, each by the signal it asks for; -15 of its own is clean."""
    first = bench.service("first", stop_signal=signal.SIGINT)
    second, third = bench.service("second", "rude"), bench.service("third")
    async with Supervisor(echo=bench.echo) as supervisor:
        await supervisor.start(first)
        await supervisor.start(second, third)
        pids = supervisor.pids

    assert supervisor.stopped_in_time
    assert none_alive(pids.values())
    assert bench.notes()[-3:] == [
        f"{port_of(third)} got SIGTERM",
        f"{port_of(second)} got SIGTERM",
        f"{port_of(first)} got SIGINT",
    ]


async def test_restart_after_crash(bench: Bench) -> None:
    """A crashed child is started again after 0.2 s, whoever asked is told, what it left is killed."""
    restarted: list[Child] = []
    service = bench.service("solo", "parent")
    async with Supervisor(
        echo=bench.echo, on_restart=lambda _, child: restarted.append(child)
    ) as supervisor:
        await supervisor.start(service)
        [child] = supervisor.children.values()
        grandchild = int(bench.notes()[0].removeprefix("grandchild "))
        before = supervisor.pids["solo"]
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: child.crashes == 1)
        await child.ready()
        after = supervisor.pids["solo"]
        await eventually(lambda: not alive(grandchild))

    assert before != after
    assert restarted == [child]
    assert "ended unasked with code -9; starts again in 0.2 s" in bench.terminal.getvalue()


async def test_never_ready(bench: Bench) -> None:
    """Three crashes before the first answer are a failure that shows the last lines."""
    good, bad = bench.service("good"), bench.service("bad", "crash")
    supervisor = Supervisor(echo=bench.echo)
    with pytest.raises(StartFailed, match="bad ended 3 times before it answered") as failed:
        async with supervisor:
            await supervisor.start(good, bad)

    assert "bad | I never work" in str(failed.value)
    assert "starts again in 0.4 s" in str(failed.value)
    assert none_alive(supervisor.pids.values())


async def test_stubborn_child_is_killed(bench: Bench) -> None:
    """A child that ignores its signal is killed after its time, and that is not called clean."""
    service = bench.service("stubborn", "stubborn", stop_timeout_s=0.3)
    async with Supervisor(echo=bench.echo) as supervisor:
        await supervisor.start(service)
        pids = supervisor.pids

    assert not supervisor.stopped_in_time
    assert none_alive(pids.values())
    assert "stubborn | did not stop within 0.3 s: killed" in bench.terminal.getvalue()


async def test_kill_is_immediate(bench: Bench) -> None:
    """The second Ctrl-C does not wait for a stubborn child."""
    async with Supervisor(echo=bench.echo) as supervisor:
        await supervisor.start(bench.service("stubborn", "stubborn", stop_timeout_s=60.0))
        pids = supervisor.pids
        async with asyncio.timeout(5):
            stopping = asyncio.create_task(supervisor.stop())
            await asyncio.sleep(0.1)
            supervisor.kill()
            await stopping

    assert none_alive(pids.values())


async def test_jobs(bench: Bench) -> None:
    """A job's output is its result; a failing or slow one is a failure that shows it."""
    async with Supervisor(echo=bench.echo) as supervisor:
        said = await supervisor.run(Job(name="good", argv=("/bin/echo", "a\nb"), env={}))
        bad = Job(name="bad", argv=("/bin/sh", "-c", "echo why; exit 3"), env={})
        slow = Job(name="slow", argv=("/bin/sh", "-c", "echo x; sleep 60"), env={}, timeout_s=0.3)
        with pytest.raises(StartFailed, match=r"bad failed with code 3.*\n.*why"):
            await supervisor.run(bad)
        with pytest.raises(StartFailed, match=r"slow took more than 0.3 s.*\n.*x"):
            await supervisor.run(slow)

    assert said == "a\nb"


async def test_output_before_ready_is_kept_back(bench: Bench) -> None:
    """A good start is quiet; afterwards every line carries the name of its child."""
    async with Supervisor(echo=bench.echo) as supervisor:
        await supervisor.start(bench.service("solo", "parent"))
        quiet = bench.terminal.getvalue()
        os.kill(supervisor.pids["solo"], signal.SIGKILL)
        await eventually(lambda: "here I am" in bench.terminal.getvalue())

    assert quiet == ""
    assert "     solo | here I am\n" in bench.terminal.getvalue()
