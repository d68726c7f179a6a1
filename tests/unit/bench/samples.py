"""Samples made by hand."""

from bench.sample import Durations, Load, LoadSample


def durations(p50: float = 0.0) -> Durations:
    return Durations(count=1, p50=p50, p90=p50, p99=p50, max=p50)


def load_sample(
    target: str,
    *,
    scenario: str = "json_1k",
    round: int = 0,  # noqa: A002  # the field's name
    answered: int = 1_000,
    errors: int = 0,
    cpu_us_per_request: float | None = None,
    p50_us: float = 0.0,
) -> LoadSample:
    load = Load(
        seconds=1.0,
        answered=answered,
        errors=errors,
        status_of_last_error=0,
        reconnects=0,
        overdue=0,
        unfinished=0,
        chunks=0,
        latency_us=durations(p50_us),
        first_chunk_us=durations(),
        chunk_delay_us=durations(),
    )
    cpu_ns = None if cpu_us_per_request is None else int(cpu_us_per_request * 1_000 * answered)
    return LoadSample(target=target, scenario=scenario, round=round, load=load, cpu_ns=cpu_ns)
