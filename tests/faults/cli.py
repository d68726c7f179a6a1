"""`make faults`: the real product, its processes killed and cut off, and its books against the vendors' truth."""

import argparse
import asyncio
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tests.faults.clocks import Clocks
from tests.faults.report import report
from tests.faults.rows import ROWS
from tests.faults.scene import Result, Row, run_row
from tests.faults.stage import Stage
from tests.fixtures.product import product

PROMISE_BROKEN = 1
SETTINGS = {
    # All load of a row is one account's, and how busy this machine is is not what is measured.
    "AIBRIDGE_GATEWAY_ACCOUNT_CONCURRENCY_MAX": "1000",
    "AIBRIDGE_GATEWAY_LAG_MAX_MS": "5000",
    "AIBRIDGE_ROUTER_LAG_MAX_MS": "5000",
}


class Arguments(argparse.Namespace):
    """What the command line says."""

    row: list[str] | None
    seed: int | None
    keep: bool


def main() -> int:
    """All rows, or some; 1 when a promise is broken."""
    arguments = _parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(10**6)
    rows = [row for row in ROWS if arguments.row is None or row.number in arguments.row]
    print(f"{len(rows)} rows, seed {seed}; the product starts", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="aib-faults-"))
    try:
        with product(folder, settings={**SETTINGS, **Clocks(folder).prepare()}):
            results = asyncio.run(_run(rows, Stage(folder), seed))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{report(results)}")
    return PROMISE_BROKEN if any(result.wrong for result in results) else 0


async def _run(rows: Sequence[Row], stage: Stage, seed: int) -> list[Result]:
    began_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began_s:6.0f} s  {line}", flush=True)

    return [await run_row(row, stage, seed, say) for row in rows]


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)  # unwinds, so that everything started is stopped


def _parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--row", action="append", choices=[row.number for row in ROWS], help="only this one"
    )
    parser.add_argument("--seed", type=int, help="repeats a run's traffic and moments")
    parser.add_argument("--keep", action="store_true", help="keep the product's folder")
    return parser.parse_args(namespace=Arguments())
