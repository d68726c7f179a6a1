"""Every row, in the order in which it is played."""

from tests.faults.killed import ROWS as KILLED
from tests.faults.scene import Row

ROWS: tuple[Row, ...] = KILLED
