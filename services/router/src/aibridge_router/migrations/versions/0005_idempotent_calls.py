"""Creating calls are answered once."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
