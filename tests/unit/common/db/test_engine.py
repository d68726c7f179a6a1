"""Against a real PostgreSQL: one transaction, limits that hold, a clear word on bad addresses."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aibridge_common.db.engine import Database, answers, asyncpg_url, open_database, transaction

pytestmark = pytest.mark.anyio


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    engine = open_database(database, "public", connections_max=2)
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE IF NOT EXISTS notes (body text)"))
        await connection.execute(text("TRUNCATE notes"))
    yield engine
    await engine.dispose()


async def notes(database: Database) -> list[str]:
    async with transaction(database) as connection:
        return list((await connection.execute(text("SELECT body FROM notes"))).scalars())


class TestTransaction:
    async def test_commits(self, opened: Database) -> None:
        async with transaction(opened) as connection:
            await connection.execute(text("INSERT INTO notes VALUES ('kept')"))

        assert await notes(opened) == ["kept"]

    async def test_rolls_back(self, opened: Database) -> None:
        """Any error takes everything back and is raised on."""

        async def fail() -> None:
            async with transaction(opened) as connection:
                await connection.execute(text("INSERT INTO notes VALUES ('lost')"))
                raise KeyError

        with pytest.raises(KeyError):
            await fail()

        assert await notes(opened) == []

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("search_path", "public"),
            ("TimeZone", "UTC"),
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("application_name", "aibridge-public"),
        ],
    )
    async def test_session(self, opened: Database, setting: str, value: str) -> None:
        """A stuck statement or lock ends within seconds by the server's own clock."""
        async with transaction(opened) as connection:
            found = (await connection.execute(text(f"SHOW {setting}"))).scalar_one()

        assert found == value

    async def test_statement_timeout(self, opened: Database) -> None:
        async with transaction(opened) as connection:
            await connection.execute(text("SET LOCAL statement_timeout = '50ms'"))
            with pytest.raises(DBAPIError, match="statement timeout"):
                await connection.execute(text("SELECT pg_sleep(5)"))

        assert await answers(opened)


class TestAnswers:
    async def test_yes(self, opened: Database) -> None:
        assert await answers(opened)

    async def test_nobody_listens(self) -> None:
        database = open_database("postgresql://nobody@127.0.0.1:1/none", "public")

        assert not await answers(database)
        await database.dispose()


class TestUrl:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
    async def test_good(self, scheme: str) -> None:
        assert asyncpg_url(f"{scheme}://u:p@h:1/d") == "postgresql+asyncpg://u:p@h:1/d"

    @pytest.mark.parametrize("url", ["", "mysql://u:hunter2@h/d", "h:1/d", "sqlite:///x"])
    async def test_bad(self, url: str) -> None:
        with pytest.raises(ValueError, match="postgresql://") as caught:
            asyncpg_url(url)

        assert "hunter2" not in str(caught.value)
