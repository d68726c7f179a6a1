"""What the supervisor runs, as data."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class Probe(Protocol):
    """A question whose answer says whether a service is ready."""

    async def answers(self) -> bool:
        """True when ready; False when not yet. Never raises for a server that is not there."""
        ...


class Service(Struct, frozen=True, kw_only=True):
    """A long-running child."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Its whole environment; nothing is inherited."""
    probe: Probe
    folder: Path | None = None
    """Its working folder; None: ours."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 15.0
    """After this it is killed."""
    ready_timeout_s: float = 60.0


class Job(Struct, frozen=True, kw_only=True):
    """A child that runs once and has to succeed."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path | None = None
    timeout_s: float = 120.0
