"""What a service answers becomes a typed reply or one of our own errors."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from aibridge_common import errors
from aibridge_common.clients.auth import AuthClient
from aibridge_common.clients.base import ServiceClient
from aibridge_common.clients.billing import BillingClient
from aibridge_common.contracts.auth import KeyFacts, KeyVerdict, VerifyKey
from aibridge_common.contracts.billing import AcquireLease, Lease
from aibridge_common.errors import AIBridgeError
from aibridge_common.settings import Secret

pytestmark = pytest.mark.anyio

TOKEN = Secret("0123456789abcdef")
ONE, TWO = UUID(int=1), UUID(int=2)
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AIBridgeError)
]
Answer = Callable[[httpx.Request], httpx.Response]


def answering(
    status: int = 200, body: object = None, *, headers: dict[bytes, bytes] | None = None
) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    seen: list[httpx.Request] = []
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, content=content, headers=headers)

    return httpx.MockTransport(handle), seen


async def refused(transport: httpx.AsyncBaseTransport) -> AIBridgeError:
    async with ServiceClient("http://a.test", TOKEN, transport=transport) as client:
        with pytest.raises(AIBridgeError) as caught:
            await client.call(KeyVerdict, "POST", "/v1/x", VerifyKey(key="k"))
    return caught.value


class TestCall:
    async def test_command_and_reply(self) -> None:
        verdict = {"facts": {"key_id": str(ONE), "account_id": str(TWO)}, "new_field": 1}
        transport, seen = answering(200, verdict)
        async with AuthClient("http://a.test", TOKEN, transport=transport) as client:
            reply = await client.verify_key("ab-1")

        assert reply == KeyVerdict(facts=KeyFacts(key_id=ONE, account_id=TWO))
        assert (seen[0].method, seen[0].url.path) == ("POST", "/v1/keys/verify")
        assert json.loads(seen[0].content) == {"key": "ab-1"}
        assert seen[0].headers["content-type"] == "application/json"
        assert seen[0].headers["authorization"] == f"Bearer {TOKEN.reveal()}"

    async def test_no_reply(self) -> None:
        transport, seen = answering(204, b"")
        async with AuthClient("http://a.test", TOKEN, transport=transport) as client:
            await client.revoke_key(ONE)

        assert seen[0].url.path == f"/v1/keys/{ONE}/revoke"

    async def test_query(self) -> None:
        transport, seen = answering(200, {"rows": []})
        async with BillingClient("http://a.test", TOKEN, transport=transport) as client:
            await client.usage(ONE, limit=5, cursor="req_1")

        assert dict(seen[0].url.params) == {
            "account_id": str(ONE),
            "limit": "5",
            "cursor": "req_1",
        }

    async def test_lease(self) -> None:
        granted = {"lease_id": str(ONE), "granted_microtokens": "9000000000000000000", "ttl_s": 60}
        transport, seen = answering(201, granted)
        command = AcquireLease(
            lease_id=ONE, account_id=TWO, holder="r", want_microtokens="9", min_microtokens="1"
        )
        async with BillingClient("http://a.test", TOKEN, transport=transport) as client:
            lease = await client.acquire_lease(command)
            await client.release_lease(ONE, keep_microtokens=10**18)

        assert lease == Lease(lease_id=ONE, granted_microtokens="9" + "0" * 18, ttl_s=60)
        assert json.loads(seen[1].content) == {"keep_microtokens": "1" + "0" * 18}

    async def test_environment_proxies_are_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy meant for the vendors is not asked for our own services."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        async with ServiceClient("http://a.test", TOKEN) as client:
            assert client._http._mounts == {}


class TestErrors:
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
    async def test_by_code(self, kind: type[AIBridgeError]) -> None:
        """The code decides the class: the caller catches what the service raised."""
        problem = {"status": kind.status, "detail": "why", "code": kind.code, "param": "x"}
        transport, _ = answering(kind.status, problem, headers={b"retry-after": b"7"})
        error = await refused(transport)

        assert type(error) is kind
        assert (error.message, error.param, error.retry_after_s) == ("why", "x", 7)

    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (500, {"detail": "why", "code": "never_heard_of"}, errors.Unavailable),
            (418, {"detail": "why", "code": "never_heard_of"}, errors.InvalidRequest),
            (502, b"<html>Bad Gateway</html>", errors.Unavailable),
            (400, b"", errors.InvalidRequest),
            (404, b"[]", errors.InvalidRequest),
            (503, b'{"detail": 7}', errors.Unavailable),
            (500, b"\xff", errors.Unavailable),
        ],
    )
    async def test_anything_else(
        self, status: int, body: object, expected: type[AIBridgeError]
    ) -> None:
        """A proxy's own page, or a newer service's code, goes by its status."""
        transport, _ = answering(status, body)
        error = await refused(transport)

        assert type(error) is expected

    @pytest.mark.parametrize(
        "value", ["", "soon", "-1", "1.5", "\u00b2", "Wed, 21 Oct 2026 07:28:00 GMT"]
    )
    async def test_odd_retry_after(self, value: str) -> None:
        transport, _ = answering(
            503, {"code": "unavailable"}, headers={b"retry-after": value.encode("latin-1")}
        )
        error = await refused(transport)

        assert error.retry_after_s is None

    @pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.ReadError])
    async def test_unreachable(self, failure: type[httpx.TransportError]) -> None:
        """The message names the call and the failure, never the token."""

        def handle(request: httpx.Request) -> httpx.Response:
            raise failure(TOKEN.reveal(), request=request)

        error = await refused(httpx.MockTransport(handle))

        assert type(error) is errors.Unavailable
        assert error.message == f"POST /v1/x: {failure.__name__}"

    @pytest.mark.parametrize("body", [b"", b"not json", b'{"facts": 1}'])
    async def test_reply_that_does_not_fit(self, body: bytes) -> None:
        """A success that cannot be read is a service that cannot be used, not a crash."""
        transport, _ = answering(200, body)
        error = await refused(transport)

        assert type(error) is errors.Unavailable


class TestUnixSocket:
    async def test_call(self, tmp_path: Path) -> None:
        heads: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        path = tmp_path / "s"
        server = await asyncio.start_unix_server(serve, path)
        async with server, BillingClient(f"unix:{path}", TOKEN) as client:
            cards = await client.rate_cards()

        assert cards == []
        assert heads[0].startswith(b"GET /v1/rate-cards HTTP/1.1\r\n")

    async def test_nobody_listens(self, tmp_path: Path) -> None:
        async with AuthClient(f"unix:{tmp_path / 's'}", TOKEN) as client:
            with pytest.raises(errors.Unavailable):
                await client.verify_key("k")
