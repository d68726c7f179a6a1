"""The benchmark is a program, `python -m bench` with `tests` on its path; its tests find it there too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
