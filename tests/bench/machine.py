"""What the measurement needs of the machine, checked before anything is started."""

import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / ".bench"

SYSTEM_FOLDERS = (
    "/usr/local/sbin:/usr/sbin:/sbin"  # where distributions put nginx, off a user's PATH
)


class NotMeasurableError(Exception):
    """This machine lacks something; the message says what to do about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    load_core: int  # generator, upstream, this harness and everything that is not the target
    target_core: int
    compiler: str
    nginx: str


def inspect_machine() -> Machine:
    if sys.platform != "linux":
        raise NotMeasurableError(
            "make bench needs Linux: it pins processes to cores and reads CPU time from /proc"
        )
    if not Path("/proc/self/schedstat").exists():
        raise NotMeasurableError("this kernel has no /proc/<pid>/schedstat (CONFIG_SCHED_INFO)")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise NotMeasurableError("two cores are needed: one for the load, one for the target")
    return Machine(
        load_core=cores[0],
        target_core=cores[1],
        compiler=_find_tool("cc", "a C compiler (Debian: apt-get install gcc libc6-dev)"),
        nginx=_find_tool("nginx", "nginx (Debian: apt-get install nginx-light)"),
    )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on; held until all are found, so they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _find_tool(name: str, remedy: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")
    if path is None:
        raise NotMeasurableError(f"{name} is not here; install {remedy}")
    return path
