"""One stack per data folder. The locks belong to processes, so none is ever stale."""

import contextlib
import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path

from aibridge_devstack.failure import StartFailed
from aibridge_devstack.home import Home

_GUARDIAN_TIMEOUT_S = 20.0
_POLL_S = 0.05


@contextlib.contextmanager
def only_stack(home: Home) -> Generator[int]:
    """Hold the home; yields the descriptor of a second lock, for the guardian to keep.

    A supervisor that was killed frees the first lock at once, its guardian the second when the last
    child has ended: we wait for that, so that two PostgreSQL servers never meet on one folder.
    """
    with _opened(home.root / "lock") as mine, _opened(home.root / "guardian.lock") as guardians:
        if not _taken(mine):
            raise StartFailed(
                f"AI-Bridge already runs in {home.root} (process {_read_pid(mine)}). "
                "Stop it with: aibridge-dev down"
            )
        os.ftruncate(mine, 0)
        os.pwrite(mine, str(os.getpid()).encode(), 0)
        give_up = time.monotonic() + _GUARDIAN_TIMEOUT_S
        while not _taken(guardians):
            if time.monotonic() > give_up:
                raise StartFailed(f"Processes of the last run still use {home.root}.")
            time.sleep(_POLL_S)
        yield guardians


def holder(home: Home) -> int | None:
    """The process id of the supervisor that holds this home now; None when nothing runs."""
    path = home.root / "lock"
    if not path.exists():
        return None
    with _opened(path) as descriptor:
        return None if _taken(descriptor) else _read_pid(descriptor)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    """Try to take the lock; the system gives it back when the descriptor closes."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(descriptor: int) -> int:
    """0 in the instant between taking the lock and writing the number."""
    return int(os.pread(descriptor, 20, 0) or b"0")
