"""`make soak`, `make outage`, `make overload`: the real product under load and in trouble."""

import argparse
import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import uvloop

from tests.fixtures.product import product
from tests.soak.flapping import flapping
from tests.soak.outage import outage
from tests.soak.overload import overload
from tests.soak.rolling import rolling
from tests.soak.site import Site
from tests.soak.table import Figure, table

BOUND_MISSED = 1


class Arguments(argparse.Namespace):
    """What the command line says."""

    run: str
    seconds: float | None
    seed: int | None
    keep: bool


def main() -> int:
    """One run against a product of its own; 1 when a bound is missed."""
    arguments = _parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(10**6)
    print(f"{arguments.run}, seed {seed}; the product starts", flush=True)
    # All load is one account's, and what it may do at once is not what is measured.
    os.environ.setdefault("AIBRIDGE_GATEWAY_ACCOUNT_CONCURRENCY_MAX", "5000")
    folder = Path(tempfile.mkdtemp(prefix="aib-soak-"))
    began_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began_s:6.0f} s  {line}", flush=True)

    try:
        with product(folder) as stack:
            site = Site(stack=stack, home=folder / "home", seed=seed, say=say)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                figures = runner.run(_run(arguments, site))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{arguments.run}, seed {seed}\n\n{table(figures)}")
    return 0 if all(figure.met for figure in figures) else BOUND_MISSED


async def _run(arguments: Arguments, site: Site) -> list[Figure]:
    match arguments.run:
        case "flapping":
            return await flapping(site, arguments.seconds or 600.0)
        case "outage":
            return await outage(site, arguments.seconds or 30.0)
        case "rolling":
            return await rolling(site)
        case _:
            return await overload(site, arguments.seconds or 60.0)


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)  # unwinds, so that everything started is stopped


def _parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("run", choices=["flapping", "outage", "overload", "rolling"])
    parser.add_argument("--seconds", type=float, help="default: 600, 30, 60")
    parser.add_argument("--seed", type=int, help="repeats a run's traffic and faults")
    parser.add_argument("--keep", action="store_true", help="keep the product's folder")
    return parser.parse_args(namespace=Arguments())
