"""The table at the end."""

from collections.abc import Sequence

from tests.faults.scene import Result


def report(results: Sequence[Result]) -> str:
    """A line a row, what was wrong below it, and the verdict."""
    head = ("row", "fault", "promise", "measured", "", "seed")
    lines = [head, *(_line(result) for result in results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    broken = [result for result in results if result.wrong]
    reasons = [f"row {each.row.number}: {why}" for each in broken for why in each.wrong[:5]]
    verdict = f"BROKEN: {len(broken)} of {len(results)}" if broken else "every promise is kept"
    return "\n".join([table[0], "-" * len(table[0]), *table[1:], *reasons, verdict])


def _line(result: Result) -> tuple[str, str, str, str, str, str]:
    row = result.row
    verdict = "FAIL" if result.wrong else "pass"
    if result.skipped is not None:
        verdict = "skipped"
    measured = result.skipped or result.measured
    return (row.number, row.fault, row.promise, measured, verdict, str(result.seed))
