"""`make faults` in short: rows 1, 3, 5 and 7 on one product, and every answer is charged once."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.cli import SETTINGS
from tests.faults.killed import ROWS
from tests.faults.scene import Row, run_row
from tests.faults.stage import Stage
from tests.fixtures.product import product

SEED = 20261126
SHORT = ("1", "3", "5", "7")

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A product whose processes may die."""
    folder = tmp_path_factory.mktemp("faults")
    with product(folder, settings=SETTINGS):
        yield Stage(folder)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.number in SHORT], ids=lambda row: f"row {row.number}"
)
def test_every_answer_is_charged_once(row: Row, stage: Stage) -> None:
    lines: list[str] = []

    result = asyncio.run(run_row(row, stage, SEED, lines.append, short=True))

    assert result.wrong == [], "\n".join(lines)
