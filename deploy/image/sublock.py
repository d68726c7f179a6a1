"""Print the part of a hash lock that the named packages need, by the lock's own `# via` notes.

    python sublock.py requirements.lock aibridge-common aibridge-auth > auth.lock

An image must hold what its service runs and nothing of the test tools, yet every version and
hash must be the one that was tested. Resolving anew could differ; this only selects lines.
"""

# ruff: noqa: INP001 - a script of the image build, not part of a package

import re
import sys
from collections.abc import Iterable
from pathlib import Path

_ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)  # a line that is not indented starts one
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VIA = re.compile(r"^    # (?:via |  )([A-Za-z0-9._-]+)", re.MULTILINE)


def sublock(lock: str, roots: Iterable[str]) -> str:
    """Entries that a root needs, in the lock's order; a root that the lock pins is itself an entry.

    The notes do not tell extras apart, so an entry too many is possible. A member of the workspace
    that adds no dependency is not in the notes at all, so an unknown root is no error here: the
    image build ends with `pip check`, which fails when anything is missing.
    """
    entries = [(_NAME.findall(text)[0], text) for text in _ENTRY.split(lock) if text]
    wanted = set(roots)
    while found := {name for name, text in entries if wanted & {*_VIA.findall(text)}} - wanted:
        wanted |= found
    return "".join(text for name, text in entries if name in wanted)


if __name__ == "__main__":
    sys.stdout.write(sublock(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2:]))
