"""A task of three turns, scripted for the vendors: write a file, read a second one, finish.

Each directive stands where the vendor reads it next: the first in the prompt, the others in what the tools answer.
"""

from pathlib import Path
from typing import Any

from aibridge_sandbox.script import directive

WRITTEN = "written by a tool"
DONE = "Both steps are done."
COMMAND = f"printf '{WRITTEN}' > made.txt && cat first.txt"


def prepare(
    work: Path, first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]
) -> str:
    """The prompt. `first` and `second` are calls: a tool of the client and its arguments.

    The first must run `COMMAND`, the second read `second.txt`.
    """
    (work / "second.txt").write_text(directive(text=DONE))
    (work / "first.txt").write_text(_calls(second))
    return f"Do both steps. {_calls(first)}"


def _calls(call: tuple[str, dict[str, Any]]) -> str:
    name, arguments = call
    return directive(tool={"name": name, "args": arguments})


def written(work: Path) -> str:
    """What the first step left."""
    return (work / "made.txt").read_text()
