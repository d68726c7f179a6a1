"""The run as text: per scenario a table of targets, then the rounds side by side, then the floors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench import figures
from bench.figures import Metric, differences, ratios, spread_of
from bench.floors import LIMIT, OURS, judge
from bench.results import Results
from bench.scenarios import Kind, Scenario

COLUMNS: dict[Kind, tuple[Metric, ...]] = {
    Kind.CAPACITY: (
        figures.REQUESTS_PER_CORE,
        figures.CPU_PER_REQUEST,
        figures.REQUESTS,
        figures.P50,
        figures.P99,
    ),
    Kind.LATENCY: (figures.P50, figures.P99, figures.CPU_PER_REQUEST, figures.REQUESTS),
    Kind.BURST: (figures.CPU_PER_CHUNK, figures.CHUNKS),
    Kind.PACED: (
        figures.FIRST_CHUNK_P50,
        figures.FIRST_CHUNK_P99,
        figures.CHUNK_DELAY_P50,
        figures.CHUNK_DELAY_P99,
        figures.CPU_PER_CHUNK,
    ),
}

RATIO_OF: dict[Kind, Metric] = {  # none for latency: at a fixed rate CPU is mostly waking up
    Kind.CAPACITY: figures.REQUESTS_PER_CORE,
    Kind.BURST: figures.CHUNKS_PER_CORE,
    Kind.PACED: figures.CHUNKS_PER_CORE,
}

ADDED_OF: dict[Kind, tuple[Metric, ...]] = {
    Kind.LATENCY: (figures.P50, figures.P99),
    Kind.PACED: (figures.FIRST_CHUNK_P50,),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    title: str
    cells: tuple[str, ...]


def report(results: Results, scenarios: Iterable[Scenario]) -> str:
    parts = [_scenario(results, scenario) for scenario in scenarios]
    return "\n\n".join([*parts, *_memory(results), _floors(results)])


def _scenario(results: Results, scenario: Scenario) -> str:
    columns = COLUMNS[scenario.kind]
    rows = [
        Row(
            title=target,
            cells=tuple(
                _min_median_max(
                    [column.of(s) for s in results.of(scenario=scenario.name, target=target)],
                    column.decimals,
                )
                for column in columns
            ),
        )
        for target in results.targets(scenario=scenario.name)
    ]
    header = Row(title="", cells=tuple(column.title for column in columns))
    lines = [f"{scenario.name}: {scenario.title} (min / median / max over rounds)"]
    lines += _aligned([header, *rows])
    lines += _beside(results, scenario)
    return "\n".join(lines)


def _beside(results: Results, scenario: Scenario) -> list[str]:
    """What was added to the direct way, and our ratio to the limit, round by round."""
    lines: list[str] = []
    direct = results.of(scenario=scenario.name, target="direct")
    for metric in ADDED_OF.get(scenario.kind, ()):
        for target in results.targets(scenario=scenario.name):
            samples = results.of(scenario=scenario.name, target=target)
            if target != "direct":
                title = f"  added {metric.title}, {target} - direct"
                lines += _rounds(title, differences(samples, direct, metric), metric.decimals)
    if metric := RATIO_OF.get(scenario.kind):
        ours = results.of(scenario=scenario.name, target=OURS)
        limit = results.of(scenario=scenario.name, target=LIMIT)
        lines += _rounds(f"  {metric.title}, {OURS} / {LIMIT}", ratios(ours, limit, metric), 3)
    return lines


def _rounds(title: str, values: Sequence[float], decimals: int) -> list[str]:
    if not values:
        return []
    each = "  ".join(f"{value:.{decimals}f}" for value in values)
    return [f"{title}: {_min_median_max(values, decimals)}   (rounds: {each})"]


def _memory(results: Results) -> list[str]:
    samples = results.memory()
    if not samples:
        return []
    totals = _aligned(
        [
            Row(
                title=f"{sample.target}, {sample.moment}",
                cells=(f"{sum(sample.pss_bytes.values()) / 1e6:.1f}",),
            )
            for sample in samples
        ]
    )
    parts = [
        ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sample.pss_bytes.items())
        for sample in samples
    ]
    rows = [f"{total}   ({part})" for total, part in zip(totals, parts, strict=True)]
    return ["\n".join(["memory: proportional set size, MB", *rows])]


def _floors(results: Results) -> str:
    lines = ["floors (medians)"]
    for verdict in judge(results):
        floor = verdict.floor
        bound = (
            f"at most {floor.at_most:g}"
            if floor.at_most < float("inf")
            else f"at least {floor.at_least:g}"
        )
        word = "ok    " if verdict.met else "MISSED"
        lines.append(f"  {word} {floor.title}: {verdict.figure:.{floor.decimals}f} ({bound})")
    return "\n".join(lines)


def _min_median_max(values: Sequence[float | None], decimals: int) -> str:
    present = [value for value in values if value is not None]
    if not present:
        return "-"
    spread = spread_of(present)
    return " / ".join(f"{v:.{decimals}f}" for v in (spread.min, spread.median, spread.max))


def _aligned(rows: Sequence[Row]) -> list[str]:
    title_width = max(len(row.title) for row in rows)
    widths = [max(map(len, column)) for column in zip(*(row.cells for row in rows), strict=True)]
    return [
        "  ".join(
            ["", row.title.ljust(title_width)]
            + [cell.rjust(width) for cell, width in zip(row.cells, widths, strict=True)]
        )
        for row in rows
    ]
