"""What is measured: a body, a lane, a pace. Durations are those of one measurement."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from bench.bodies import agent_chat, small_chat
from bench.lanes import BURST, DELAYED, INSTANT, PACED, Lane


class Kind(Enum):
    CAPACITY = "closed loop: how much work fits on a core"
    LATENCY = "constant rate: how much a request is delayed"
    BURST = "streams at once: what a chunk costs"
    PACED = "streams at a reader's pace: how much a chunk is delayed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    name: str
    title: str
    kind: Kind
    lane: Lane
    body: Callable[..., bytes]
    connections: int
    rate_per_s: int = 0  # 0: closed loop
    warmup_s: float
    seconds: float

    @property
    def streams(self) -> bool:
        return self.kind in {Kind.BURST, Kind.PACED}

    def request_body(self) -> bytes:
        return self.body(model=self.lane.model, stream=self.streams)


def shortened(scenario: Scenario) -> Scenario:
    """For a look rather than a figure to quote."""
    return replace(scenario, seconds=scenario.seconds / 2)


SCENARIOS = (
    Scenario(
        name="json_1k",
        title="1 KB chat, 64 connections, closed loop",
        kind=Kind.CAPACITY,
        lane=INSTANT,
        body=small_chat,
        connections=64,
        warmup_s=0.5,
        seconds=2.0,
    ),
    Scenario(
        name="json_37k",
        title="37 KB coding agent chat, 64 connections, closed loop",
        kind=Kind.CAPACITY,
        lane=INSTANT,
        body=agent_chat,
        connections=64,
        warmup_s=0.5,
        seconds=2.0,
    ),
    Scenario(
        name="latency",
        title="1 KB chat, 1000 requests/s, upstream answers after 60 ms",
        kind=Kind.LATENCY,
        lane=DELAYED,
        body=small_chat,
        connections=512,
        rate_per_s=1000,
        warmup_s=1.0,
        seconds=3.0,
    ),
    Scenario(
        name="sse_burst",
        title="16 streams, 500 chunks at once",
        kind=Kind.BURST,
        lane=BURST,
        body=small_chat,
        connections=16,
        warmup_s=0.5,
        seconds=2.0,
    ),
    Scenario(
        name="sse_paced",
        title="64 streams in step, first chunk after 20 ms, 50 chunks 20 ms apart",
        kind=Kind.PACED,
        lane=PACED,
        body=small_chat,
        connections=64,
        warmup_s=1.1,
        seconds=3.0,
    ),
)
