"""A target that is one command: start it, wait until it answers, stop its tree."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.cores import children_on
from bench.machine import ROOT
from bench.processes import stop_tree
from bench.targets.target import StartError

POLL_S = 0.05
LOG_LINES_SHOWN = 15


class Server:
    def __init__(
        self,
        command: Sequence[str],
        *,
        core: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._log = log
        with log.open("wb") as output, children_on(core):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # the keyboard's interrupt reaches the harness only
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], *, seconds_max: float) -> None:
        deadline_s = time.monotonic() + seconds_max
        while not ready():
            if self._process.poll() is not None:
                raise StartError(f"ended with {self._process.returncode}:\n{self._last_lines()}")
            if time.monotonic() > deadline_s:
                raise StartError(f"not ready after {seconds_max:.0f} s:\n{self._last_lines()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        stop_tree(self._process)

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def answers_http(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
