"""One supervised child: started, read, restarted, stopped."""

import asyncio
import contextlib
import signal
import time
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable

from aibridge_devstack.echo import Echo
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.guardian import Guardian
from aibridge_devstack.service import Service
from aibridge_devstack.spawn import signal_group, spawn

BACK_OFF_FIRST_S = 0.2
BACK_OFF_MAX_S = 5.0
STEADY_AFTER_S = 10.0
"""Up for this long, a child is healthy again: its next crash gets the first back-off."""
CRASHES_BEFORE_READY_MAX = 3
_PROBE_EVERY_S = 0.04
_TAIL_LINES = 40


class Child:
    """Runs a service until told to stop; a crash is answered by a restart after a growing pause.

    Until it is ready its output is only kept: a good start is quiet, a bad one can be explained.
    `restarted` is called after every start but the first.
    """

    def __init__(
        self,
        service: Service,
        *,
        guardian: Guardian,
        echo: Echo,
        restarted: Callable[[], None],
    ) -> None:
        self.service = service
        self.crashes = 0
        self.stopped_in_time = True
        self._guardian = guardian
        self._echo = echo
        self._restarted = restarted
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._was_ready = False
        self._task = asyncio.create_task(self._run(), name=service.name)

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def ready(self) -> None:
        """Return when the probe answers; `StartFailed` with the last lines if it never will."""
        service = self.service
        give_up = time.monotonic() + service.ready_timeout_s
        while not (self.pid is not None and await service.probe.answers()):
            if not self._was_ready and self.crashes >= CRASHES_BEFORE_READY_MAX:
                raise self._failed(f"{service.name} ended {self.crashes} times before it answered")
            if time.monotonic() > give_up:
                raise self._failed(
                    f"{service.name} did not answer within {service.ready_timeout_s:g} s"
                )
            if self._task.done():
                self._task.result()  # a fault of ours, such as a working folder that is gone
            await asyncio.sleep(_PROBE_EVERY_S)
        self._was_ready = True

    async def stop(self) -> None:
        """Ask, wait, then kill. Returns when nothing of its group is left."""
        self._stopping.set()
        self._signal()
        done, _ = await asyncio.wait({self._task}, timeout=self.service.stop_timeout_s)
        if not done:
            self.stopped_in_time = False
            self._line(f"did not stop within {self.service.stop_timeout_s:g} s: killed")
            self.kill()
            await asyncio.wait({self._task})

    def kill(self) -> None:
        """At once, the whole group, no restart."""
        self._stopping.set()
        if self.pid is not None:
            signal_group(self.pid, signal.SIGKILL)

    async def _run(self) -> None:
        pause_s = BACK_OFF_FIRST_S
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            self.crashes += 1
            if time.monotonic() - started > STEADY_AFTER_S:
                pause_s = BACK_OFF_FIRST_S
            self._line(f"ended unasked with code {code}; starts again in {pause_s:g} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
                return
            pause_s = min(pause_s * 2, BACK_OFF_MAX_S)

    async def _run_once(self) -> int:
        spawned = await spawn(self.service, guardian=self._guardian)
        process = self._process = spawned.process
        if self._stopping.is_set():  # told to stop while it was being started
            self._signal()
        elif self.crashes:
            self._restarted()
        code = await spawned.run(self._line)
        self._guardian.forget(process.pid)
        return code

    def _signal(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.service.stop_signal)

    def _line(self, line: str) -> None:
        self._tail.append(line)
        if self._was_ready:
            self._echo.child(self.service.name, line)

    def _failed(self, reason: str) -> StartFailed:
        said = "\n".join(f"  {self.service.name} | {line}" for line in self._tail)
        return StartFailed(f"{reason}. Its last lines:\n{said}" if said else f"{reason}.")
