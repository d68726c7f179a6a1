"""`make bench`: AI-Bridge beside nginx on this machine; the README says how to read it."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import msgspec

from bench.floors import judge
from bench.machine import OUTPUT, Machine, NotMeasurableError, inspect_machine
from bench.measure import Generator, LoadError
from bench.native import compile_programs
from bench.report import report
from bench.results import Results
from bench.rounds import measure_rounds, memory_of, probe, start_all
from bench.sample import LoadSample, Sample
from bench.scenarios import SCENARIOS, Scenario, shortened
from bench.targets.registry import DEFAULT_TARGETS, TARGETS
from bench.targets.target import Site, StartError, Target
from bench.upstream import running_upstream

FLOOR_MISSED, NOT_MEASURED = 1, 2


class Arguments(argparse.Namespace):
    rounds: int
    scenarios: list[str]
    targets: list[str]
    quick: bool


def main() -> int:
    arguments = _parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    scenarios = [each for each in SCENARIOS if each.name in arguments.scenarios]
    if arguments.quick:
        scenarios = [shortened(each) for each in scenarios]
    targets = [TARGETS[name]() for name in arguments.targets]
    try:
        results = _measure(inspect_machine(), targets, scenarios, arguments.rounds)
    except (NotMeasurableError, StartError, LoadError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    print()
    print(report(results, scenarios))
    return 0 if all(verdict.met for verdict in judge(results)) else FLOOR_MISSED


def _measure(
    machine: Machine, targets: Sequence[Target], scenarios: Sequence[Scenario], rounds: int
) -> Results:
    programs = compile_programs(compiler=machine.compiler, into=OUTPUT / "bin")
    folder = OUTPUT / "runs" / time.strftime("%Y%m%d-%H%M%S")
    generator = Generator(program=programs.load, bodies=_folder(folder / "bodies"))
    os.sched_setaffinity(0, {machine.load_core})
    samples: list[Sample] = []
    with ExitStack() as stack:
        lines = stack.enter_context((folder / "samples.jsonl").open("wb"))
        ports = stack.enter_context(running_upstream(programs.upstream))
        sites = [
            Site(machine=machine, folder=_folder(folder / target.name), upstream_ports=ports)
            for target in targets
        ]

        def keep(sample: Sample) -> None:
            lines.write(msgspec.json.encode(sample) + b"\n")
            lines.flush()
            samples.append(sample)

        start_all(targets, sites, stack)
        for sample in memory_of(targets, "idle"):
            keep(sample)
        probe(targets, scenarios, generator)
        for sample in measure_rounds(targets, scenarios, generator, rounds):
            keep(sample)
            print(_progress(sample), flush=True)
        for sample in memory_of(targets, "loaded"):
            keep(sample)
    print(f"samples: {os.path.relpath(folder / 'samples.jsonl')}")
    return Results(samples=samples)


def _progress(sample: LoadSample) -> str:
    load = sample.load
    done = f"{load.chunks} chunks" if load.chunks else f"{load.answered} answers"
    wrong = f", {load.errors} ERRORS" if load.errors else ""
    return f"round {sample.round + 1}  {sample.scenario:10} {sample.target:10} {done}{wrong}"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)  # unwinds, so that everything started is stopped


def _parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    scenarios = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--rounds", type=int, help="default: 5; with --quick: 2")
    parser.add_argument("--quick", action="store_true", help="two rounds of half length")
    parser.add_argument(
        "--scenarios", type=_names, default=scenarios, help=f"of {','.join(scenarios)}"
    )
    parser.add_argument(
        "--targets", type=_names, default=list(DEFAULT_TARGETS), help=f"of {','.join(TARGETS)}"
    )
    arguments = parser.parse_args(namespace=Arguments())
    for given, known in ((arguments.scenarios, scenarios), (arguments.targets, TARGETS)):
        unknown = set(given).difference(known)
        if unknown:
            parser.error(f"unknown: {', '.join(sorted(unknown))}")
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 5)
    return arguments


def _names(text: str) -> list[str]:
    return text.split(",")
