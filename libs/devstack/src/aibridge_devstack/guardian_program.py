"""Ends the supervisor's children when it dies. Run by path: `guardian_program.py FD S [FILE]`.

FD is the read end of a pipe whose only write end the supervisor holds, so end-of-file means: the
supervisor is gone, however that happened. Before that it writes one line per event:
`+ GROUP SIGNAL` when a process group starts, `- GROUP` when it has ended. FILE says that all is
well; it is removed first. S seconds after the stop signals comes SIGKILL. Only the standard
library and nothing of ours: this has to start in milliseconds.
"""

import contextlib
import os
import signal
import sys
import time

POLL_S = 0.02


def read_groups(descriptor: int) -> dict[int, int]:
    """The groups that run at end-of-file, with their stop signals, in start order."""
    groups: dict[int, int] = {}
    with os.fdopen(descriptor, "r", encoding="ascii") as events:
        for line in events:
            kind, group, *rest = line.split()
            if kind == "+":
                groups[int(group)] = int(rest[0])
            else:
                groups.pop(int(group), None)
    return groups


def send(group: int, number: int) -> bool:
    """Whether anyone was there to receive it. macOS answers EPERM for a group of zombies."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end(groups: dict[int, int], patience_s: float) -> None:
    """Stop the last started first, wait for all together, then kill what is left."""
    alive = [group for group in reversed(groups) if send(group, groups[group])]
    patient_until = time.monotonic() + patience_s
    while alive and time.monotonic() < patient_until:
        time.sleep(POLL_S)
        alive = [group for group in alive if send(group, 0)]
    for group in alive:
        send(group, signal.SIGKILL)


def main() -> None:
    """Outlive whatever is sent to the whole session; only the end of the supervisor ends this."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = read_groups(int(sys.argv[1]))
    for file in sys.argv[3:]:
        with contextlib.suppress(OSError):
            os.unlink(file)  # noqa: PTH108 - pathlib would triple the start-up
    end(groups, float(sys.argv[2]))


if __name__ == "__main__":
    main()
