"""Every error of an internal API is a problem document that the client turns back."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, JSONBody
from litestar.testing import TestClient

from aibridge_common import errors
from aibridge_common.clients.base import _error_of
from aibridge_common.errors import AIBridgeError
from aibridge_common.structs import Command
from aibridge_common.web.problems import problem_details

KINDS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AIBridgeError)
}


class Order(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1)]


@get("/raise/{code:str}")
async def fail(code: FromPath[str]) -> None:
    raise KINDS[code]("why", param="amount", retry_after_s=7)


@get("/plain")
async def plain() -> None:
    raise errors.NotFound("nothing here")


@get("/private")
async def private() -> None:
    raise NotAuthorizedException("a token is needed")


@get("/surprise")
async def surprise() -> None:
    raise KeyError("sk-canary")


@post("/orders")
async def order(data: JSONBody[Order]) -> str:
    return data.name


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    app = Litestar(
        [fail, plain, private, surprise, order], plugins=[problem_details()], logging_config=None
    )
    with TestClient(app, raise_server_exceptions=False) as running:
        yield running


class TestOurErrors:
    @pytest.mark.parametrize("code", KINDS)
    def test_document(self, client: TestClient[Litestar], code: str) -> None:
        answer = client.get(f"/raise/{code}")
        document = answer.json()

        assert answer.status_code == KINDS[code].status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "7"
        assert document["status"] == KINDS[code].status
        assert document["type"] == f"urn:aibridge:problem:{code}"
        assert (document["detail"], document["code"], document["param"]) == ("why", code, "amount")

    @pytest.mark.parametrize("code", KINDS)
    def test_round_trip(self, client: TestClient[Litestar], code: str) -> None:
        """Our client raises on its side what the service raised on this one."""
        error = _error_of(client.get(f"/raise/{code}"))

        assert type(error) is KINDS[code]
        assert (error.message, error.param, error.retry_after_s) == ("why", "amount", 7)

    def test_only_what_there_is(self, client: TestClient[Litestar]) -> None:
        answer = client.get("/plain")

        assert "param" not in answer.json()
        assert "retry-after" not in answer.headers


class TestOthersErrors:
    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ('{"name": "n", "count": 0}', "count"),
            ('{"name": 1, "count": 1}', "name"),
            ('{"name": "n", "count": 1, "cuont": 1}', "cuont"),
            ('{"name": "n"}', "count"),
            ("{", None),
        ],
    )
    def test_invalid_command(
        self, client: TestClient[Litestar], body: str, param: str | None
    ) -> None:
        """A field that is wrong, missing or unknown is a 400 with our own code."""
        answer = client.post("/orders", content=body, headers={"content-type": "application/json"})

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert param is None or answer.json()["param"] == param
        assert type(_error_of(answer)) is errors.InvalidRequest

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/nowhere", 404), ("DELETE", "/plain", 405), ("GET", "/private", 401)],
    )
    def test_http_errors(
        self, client: TestClient[Litestar], method: str, path: str, status: int
    ) -> None:
        answer = client.request(method, path)

        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"

    def test_what_nobody_foresaw_is_logged_and_not_told(
        self, client: TestClient[Litestar], capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer = client.get("/surprise")

        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "internal_error"
        assert "canary" not in answer.text
        assert "KeyError" in capsys.readouterr().out
