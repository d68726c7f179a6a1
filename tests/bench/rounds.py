"""The order of a run: targets interleaved within each scenario, turned around every other round.

What the machine does meanwhile then hits every target alike, and no target is always first.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from bench.measure import Generator, Pace, pace_of
from bench.memory import pss_bytes
from bench.sample import LoadSample, MemorySample
from bench.scenarios import Scenario
from bench.targets.target import Site, StartError, Target

PROBE = Pace(warmup_s=0, seconds=0.3, connections=1, rate_per_s=0)


def start_all(targets: Sequence[Target], sites: Sequence[Site], stack: ExitStack) -> None:
    for target, site in zip(targets, sites, strict=True):
        stack.callback(target.stop)
        try:
            target.start(site)
        except StartError as error:
            raise StartError(f"{target.name} {error}") from error


def probe(targets: Sequence[Target], scenarios: Sequence[Scenario], generator: Generator) -> None:
    """Every target answers every scenario rightly, or there is nothing worth measuring."""
    for scenario in scenarios:
        for target in targets:
            load = generator.measure(target, scenario, PROBE).load
            if load.errors:
                raise StartError(
                    f"{target.name} answers {scenario.name} wrongly "
                    f"(last status {load.status_of_last_error})"
                )


def memory_of(targets: Sequence[Target], moment: str) -> Iterator[MemorySample]:
    for target in targets:
        sizes = {name: pss_bytes(pid) for name, pid in target.services().items()}
        if sizes:
            yield MemorySample(target=target.name, moment=moment, pss_bytes=sizes)


def measure_rounds(
    targets: Sequence[Target], scenarios: Sequence[Scenario], generator: Generator, rounds: int
) -> Iterator[LoadSample]:
    for number in range(rounds):
        order = targets if number % 2 == 0 else targets[::-1]
        for scenario in scenarios:
            for target in order:
                measured = generator.measure(target, scenario, pace_of(scenario))
                yield LoadSample(
                    target=target.name,
                    scenario=scenario.name,
                    round=number,
                    load=measured.load,
                    cpu_ns=measured.cpu_ns,
                )
