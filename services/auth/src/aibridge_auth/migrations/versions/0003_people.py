"""People: sign-up, sessions, second factors, mails, throttles, audit."""

from pathlib import Path

from alembic import op

from aibridge_common.db.migrate import execute_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute_script(op, Path(__file__).with_suffix(".sql"))
