"""The gateway says who asks and for whom; anybody else is refused."""

from typing import Any
from uuid import UUID

import pytest

from aibridge_common.errors import InvalidRequest, PayloadTooLarge, Unauthenticated
from aibridge_common.internal import ACCOUNT, KEY, REQUEST_ID
from aibridge_common.web.guard import ServiceGuard
from aibridge_router.exchange import inbound
from aibridge_router.exchange.inbound import Inbound, read_body, read_inbound

GUARD = ServiceGuard({"token-of-the-gateway": "gateway"})
AUTHORIZATION = (b"authorization", b"Bearer token-of-the-gateway")
REQUEST, WHO, WHICH = UUID(int=1), UUID(int=2), UUID(int=3)
IDS = [
    (REQUEST_ID, REQUEST.hex.encode()),
    (ACCOUNT, WHO.hex.encode()),
    (KEY, WHICH.hex.encode()),
]


def read(*headers: tuple[bytes, bytes]) -> Inbound:
    scope: Any = {"headers": list(headers), "path": "/v1/messages", "query_string": b"beta=true"}
    return read_inbound(scope, GUARD)


class TestInbound:
    def test_ids_are_read_and_the_clients_headers_kept(self) -> None:
        accept = (b"accept", b"*/*")

        assert read(AUTHORIZATION, *IDS, accept) == Inbound(
            request_id=REQUEST,
            account_id=WHO,
            key_id=WHICH,
            headers=[accept],
            query=b"beta=true",
            path="/v1/messages",
        )

    def test_a_key_is_optional(self) -> None:
        assert read(AUTHORIZATION, *IDS[:2]).key_id is None

    def test_the_customer_sees_a_public_id(self) -> None:
        assert read(AUTHORIZATION, *IDS).public_id == f"req_{REQUEST.hex}"

    @pytest.mark.parametrize(
        "authorization",
        [None, b"", b"Bearer ", b"Bearer wrong", b"bearer token-of-the-gateway", b"\xff"],
    )
    def test_an_unknown_caller_is_refused(self, authorization: bytes | None) -> None:
        headers = [] if authorization is None else [(b"authorization", authorization)]
        with pytest.raises(Unauthenticated):
            read(*headers, *IDS)

    @pytest.mark.parametrize("name", [REQUEST_ID, ACCOUNT, KEY])
    @pytest.mark.parametrize("value", [b"x", b"12", b"\xff", b"0" * 34])
    def test_a_malformed_id_is_refused(self, name: bytes, value: bytes) -> None:
        with pytest.raises(InvalidRequest):
            read(AUTHORIZATION, *[(n, value if n == name else v) for n, v in IDS])

    @pytest.mark.parametrize("name", [REQUEST_ID, ACCOUNT])
    def test_a_missing_id_is_refused(self, name: bytes) -> None:
        with pytest.raises(InvalidRequest):
            read(AUTHORIZATION, *[header for header in IDS if header[0] != name])


def receive_from(*messages: dict[str, Any]) -> Any:
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return receive


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.anyio
class TestBody:
    async def test_parts_are_joined(self) -> None:
        receive = receive_from(part(b"a", True), part(b"", True), part(b"b", False))

        assert await read_body(receive) == b"ab"

    async def test_one_part_is_the_body(self) -> None:
        assert await read_body(receive_from(part(b"a", False))) == b"a"

    async def test_too_much_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inbound, "BODY_BYTES_MAX", 3)

        assert await read_body(receive_from(part(b"ab", True), part(b"c", False))) == b"abc"

        with pytest.raises(PayloadTooLarge):
            await read_body(receive_from(part(b"ab", True), part(b"cd", False)))

    @pytest.mark.parametrize("before", [[], [part(b"a", True)]])
    async def test_a_caller_that_left_is_refused(self, before: list[dict[str, Any]]) -> None:
        with pytest.raises(InvalidRequest):
            await read_body(receive_from(*before, {"type": "http.disconnect"}))
