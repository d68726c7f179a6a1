"""A stack of fakes in a process of its own, as a user would run it."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from msgspec import Struct

from aibridge_devstack.ports import free_ports
from aibridge_devstack.record import DevRecord, read_record

UP = Path(__file__).with_name("up.py")
TIMEOUT_S = 30.0


class Run(Struct, frozen=True, kw_only=True):
    """One `aibridge-dev up`."""

    process: subprocess.Popen[bytes]
    home: Path
    log: Path

    def record(self) -> DevRecord:
        """Wait until it is ready."""
        until(lambda: (self.home / "dev.json").exists() or self.process.poll() is not None)
        record = read_record(self.home / "dev.json")
        assert record is not None, self.said()
        return record

    def events(self) -> list[str]:
        """What the fakes did, in order."""
        return (self.home / "events").read_text().splitlines()

    def said(self) -> str:
        """Everything on the terminal."""
        return self.log.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)


@contextlib.contextmanager
def fake_stack(home: Path, **environ: str) -> Generator[Run]:
    """Ends by SIGTERM if the test has not ended it."""
    home.mkdir(exist_ok=True)
    log = home.with_name(f"up-{secrets.token_hex(4)}.log")
    keys = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")
    inherited = {name: value for name, value in os.environ.items() if name not in keys}
    port = {"AIBRIDGE_PORT": str(free_ports(1)[0])}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(UP)],
            stdout=out,
            stderr=out,
            env=inherited | port | {"AIBRIDGE_HOME": str(home)} | environ,
        )
        try:
            yield Run(process=process, home=home, log=log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(TIMEOUT_S)


def until(condition: Callable[[], bool], *, within_s: float = TIMEOUT_S) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.02)


def none_alive(pids: Iterable[int]) -> bool:
    return not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
