"""The catalogue: providers, models, chains and sealed upstream keys."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
