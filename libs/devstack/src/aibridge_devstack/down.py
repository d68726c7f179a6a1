"""Talking to a stack that runs in another process."""

import os
import signal
import time

from aibridge_devstack.failure import StartFailed
from aibridge_devstack.home import Home
from aibridge_devstack.lock import holder
from aibridge_devstack.record import read_record

_STOP_TIMEOUT_S = 120.0
_POLL_S = 0.05


def down(home: Home) -> str:
    """Stop it and wait for the end; what happened, in words.

    Only the process that holds the home's lock is signalled, so the number cannot be a stranger's.
    """
    pid = holder(home)
    if not pid:
        return f"Nothing runs in {home.root}."
    os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + _STOP_TIMEOUT_S
    while holder(home) is not None:
        if time.monotonic() > give_up:
            raise StartFailed(f"Process {pid} did not stop within {_STOP_TIMEOUT_S:g} s.")
        time.sleep(_POLL_S)
    return f"Stopped the stack in {home.root} (process {pid})."


def status(home: Home) -> tuple[bool, str]:
    """Whether everything answers, and the state in words."""
    pid = holder(home)
    if pid is None:
        return False, f"Nothing runs in {home.root}."
    record = read_record(home.record)
    if record is None:
        return False, f"Process {pid} is starting or stopping in {home.root}."
    lines = [f"AI-Bridge runs at {record.base_url} (home {home.root})"]
    lines += [f"  {name:<12}{number}" for name, number in record.pids.items()]
    return True, "\n".join(lines)
