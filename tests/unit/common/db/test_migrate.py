"""Against a real PostgreSQL: migrations run once, in order, by one runner at a time."""

import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from aibridge_common.db.migrate import migrate

FIRST = """
    from pathlib import Path
    from alembic import op
    from aibridge_common.db.migrate import execute_script

    revision = "0001"
    down_revision = None

    def upgrade():
        execute_script(op, Path(__file__).with_suffix(".sql"))
"""
SECOND = """
    from alembic import op

    revision = "0002"
    down_revision = "0001"

    def upgrade():
        op.execute("INSERT INTO runs (name) VALUES ('second')")
"""
BROKEN = """
    from alembic import op

    revision = "0003"
    down_revision = "0002"

    def upgrade():
        op.execute("INSERT INTO runs (name) VALUES ('third')")
        op.execute("SELECT * FROM nowhere")
"""
SQL = """
    CREATE TABLE runs (id serial PRIMARY KEY, name text NOT NULL);
    INSERT INTO runs (name) VALUES ('first');
    SELECT pg_sleep(0.3);
"""


class Rig:
    def __init__(self, folder: Path, url: str, schema: str, portal: BlockingPortal) -> None:
        self.folder = folder
        self.url = url
        self.schema = schema
        self._portal = portal
        (folder / "versions").mkdir()

    def add(self, name: str, text: str) -> None:
        (self.folder / "versions" / name).write_text(textwrap.dedent(text))

    def migrate(self, schema: str | None = None) -> str:
        return migrate(self.url, schema or self.schema, self.folder)

    def query(self, sql: str) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                return [row[0] for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return self._portal.call(run)

    @property
    def runs(self) -> list[str]:
        return self.query(f'SELECT name FROM "{self.schema}".runs ORDER BY id')


@pytest.fixture
def rig(
    tmp_path: Path, database: str, portal: BlockingPortal, request: pytest.FixtureRequest
) -> Rig:
    schema = str(request.function.__name__)
    rig = Rig(tmp_path, database, schema, portal)
    rig.add("0001_first.py", FIRST)
    rig.add("0001_first.sql", SQL)
    return rig


class TestMigrate:
    def test_empty_schema(self, rig: Rig) -> None:
        """The schema is made, and so is everything in it, including the version."""
        version = rig.migrate()

        assert version == "0001"
        assert rig.runs == ["first"]
        assert rig.query(f'SELECT version_num FROM "{rig.schema}".alembic_version') == ["0001"]

    def test_again(self, rig: Rig) -> None:
        """What has run does not run again."""
        versions = [rig.migrate() for _ in range(3)]

        assert versions == ["0001"] * 3
        assert rig.runs == ["first"]

    def test_next_version(self, rig: Rig) -> None:
        rig.migrate()
        rig.add("0002_second.py", SECOND)

        assert rig.migrate() == "0002"
        assert rig.runs == ["first", "second"]

    def test_all_versions_at_once(self, rig: Rig) -> None:
        rig.add("0002_second.py", SECOND)

        assert rig.migrate() == "0002"
        assert rig.runs == ["first", "second"]

    def test_two_runners(self, rig: Rig) -> None:
        """Replicas that start together: one migrates, the others wait and find it done."""
        rig.add("0002_second.py", SECOND)
        with ThreadPoolExecutor(4) as runners:
            versions = list(runners.map(lambda _: rig.migrate(), range(4)))

        assert versions == ["0002"] * 4
        assert rig.runs == ["first", "second"]

    def test_failure_changes_nothing(self, rig: Rig) -> None:
        """A migration that breaks leaves the version before it, whole."""
        rig.add("0002_second.py", SECOND)
        rig.migrate()
        rig.add("0003_broken.py", BROKEN)
        with pytest.raises(Exception, match="nowhere"):
            rig.migrate()

        assert rig.runs == ["first", "second"]
        assert rig.query(f'SELECT version_num FROM "{rig.schema}".alembic_version') == ["0002"]

    def test_schemas_are_apart(self, rig: Rig) -> None:
        """Two services in one database keep their own versions."""
        rig.migrate()
        rig.migrate("other")
        rig.migrate("other")

        assert rig.runs == ["first"]
        assert rig.query("SELECT name FROM other.runs") == ["first"]
        assert rig.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]
