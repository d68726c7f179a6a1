"""One measurement: the generator runs, and the target's CPU is read at both ends of its window."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.cpu import cpu_between_ns, read_cpu_ns
from bench.processes import process_tree
from bench.sample import Load
from bench.scenarios import Scenario
from bench.targets.target import Endpoint, Target

CPU_READ = {"measuring", "measured"}  # the generator's words for the ends of its window


class LoadError(Exception):
    """The generator could not do its work at all; wrong answers are counted, not raised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    warmup_s: float
    seconds: float
    connections: int
    rate_per_s: int


def pace_of(scenario: Scenario) -> Pace:
    return Pace(
        warmup_s=scenario.warmup_s,
        seconds=scenario.seconds,
        connections=scenario.connections,
        rate_per_s=scenario.rate_per_s,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    load: Load
    cpu_ns: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    program: Path
    bodies: Path  # folder

    def measure(self, target: Target, scenario: Scenario, pace: Pace) -> Measurement:
        pids = target.measured_pids()
        readings: list[dict[int, int]] = []
        with subprocess.Popen(
            self._command(target.endpoint(scenario.lane), scenario, pace),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            complaints: list[str] = []
            for line in process.stderr:
                if line.strip() in CPU_READ:
                    readings.append(read_cpu_ns(pids))
                else:
                    complaints.append(line)
            result = process.stdout.read()
        if process.returncode != 0:
            raise LoadError(f"{target.name}, {scenario.name}: {''.join(complaints)}")
        if not all(process_tree(pid) for pid in pids):
            raise LoadError(f"{target.name}, {scenario.name}: a process of the target has ended")
        load = msgspec.json.decode(result, type=Load)
        return Measurement(load=load, cpu_ns=cpu_between_ns(*readings) if pids else None)

    def _command(self, endpoint: Endpoint, scenario: Scenario, pace: Pace) -> Sequence[str]:
        body = self.bodies / f"{scenario.name}.json"
        body.write_bytes(scenario.request_body())
        command = [str(self.program), f"--port={endpoint.port}", f"--path={endpoint.path}"]
        command += [f"--header={header}" for header in endpoint.headers]
        command += [f"--body-file={body}", f"--connections={pace.connections}"]
        command += [f"--warmup-s={pace.warmup_s}", f"--seconds={pace.seconds}"]
        if pace.rate_per_s:
            command.append(f"--rate-per-s={pace.rate_per_s}")
        if scenario.streams:
            command.append(f"--chunks-expected={scenario.lane.chunks}")
        return command
