"""Limits of keys, and which key replaced which."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
