"""The stand-in vendor as a process."""

import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.lanes import LANES, Lane
from bench.machine import NotMeasurableError, free_ports
from bench.processes import stop_tree


@contextmanager
def running_upstream(program: Path) -> Generator[Mapping[Lane, int]]:
    """The port of each lane, all of them already listening."""
    ports = dict(zip(LANES, free_ports(len(LANES)), strict=True))
    specifications = [
        f"{port}:{lane.first_byte_ms}:{lane.chunks}:{lane.interval_us}"
        for lane, port in ports.items()
    ]
    process = subprocess.Popen(
        [program, *specifications], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise NotMeasurableError("the stand-in upstream did not start")
        yield ports
    finally:
        stop_tree(process)
