"""What the harness asks of anything it puts between generator and upstream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.lanes import Lane
from bench.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    port: int
    path: str = "/v1/chat/completions"
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where a target finds its surroundings."""

    machine: Machine
    folder: Path  # its own, empty
    upstream_ports: Mapping[Lane, int]


class Target(Protocol):
    name: str

    def start(self, site: Site) -> None:
        """Returns once it answers; raises `StartError` with the reason otherwise."""
        ...

    def stop(self) -> None: ...

    def endpoint(self, lane: Lane, /) -> Endpoint: ...

    def measured_pids(self) -> Sequence[int]:
        """Roots of the trees whose CPU counts; they run on the target's core."""
        ...

    def services(self) -> Mapping[str, int]:
        """Name → root of the tree, of everything whose memory is reported."""
        ...


class StartError(Exception):
    """A target did not come up; the message ends with what it wrote last."""
