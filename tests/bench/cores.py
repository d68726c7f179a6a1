"""Which core a process may run on, and whether it makes way for others there."""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def children_on(core: int) -> Generator[None]:
    """What is started within inherits this core, threads and grandchildren included."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def move_to_core(pids: Iterable[int], core: int) -> None:
    """Moves processes that already run, every thread of them; what they start later follows."""
    for thread in _threads(pids):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, {core})


def make_way(pids: Iterable[int]) -> None:
    """From now on these run only when nothing else wants their core."""
    for thread in _threads(pids):
        with suppress(ProcessLookupError):
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def _threads(pids: Iterable[int]) -> Iterator[int]:
    """Any of them may end meanwhile."""
    for pid in pids:
        with suppress(FileNotFoundError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                yield int(task.name)
