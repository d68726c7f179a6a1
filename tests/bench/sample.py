"""What is written down: one line of JSON per measurement."""

import msgspec


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """Exact percentiles in microseconds; all zero when `count` is."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator's own account of its window."""

    seconds: float
    answered: int
    errors: int
    status_of_last_error: int
    reconnects: int
    overdue: int  # requests of a constant rate that no connection was free for
    unfinished: int  # requests without an answer two seconds after the window
    chunks: int
    latency_us: Durations
    first_chunk_us: Durations
    chunk_delay_us: Durations


class LoadSample(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="load"):
    target: str
    scenario: str
    round: int
    load: Load
    cpu_ns: int | None = None  # of the target's trees in the window; None: there is no target


class MemorySample(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="memory"):
    target: str
    moment: str  # "idle" before the first request, "loaded" after the last
    pss_bytes: dict[str, int]  # by service


Sample = LoadSample | MemorySample
