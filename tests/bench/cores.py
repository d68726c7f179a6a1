"""Which core a process may run on."""

import os
from collections.abc import Generator, Iterable
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
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):  # the thread ended meanwhile
                os.sched_setaffinity(int(task.name), {core})
