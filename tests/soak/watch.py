"""Memory and open files of processes over time."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

from msgspec import Struct

MIB = 2**20


class Sample(Struct, frozen=True):
    """One look at one process. `pss_bytes` counts a page shared by n processes as 1/n."""

    at_s: float
    pss_bytes: int
    fds: int


class Watch:
    """Looks at each process every `every_s`."""

    def __init__(self, pids: Mapping[str, int], every_s: float) -> None:
        self.samples: dict[str, list[Sample]] = {name: [] for name in pids}
        self._pids = pids
        self._every_s = every_s

    async def run(self) -> None:
        """For ever; a process that is gone is passed over."""
        loop = asyncio.get_running_loop()
        while True:
            for name, pid in self._pids.items():
                with suppress(OSError):
                    found = Sample(loop.time(), pss_bytes(pid), open_files(pid))
                    self.samples[name].append(found)
            await asyncio.sleep(self._every_s)


def pss_bytes(pid: int) -> int:
    """Proportional set size. Raises `OSError` for a process that is gone."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def open_files(pid: int) -> int:
    """File descriptors, sockets included. Raises `OSError` for a process that is gone."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def grown_bytes(samples: list[Sample]) -> float:
    """From the median of the first quarter to that of the last: single peaks count for nothing."""
    quarter = max(1, len(samples) // 4)
    first, last = samples[:quarter], samples[-quarter:]
    return median(s.pss_bytes for s in last) - median(s.pss_bytes for s in first)


def slope_bytes_per_h(samples: list[Sample]) -> float:
    """Least squares over all of them."""
    if len(samples) < 2:
        return 0.0
    mean_s = sum(s.at_s for s in samples) / len(samples)
    mean_b = sum(s.pss_bytes for s in samples) / len(samples)
    over = sum((s.at_s - mean_s) * (s.pss_bytes - mean_b) for s in samples)
    under = sum((s.at_s - mean_s) ** 2 for s in samples)
    return over / under * 3600 if under else 0.0
