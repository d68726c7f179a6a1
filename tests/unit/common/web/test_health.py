"""Liveness never asks anybody; readiness names who does not answer."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from aibridge_common.web.health import health_routes


def says(answer: bool) -> object:
    async def check() -> bool:
        return answer

    return check


@pytest.mark.parametrize(
    ("checks", "status", "word"),
    [
        ({}, 200, "ok"),
        ({"database": True, "bus": True}, 200, "ok"),
        ({"database": True, "bus": False}, 503, "unavailable"),
        ({"database": False, "bus": False}, 503, "unavailable"),
    ],
)
def test_readiness(checks: dict[str, bool], status: int, word: str) -> None:
    routes = health_routes({name: says(answer) for name, answer in checks.items()})  # pyright: ignore[reportArgumentType]
    with TestClient(Litestar(routes, logging_config=None)) as client:
        ready, live = client.get("/readyz"), client.get("/livez")

    assert ready.status_code == status
    assert ready.json() == {"status": word, "checks": checks}
    assert (live.status_code, live.json()) == (200, {"status": "ok"})


def test_health_is_not_in_the_schema() -> None:
    app = Litestar(health_routes({}), logging_config=None)

    assert not app.openapi_schema.paths
