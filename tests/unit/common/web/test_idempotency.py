"""The header is one key; quoted or not it is the same, and what is none is refused by its name."""

from collections.abc import Iterator

import pytest
from litestar import Litestar, Router, post
from litestar.di import NamedDependency, Provide
from litestar.testing import TestClient

from aibridge_common.db.idempotency import IdempotentCall
from aibridge_common.settings import Secret, parse_tokens
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.idempotency import idempotent
from aibridge_common.web.problems import problem_details

TOKEN = "console-token-0123"
GUARD = ServiceGuard(parse_tokens(Secret(f"console={TOKEN}")))


@post("/things", status_code=200)
async def things(call: NamedDependency[IdempotentCall | None]) -> list[str]:
    if call is None:
        return []
    return [call.caller, call.key, call.operation, call.content.decode()]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    api = Router(
        "/",
        route_handlers=[things],
        guards=[GUARD],
        dependencies={"call": Provide(idempotent(GUARD))},
    )
    app = Litestar([api], plugins=[problem_details()], logging_config=None)
    with TestClient(app) as running:
        running.headers["authorization"] = f"Bearer {TOKEN}"
        yield running


@pytest.mark.parametrize("header", ["k-1", '"k-1"', " k-1 "])
def test_one_key(client: TestClient[Litestar], header: str) -> None:
    answer = client.post("/things", content=b"{}", headers={"idempotency-key": header})

    assert answer.json() == ["console", "k-1", "POST /things", "{}"]


def test_none(client: TestClient[Litestar]) -> None:
    assert client.post("/things", content=b"{}").json() == []


@pytest.mark.parametrize("header", ["", '""', "a b", "x" * 256, "\u00e9".encode("latin-1")])
def test_what_is_no_key_is_refused(client: TestClient[Litestar], header: str | bytes) -> None:
    answer = client.post("/things", content=b"{}", headers=[("idempotency-key", header)])  # pyright: ignore[reportArgumentType]

    assert (answer.status_code, answer.json()["param"]) == (400, "Idempotency-Key")


def test_two_are_refused(client: TestClient[Litestar]) -> None:
    twice = [("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = client.post("/things", content=b"{}", headers=twice)  # pyright: ignore[reportArgumentType]

    assert answer.status_code == 400
