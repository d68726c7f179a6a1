"""Lines of many children on one terminal."""

import contextlib
import os
import sys
from typing import TextIO

_COLOURS = (36, 33, 35, 32, 34, 31, 96, 93)


class Echo:
    """Writes `name | line`; colour only on a terminal. A reader that went away is not an error."""

    def __init__(self, out: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._out = out or sys.stdout
        self._colour = self._wants_colour() if colour is None else colour
        self._names: list[str] = []

    def child(self, name: str, line: str) -> None:
        """One line of a child's output."""
        label = f"{name:>9}"
        if self._colour:
            if name not in self._names:
                self._names.append(name)
            number = _COLOURS[self._names.index(name) % len(_COLOURS)]
            label = f"\x1b[{number}m{label}\x1b[0m"
        self.say(f"{label} | {line}")

    def say(self, text: str) -> None:
        """A line of our own."""
        with contextlib.suppress(OSError, ValueError):
            self._out.write(f"{text}\n")
            self._out.flush()

    def _wants_colour(self) -> bool:
        return self._out.isatty() and "NO_COLOR" not in os.environ
