"""Known services get in, everybody else gets 401 before the handler runs."""

from collections.abc import Iterator

import pytest
from litestar import Litestar, Router, get
from litestar.testing import TestClient

from aibridge_common.settings import Secret, parse_tokens
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.problems import problem_details

GATEWAY, ROUTER = "gateway-token-0123", "router-token-01234"
OPS = "ops-token-01234567"
TOKENS = parse_tokens(Secret(f"gateway={GATEWAY},router={ROUTER},ops={OPS}"))
GUARD = ServiceGuard(TOKENS)
CONFINING = ServiceGuard(TOKENS, {"gateway": frozenset({"Look"}), "router": frozenset()})


REACHED: list[str] = []


@get("/v1/things")
async def things() -> str:
    REACHED.append("things")
    return "ok"


@get("/v1/look", operation_id="Look")
async def look() -> str:
    return "seen"


@get("/v1/give", operation_id="Give")
async def give() -> str:
    REACHED.append("give")
    return "given"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    app = Litestar(
        [
            Router("/", route_handlers=[things], guards=[GUARD]),
            Router("/", route_handlers=[look, give], guards=[CONFINING]),
        ],
        plugins=[problem_details()],
        logging_config=None,
    )
    with TestClient(app) as running:
        yield running


class TestGuard:
    @pytest.mark.parametrize("token", [GATEWAY, ROUTER])
    def test_known(self, client: TestClient[Litestar], token: str) -> None:
        answer = client.get("/v1/things", headers={"authorization": f"Bearer {token}"})

        assert (answer.status_code, answer.text) == (200, "ok")

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            f"bearer {GATEWAY}",
            f"Basic {GATEWAY}",
            GATEWAY,
            f"Bearer {GATEWAY[:-1]}",
            f"Bearer {GATEWAY}x",
            f"Bearer  {GATEWAY}",
            f"Bearer {GATEWAY},{ROUTER}",
            "Bearer gateway",
            "Bearer \u00e9\u00e9".encode("latin-1"),
        ],
    )
    def test_unknown(self, client: TestClient[Litestar], value: str | bytes | None) -> None:
        raw = value.encode() if isinstance(value, str) else value
        REACHED.clear()
        answer = client.get("/v1/things", headers={} if raw is None else {b"authorization": raw})

        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert REACHED == []

    def test_caller(self) -> None:
        assert GUARD.caller(f"Bearer {ROUTER}".encode()) == "router"
        assert GUARD.caller(b"Bearer x") is None
        assert GUARD.caller(None) is None

    def test_keeps_no_token(self) -> None:
        """Only digests stay in memory where a dump could show them."""
        assert GATEWAY not in repr(vars(GUARD))


@pytest.mark.parametrize(
    ("token", "may"),
    [(GATEWAY, {"/v1/look"}), (ROUTER, set[str]()), (OPS, {"/v1/look", "/v1/give"})],
    ids=["gateway", "router", "ops"],
)
def test_a_confined_caller_does_what_it_is_for(
    client: TestClient[Litestar], token: str, may: set[str]
) -> None:
    REACHED.clear()
    answers = {
        path: client.get(path, headers={"authorization": f"Bearer {token}"})
        for path in ("/v1/look", "/v1/give")
    }

    assert {path for path, answer in answers.items() if answer.status_code == 200} == may
    for path in answers.keys() - may:
        assert (answers[path].status_code, answers[path].json()["code"]) == (403, "forbidden")
    assert bool(REACHED) == ("/v1/give" in may)
