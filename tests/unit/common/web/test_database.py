"""A caller is told to come again when the database is away, and nothing of what was in the statement."""

from collections.abc import Iterator

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient
from sqlalchemy import text

from aibridge_common.db.engine import Database, open_database, transaction
from aibridge_common.web.database import DATABASE_PROBLEMS
from aibridge_common.web.problems import problem_details

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def app_on(database: Database) -> Litestar:
    @get("/slow")
    async def slow() -> None:
        async with transaction(database) as tx:
            await tx.execute(text("SET LOCAL statement_timeout = 10"))
            await tx.execute(text("SELECT pg_sleep(5)"))

    @get("/wrong")
    async def wrong() -> None:
        async with transaction(database) as tx:
            await tx.execute(text("SELECT 1 / CAST(:secret AS int)"), {"secret": 0})

    @get("/ended")
    async def ended() -> None:
        async with transaction(database) as tx:
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    return Litestar(
        [slow, wrong, ended],
        plugins=[problem_details(DATABASE_PROBLEMS)],
        on_shutdown=[database.dispose],
        logging_config=None,
    )


@pytest.fixture
def client(database: str) -> Iterator[TestClient[Litestar]]:
    with TestClient(
        app_on(open_database(database, "public")), raise_server_exceptions=False
    ) as running:
        yield running


@pytest.mark.parametrize("path", ["/slow", "/ended"])
def test_what_it_could_not_do_now_may_be_tried_again(
    client: TestClient[Litestar], path: str
) -> None:
    answer = client.get(path)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["code"] == "unavailable"


def test_one_that_is_not_there_is_no_500() -> None:
    with TestClient(
        app_on(open_database(NOWHERE, "public")), raise_server_exceptions=False
    ) as client:
        assert client.get("/wrong").status_code == 503


def test_a_wrong_statement_is_our_fault_and_logged_without_its_values(
    client: TestClient[Litestar], capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.get("/wrong").status_code == 500

    logged = capsys.readouterr().out
    assert "DivisionByZero" in logged
    assert "hide_parameters" in logged
