"""Every row, in the order in which it is played."""

from tests.faults.killed import ROWS as KILLED
from tests.faults.leased import ROWS as LEASED
from tests.faults.scene import Row
from tests.faults.spooled import ROWS as SPOOLED
from tests.faults.told import ROWS as TOLD

ROWS: tuple[Row, ...] = (*KILLED, *SPOOLED, *TOLD, *LEASED)
