"""Process trees: who belongs to one, and ending exactly that one."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

STOP_S_MAX = 20.0
POLL_S = 0.05


def process_tree(pid: int) -> list[int]:
    """The process and its living descendants; empty once it is gone."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    tree = [pid]
    for task in tasks:
        with suppress(OSError):  # a thread may end while it is looked at
            for child in (task / "children").read_text().split():
                tree.extend(process_tree(int(child)))
    return tree


def stop_tree(process: subprocess.Popen[str]) -> None:
    """Asks the root to stop, which lets a supervisor stop its own; kills what is left of the tree."""
    tree = process_tree(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S_MAX)
    deadline_s = time.monotonic() + 1.0
    while any(Path(f"/proc/{pid}").exists() for pid in tree) and time.monotonic() < deadline_s:
        process.poll()
        time.sleep(POLL_S)
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(STOP_S_MAX)
