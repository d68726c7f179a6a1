"""Leases that grow: a stream that runs on needs more than it began with."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
