"""The supervisor's side of the guardian: see `guardian_program`."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

_PROGRAM = Path(__file__).with_name("guardian_program.py")


class Guardian:
    """A small process that ends the watched process groups if this process dies, even by SIGKILL.

    The write end of its pipe is not inheritable, so no child can keep it open after us.
    `also_open` is a descriptor the guardian shall hold as long as it lives (a lock).
    """

    def __init__(self, *, also_open: int | None = None) -> None:
        self._also_open = also_open

    def __enter__(self) -> Self:
        read_end, self._write_end = os.pipe()
        keep = (read_end,) if self._also_open is None else (read_end, self._also_open)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_PROGRAM), str(read_end)],
            pass_fds=keep,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # or it would keep the terminal's pipe open after us
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_end)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End of watch; the guardian stops what is still watched, as after a crash."""
        os.close(self._write_end)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The guardian's own process id."""
        return self._process.pid

    def watch(self, group: int, stop_signal: int) -> None:
        """From now on this group does not outlive us."""
        self._tell(f"+ {group} {stop_signal:d}")

    def forget(self, group: int) -> None:
        """The group has ended; its number may be given to someone else."""
        self._tell(f"- {group}")

    def _tell(self, event: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # someone ended the guardian: carry on without
            os.write(self._write_end, f"{event}\n".encode("ascii"))
