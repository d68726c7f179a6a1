"""CPU time of process trees, to the nanosecond, as the scheduler counts it.

`/proc/<pid>/task/<tid>/schedstat` begins with the time a thread spent on a core. Other work on the
machine slows a process down but hardly changes this figure, so it compares where requests per second
cannot. Time of threads that ended between two readings is lost; servers keep theirs.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bench.processes import process_tree

CpuReading = dict[int, int]  # thread id → nanoseconds


def read_cpu_ns(roots: Iterable[int]) -> CpuReading:
    reading: CpuReading = {}
    for root in roots:
        for pid in process_tree(root):
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):
                        spent_ns = (task / "schedstat").read_text().split(maxsplit=1)[0]
                        reading[int(task.name)] = int(spent_ns)
    return reading


def cpu_between_ns(before: CpuReading, after: CpuReading) -> int:
    return sum(spent_ns - before.get(thread, 0) for thread, spent_ns in after.items())
