"""Figures made of samples: per request, per chunk, per core, and beside another target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.sample import LoadSample

NS_PER_S = 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    min: float
    median: float
    max: float


def spread_of(values: Sequence[float]) -> Spread:
    return Spread(min=min(values), median=median(values), max=max(values))


Figure = Callable[[LoadSample], float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    title: str  # with its unit
    decimals: int
    of: Figure  # None where the figure has no meaning, as CPU of a target that is none


def cpu_us_per_request(sample: LoadSample) -> float | None:
    return _divided(sample.cpu_ns, sample.load.answered, scale=1e-3)


def cpu_us_per_chunk(sample: LoadSample) -> float | None:
    return _divided(sample.cpu_ns, sample.load.chunks, scale=1e-3)


def requests_per_core_s(sample: LoadSample) -> float | None:
    return _divided(sample.load.answered, sample.cpu_ns, scale=NS_PER_S)


def chunks_per_core_s(sample: LoadSample) -> float | None:
    return _divided(sample.load.chunks, sample.cpu_ns, scale=NS_PER_S)


def _divided(amount: float | None, by: float | None, *, scale: float) -> float | None:
    return None if amount is None or not by else amount * scale / by


REQUESTS_PER_CORE = Metric(title="requests/s per core", decimals=0, of=requests_per_core_s)
CPU_PER_REQUEST = Metric(title="CPU µs/request", decimals=1, of=cpu_us_per_request)
REQUESTS = Metric(title="requests/s", decimals=0, of=lambda s: s.load.answered / s.load.seconds)
P50 = Metric(title="p50 ms", decimals=2, of=lambda s: s.load.latency_us.p50 / 1e3)
P99 = Metric(title="p99 ms", decimals=2, of=lambda s: s.load.latency_us.p99 / 1e3)
CHUNKS_PER_CORE = Metric(title="chunks/s per core", decimals=0, of=chunks_per_core_s)
CPU_PER_CHUNK = Metric(title="CPU µs/chunk", decimals=2, of=cpu_us_per_chunk)
CHUNKS = Metric(title="chunks/s", decimals=0, of=lambda s: s.load.chunks / s.load.seconds)
FIRST_CHUNK_P50 = Metric(
    title="first chunk p50 ms", decimals=2, of=lambda s: s.load.first_chunk_us.p50 / 1e3
)
FIRST_CHUNK_P99 = Metric(
    title="first chunk p99 ms", decimals=2, of=lambda s: s.load.first_chunk_us.p99 / 1e3
)
CHUNK_DELAY_P50 = Metric(
    title="chunk delay p50 µs", decimals=0, of=lambda s: s.load.chunk_delay_us.p50
)
CHUNK_DELAY_P99 = Metric(
    title="chunk delay p99 µs", decimals=0, of=lambda s: s.load.chunk_delay_us.p99
)


def ratios(
    samples: Sequence[LoadSample], base: Sequence[LoadSample], metric: Metric
) -> list[float]:
    """Quotients of the samples of one round, which met the same noise; rounds that lack one are left out."""
    return [value / reference for value, reference in _pairs(samples, base, metric) if reference]


def differences(
    samples: Sequence[LoadSample], base: Sequence[LoadSample], metric: Metric
) -> list[float]:
    return [value - reference for value, reference in _pairs(samples, base, metric)]


def _pairs(
    samples: Sequence[LoadSample], base: Sequence[LoadSample], metric: Metric
) -> list[tuple[float, float]]:
    references = {sample.round: metric.of(sample) for sample in base}
    pairs = [(metric.of(sample), references.get(sample.round)) for sample in samples]
    return [(value, other) for value, other in pairs if value is not None and other is not None]
