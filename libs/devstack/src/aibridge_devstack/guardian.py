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
    `lock` is a descriptor it keeps open as long as it lives; `sign_of_life` a file it then removes.
    """

    def __init__(
        self,
        *,
        lock: int | None = None,
        sign_of_life: Path | None = None,
        patience_s: float = 5.0,
    ) -> None:
        self._patience_s = patience_s
        self._lock = lock
        self._sign_of_life = sign_of_life

    def __enter__(self) -> Self:
        read_end, self._write_end = os.pipe()
        keep = (read_end,) if self._lock is None else (read_end, self._lock)
        files = () if self._sign_of_life is None else (str(self._sign_of_life),)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(_PROGRAM),
                str(read_end),
                str(self._patience_s),
                *files,
            ],
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
