"""Moves the wall clock of one service of the running product, with a library that is loaded into all of them."""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SERVICES = ("router", "billing")
_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Werror", "-shared", "-fPIC")
_SOURCE = Path(__file__).parent / "native" / "clock.c"


class Clocks:
    """One file for each service; the product is to be started with `settings`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "clocks"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._library = folder / "clock.so"

    @property
    def can_move(self) -> bool:
        """Whether the library could be made: it needs Linux and a C compiler."""
        return self._library.exists()

    def prepare(self) -> Mapping[str, str]:
        """Compile it, and what the product's environment needs; nothing where there is no compiler."""
        compiler = shutil.which("cc")
        if compiler is None or os.uname().sysname != "Linux":
            return {}
        subprocess.run(
            [compiler, *_FLAGS, "-o", str(self._library), str(_SOURCE)],
            check=True,
        )
        for name in SERVICES:
            self.move(name, 0)
        return {"LD_PRELOAD": str(self._library), "AIBRIDGE_FAULTS_CLOCKS": str(self._folder)}

    def move(self, name: str, ahead_s: int) -> None:
        """Set how far a service's clock is ahead, at once."""
        path = self._folder / name
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:  # in place: the service has it mapped
            file.write(struct.pack("=q", ahead_s))
