"""Compaction that waits for nobody."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
