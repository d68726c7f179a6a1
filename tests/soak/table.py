"""Figures with their bounds, as one table."""

from collections.abc import Sequence

from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One row. Without a bound it is only shown."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is within its bounds."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)


def table(figures: Sequence[Figure]) -> str:
    """Every figure, and at its end the verdict."""
    rows = [("figure", "value", "unit", "bound", "")]
    rows += [
        (
            figure.name,
            _number(figure.value),
            figure.unit,
            _bound(figure),
            _judged(figure),
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    missed = [figure.name for figure in figures if not figure.met]
    verdict = f"MISSED: {', '.join(missed)}" if missed else "every bound is met"
    return "\n".join(
        [lines[0], "-" * len(lines[0]), *(line.rstrip() for line in lines[1:]), verdict]
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _judged(figure: Figure) -> str:
    if figure.at_most is None and figure.at_least is None:
        return ""
    return "ok" if figure.met else "MISSED"


def _bound(figure: Figure) -> str:
    if figure.at_least is not None and figure.at_least == figure.at_most:
        return f"= {_number(figure.at_least)}"
    if figure.at_least is not None:
        return f">= {_number(figure.at_least)}"
    return "" if figure.at_most is None else f"<= {_number(figure.at_most)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
