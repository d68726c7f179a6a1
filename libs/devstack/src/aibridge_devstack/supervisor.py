"""Runs children: all of them end before, or with, the supervisor."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aibridge_devstack.child import Child
from aibridge_devstack.echo import Echo
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.guardian import Guardian
from aibridge_devstack.service import Job, Service
from aibridge_devstack.spawn import spawn
from aibridge_devstack.together import together


class Supervisor:
    """An async context: leaving it stops every child, the last added first.

    `on_restart` is called after a crashed child has been started again (its process id is new).
    `lock` and `sign_of_life` are for the guardian: see there.
    """

    def __init__(
        self,
        *,
        echo: Echo,
        lock: int | None = None,
        sign_of_life: Path | None = None,
        on_restart: Callable[["Supervisor", Child], None] | None = None,
    ) -> None:
        self.children: dict[str, Child] = {}
        self._echo = echo
        self._guardian = Guardian(lock=lock, sign_of_life=sign_of_life)
        self._on_restart = on_restart

    async def __aenter__(self) -> Self:
        self._guardian.__enter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.stop()
        finally:
            self._guardian.__exit__(exc_type, exc, traceback)

    @property
    def pids(self) -> dict[str, int]:
        """The running children by name."""
        return {name: child.pid for name, child in self.children.items() if child.pid is not None}

    @property
    def stopped_in_time(self) -> bool:
        """False when a child had to be killed."""
        return all(child.stopped_in_time for child in self.children.values())

    async def start(self, *services: Service) -> None:
        """Start them at the same time; return when all are ready. They stop in reverse order."""
        children = [self._add(service) for service in services]
        await together(*(child.ready() for child in children))

    async def run(self, job: Job) -> str:
        """What it printed; `StartFailed` with that if it fails or takes too long."""
        spawned = await spawn(job, guardian=self._guardian)
        said: list[str] = []
        code: int | None = None
        try:
            async with asyncio.timeout(job.timeout_s):
                code = await spawned.run(said.append)
        except TimeoutError:
            pass  # code None says it
        finally:
            self._guardian.forget(spawned.process.pid)
        if code == 0:
            return "\n".join(said)
        how = f"took more than {job.timeout_s:g} s" if code is None else f"failed with code {code}"
        raise StartFailed("\n  ".join([f"{job.name} {how}. It said:", *said]))

    async def stop(self) -> None:
        """Stop every child, one after the other, the last added first."""
        for child in reversed(self.children.values()):
            await child.stop()

    def kill(self) -> None:
        """SIGKILL to everything, now."""
        for child in self.children.values():
            child.kill()

    def _add(self, service: Service) -> Child:
        child = Child(
            service,
            guardian=self._guardian,
            echo=self._echo,
            restarted=lambda: self._restarted(child),
        )
        self.children[service.name] = child
        return child

    def _restarted(self, child: Child) -> None:
        if self._on_restart is not None:
            self._on_restart(self, child)
