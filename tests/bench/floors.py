"""What a run must reach: every bound of the benchmark is in this file."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.figures import REQUESTS_PER_CORE, ratios
from bench.results import Results

OURS = "aibridge"
LIMIT = "nginx"  # the measure of what one core can proxy


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    title: str
    decimals: int
    figure: Callable[[Results], float | None]  # None: this run did not measure it
    at_least: float = float("-inf")
    at_most: float = float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    floor: Floor
    figure: float

    @property
    def met(self) -> bool:
        return self.floor.at_least <= self.figure <= self.floor.at_most


def judge(results: Results) -> list[Verdict]:
    figures = [(floor, floor.figure(results)) for floor in FLOORS]
    return [Verdict(floor=floor, figure=figure) for floor, figure in figures if figure is not None]


def _ratio(scenario: str) -> Callable[[Results], float | None]:
    """Median over the rounds of our requests per second per core beside the limit's."""

    def figure(results: Results) -> float | None:
        ours = results.of(scenario=scenario, target=OURS)
        limit = results.of(scenario=scenario, target=LIMIT)
        found = ratios(ours, limit, REQUESTS_PER_CORE)
        return median(found) if found else None

    return figure


def _idle_mb(results: Results) -> float | None:
    for sample in results.memory():
        if sample.target == OURS and sample.moment == "idle":
            return sum(sample.pss_bytes.values()) / 1e6
    return None


def _wrong_answers(results: Results) -> float:
    return sum(sample.load.errors + sample.load.unfinished for sample in results.loads())


FLOORS = (
    Floor(
        title="1 KB: requests/s per core, ours / nginx",
        decimals=3,
        figure=_ratio("json_1k"),
        at_least=0.06,
    ),
    Floor(
        title="37 KB: requests/s per core, ours / nginx",
        decimals=3,
        figure=_ratio("json_37k"),
        at_least=0.05,
    ),
    Floor(title="idle memory of the four services, MB", decimals=0, figure=_idle_mb, at_most=400),
    Floor(title="wrong or missing answers", decimals=0, figure=_wrong_answers, at_most=0),
)
