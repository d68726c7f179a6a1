"""Which usage of which router run is committed: what a router may delete from its disk."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
