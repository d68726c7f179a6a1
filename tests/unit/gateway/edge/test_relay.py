"""Authenticate, read, forward: what a client, the router and the errors between them look like."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import httpx
import msgspec
import pytest

from aibridge_common.routing import RoutingOptions

from .rig import ACCOUNT_CONCURRENCY_MAX, CONCURRENCY_MAX, FACTS, TOKEN, Edge, Peer, say_ok

pytestmark = pytest.mark.anyio

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
GEMINI = "/v1beta/models/g:generateContent"
PATHS = [CHAT, "/v1/responses", "/v1/openai/chat/completions", MESSAGES, GEMINI]
STREAMS = [
    (CHAT, b'{"stream": true}'),
    (MESSAGES, b'{"stream":true}'),
    ("/v1beta/models/g:streamGenerateContent?alt=sse", b"{}"),
]


def words_of(path: str, response: httpx.Response) -> str:
    """The message of an error, from where the dialect's SDK looks for it."""
    document = response.json()
    if path == MESSAGES:
        assert document["type"] == "error"
        assert document["request_id"].startswith("req_")
        return document["error"]["message"]
    if path == GEMINI:
        assert document["error"]["code"] == response.status_code
        assert document["error"]["status"].isupper()
        return document["error"]["message"]
    assert set(document["error"]) == {"message", "type", "param", "code"}
    return document["error"]["message"]


class TestForward:
    async def test_the_router_gets_the_bytes_and_who_asks(self, edge: Edge) -> None:
        body = b' {"model" : "m", "n":1.10, "big":123456789012345678901234567890}'
        await edge.post(
            "/v1/messages?beta=true&key=ab-other", body, x_ab_account="f" * 32, cookie="a=b"
        )
        (asked,) = edge.router.asked

        assert (asked.method, asked.target) == ("POST", "/v1/messages?beta=true")
        assert asked.body == body
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert UUID(asked.headers["x-ab-account"]) == FACTS.account_id
        assert UUID(asked.headers["x-ab-key"]) == FACTS.key_id
        assert UUID(asked.headers["x-ab-request-id"]).version == 7
        assert "cookie" not in asked.headers
        assert "ab-live" not in repr(asked)

    @pytest.mark.parametrize("path", ["/v1/admin/chains", "/v1/admin", "/v1//admin/chains"])
    async def test_the_routers_own_api_is_not_reached(self, edge: Edge, path: str) -> None:
        live = {"x-api-key": "ab-live"}
        answers = [
            await edge.http.request(method, path, headers=live)
            for method in ("GET", "POST", "PUT", "DELETE")
        ]

        assert {answer.status_code for answer in answers} == {404}
        assert edge.router.asked == []

    @pytest.mark.parametrize(
        "path", [*PATHS, "/v1/openai/v1/chat/completions", "/v1beta/models/a%2Fb:countTokens"]
    )
    async def test_the_path_goes_as_it_came(self, edge: Edge, path: str) -> None:
        await edge.post(path)

        assert [asked.target for asked in edge.router.asked] == [path]

    async def test_the_answer_comes_as_it_is(self, edge: Edge) -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(418, b"\x00\xff tea", "content-type: x/y", "x-aibridge-model: m")

        edge.router.script = script
        response = await edge.post(CHAT)

        assert (response.status_code, response.content) == (418, b"\x00\xff tea")
        assert response.headers["content-type"] == "x/y"
        assert response.headers["x-aibridge-model"] == "m"

    async def test_the_routers_connection_is_not_the_clients(self, edge: Edge) -> None:
        response = await edge.post(CHAT)

        assert response.headers.get_list("content-length") == ["11"]
        assert response.headers["server"] != "router"

    async def test_one_connection_serves_many_requests(self, edge: Edge) -> None:
        for _ in range(5):
            await edge.post(CHAT)

        assert len(edge.router.asked) == 5
        assert edge.router.connections == 1

    async def test_a_get_goes_without_a_body(self, edge: Edge) -> None:
        response = await edge.http.get("/v1/models", headers={"x-api-key": "ab-live"})
        (asked,) = edge.router.asked

        assert response.status_code == 200
        assert (asked.method, asked.target, asked.body) == ("GET", "/v1/models", b"")
        assert "content-length" not in asked.headers

    @pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
    async def test_another_method_is_refused_at_once(self, edge: Edge, method: str) -> None:
        """A HEAD that was forwarded would wait for the body its answer announces."""
        response = await edge.http.request(method, "/v1/models", headers={"x-api-key": "ab-live"})

        assert response.status_code == 405
        assert edge.router.asked == []

    @pytest.mark.parametrize(("path", "body"), STREAMS)
    async def test_a_stream_arrives_piece_by_piece(
        self, edge: Edge, path: str, body: bytes
    ) -> None:
        seen = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(b"data: 1\n\n")
            await seen.wait()
            await peer.chunk(b"data: 2\n\n")
            await peer.send(b"0\r\n\r\n")

        edge.router.script = script
        headers = {"x-api-key": "ab-live", "content-type": "application/json"}
        async with edge.http.stream("POST", path, content=body, headers=headers) as response:
            pieces: list[bytes] = []
            async for piece in response.aiter_raw():
                pieces.append(piece)
                seen.set()

        assert pieces == [b"data: 1\n\n", b"data: 2\n\n"]


class TestOptions:
    async def test_the_common_case_says_nothing(self, edge: Edge) -> None:
        await edge.post(CHAT, x_aibridge_failover="on", x_stainless_timeout="600")
        (asked,) = edge.router.asked

        assert not [name for name in asked.headers if name in {"x-ab-routing", "x-ab-deadline-ms"}]
        assert not [name for name in asked.headers if name.startswith(("x-aibridge", "x-stainl"))]

    async def test_the_key_and_the_request_together_go_inward(self, edge: Edge) -> None:
        routing = RoutingOptions(continuation=True, larger_context=True)
        edge.auth.facts = msgspec.structs.replace(FACTS, routing=routing)
        await edge.post(CHAT, x_aibridge_larger_context="off")
        (asked,) = edge.router.asked

        assert asked.headers["x-ab-routing"] == "failover,continuation"

    async def test_a_request_gets_no_more_than_its_key(self, edge: Edge) -> None:
        edge.auth.facts = msgspec.structs.replace(FACTS, routing=RoutingOptions(failover=False))
        await edge.post(CHAT, x_aibridge_failover="on", x_ab_routing="failover,continuation")
        (asked,) = edge.router.asked

        assert asked.headers["x-ab-routing"] == ""

    @pytest.mark.parametrize("path", PATHS)
    async def test_a_switch_that_is_neither_on_nor_off_is_told_by_name(
        self, edge: Edge, path: str
    ) -> None:
        response = await edge.post(path, x_aibridge_failover="maybe")

        assert response.status_code == 400
        assert "x-aibridge-failover" in words_of(path, response)
        if path not in {MESSAGES, GEMINI}:
            assert response.json()["error"]["param"] == "x-aibridge-failover"
        assert edge.router.asked == []

    async def test_what_is_left_of_the_clients_patience_goes_inward(self, edge: Edge) -> None:
        await edge.post(CHAT, x_stainless_timeout="60", x_ab_deadline_ms="1")
        (asked,) = edge.router.asked

        assert 59_000 < int(asked.headers["x-ab-deadline-ms"]) <= 60_000

    @pytest.mark.parametrize(("path", "body"), STREAMS)
    async def test_a_stream_may_take_longer_than_its_longest_silence(
        self, edge: Edge, path: str, body: bytes
    ) -> None:
        await edge.post(path, body, x_stainless_timeout="60")
        (asked,) = edge.router.asked

        assert "x-ab-deadline-ms" not in asked.headers


async def open_streams(edge: Edge, count: int, stack: AsyncExitStack) -> list[httpx.Response]:
    """So many streams that began and do not end by themselves."""

    async def script(peer: Peer) -> None:
        await peer.begin_stream()
        await peer.chunk(b"data: 1\n\n")
        await peer.left()

    edge.router.script = script
    path, body = STREAMS[0]
    headers = {"x-api-key": "ab-live", "content-type": "application/json"}
    streams = [
        await stack.enter_async_context(
            edge.http.stream("POST", path, content=body, headers=headers)
        )
        for _ in range(count)
    ]
    edge.router.script = say_ok
    return streams


class TestAdmission:
    @pytest.mark.parametrize("path", PATHS)
    async def test_beyond_its_share_an_account_is_told_to_wait(self, edge: Edge, path: str) -> None:
        async with AsyncExitStack() as stack:
            await open_streams(edge, ACCOUNT_CONCURRENCY_MAX, stack)
            response = await edge.post(path)

        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert f"{ACCOUNT_CONCURRENCY_MAX} requests" in words_of(path, response)

    async def test_counting_tokens_is_not_counted(self, edge: Edge) -> None:
        async with AsyncExitStack() as stack:
            await open_streams(edge, ACCOUNT_CONCURRENCY_MAX, stack)
            response = await edge.post("/v1/messages/count_tokens")

        assert response.status_code == 200

    @pytest.mark.parametrize(("path", "status"), [(CHAT, 503), (MESSAGES, 529), (GEMINI, 503)])
    async def test_a_worker_with_too_much_to_do_says_so(
        self, edge: Edge, path: str, status: int
    ) -> None:
        edge.limiter.running = CONCURRENCY_MAX
        response = await edge.post(path)

        assert response.status_code == status
        assert response.headers["retry-after"] == "1"
        assert edge.router.asked == []

    async def test_a_wrong_key_is_still_told_so_and_not_counted(self, edge: Edge) -> None:
        edge.limiter.running = CONCURRENCY_MAX
        response = await edge.post(CHAT, key="ab-dead")

        assert response.status_code == 401

    async def test_a_stream_counts_until_its_end(self, edge: Edge) -> None:
        async with AsyncExitStack() as stack:
            await open_streams(edge, 3, stack)
            assert edge.limiter.running == 3

        await until_nothing_runs(edge)

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages/count_tokens"])
    async def test_whatever_happens_nothing_stays_counted(self, edge: Edge, path: str) -> None:
        async def cut(peer: Peer) -> None:
            peer.cut()

        await edge.post(path)
        await edge.post(path, content_type="text/plain")
        await edge.post(path, x_aibridge_failover="maybe")
        await edge.post(path, b"x" * (33 * 2**20))
        edge.router.script = cut
        await edge.post(path)
        _, writer = await edge.connect(path, b'{"half', length=100)
        await asyncio.sleep(0.02)
        assert edge.limiter.running == 1
        writer.transport.abort()

        await until_nothing_runs(edge)


async def until_nothing_runs(edge: Edge) -> None:
    async with asyncio.timeout(2):
        while edge.limiter.running:  # noqa: ASYNC110 - it ends elsewhere
            await asyncio.sleep(0.01)


class TestDrain:
    @pytest.mark.parametrize(("path", "status"), [(CHAT, 503), (MESSAGES, 529), (GEMINI, 503)])
    async def test_a_new_request_is_refused_and_its_connection_closed(
        self, edge: Edge, path: str, status: int
    ) -> None:
        edge.drain.start()
        response = await edge.post(path)

        assert response.status_code == status
        assert "stopping" in words_of(path, response)
        assert response.headers["connection"] == "close"
        assert response.headers["retry-after"] == "1"
        assert edge.router.asked == []

    async def test_a_running_stream_goes_on(self, edge: Edge) -> None:
        go_on = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(b"data: 1\n\n")
            await go_on.wait()
            await peer.chunk(b"data: 2\n\n")
            await peer.send(b"0\r\n\r\n")

        edge.router.script = script
        running = asyncio.ensure_future(edge.post(*STREAMS[0]))
        while not edge.router.asked:  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(0.01)
        edge.drain.start()
        go_on.set()

        assert (await running).content == b"data: 1\n\ndata: 2\n\n"

    @pytest.mark.parametrize(("path", "body"), STREAMS)
    @pytest.mark.parametrize("frame", [b"data: 1\n\n", b"data: 1\r\n\r\n"])
    async def test_the_last_call_ends_a_stream_with_an_error_event(
        self, edge: Edge, path: str, body: bytes, frame: bytes
    ) -> None:
        pieces = await self.last_call_after(edge, path, body, frame)
        end = b"".join([piece async for piece in pieces])
        last = end.removeprefix(frame).split(b"data: ")[1]

        assert end.startswith(frame)
        assert b"restarting" in end
        assert msgspec.json.decode(last)["error"]
        assert (b"event: error\n" in end) == (path == MESSAGES)
        await until_nothing_runs(edge)

    async def test_inside_an_event_only_a_cut_can_end_it(self, edge: Edge) -> None:
        """An error event there would be read as the rest of the other."""
        pieces = await self.last_call_after(edge, *STREAMS[0], b"data: {half")

        with pytest.raises(httpx.RemoteProtocolError):
            [piece async for piece in pieces]

    async def test_what_has_not_begun_is_refused(self, edge: Edge) -> None:
        async def script(peer: Peer) -> None:
            await peer.left()

        edge.router.script = script
        running = asyncio.ensure_future(edge.post(CHAT))
        while not edge.router.asked:  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(0.01)
        edge.drain.start()
        edge.forwarder.last_call()
        response = await running

        assert response.status_code == 503
        assert "restarting" in words_of(CHAT, response)

    @staticmethod
    async def last_call_after(
        edge: Edge, path: str, body: bytes, sent: bytes
    ) -> AsyncIterator[bytes]:
        """What a stream says from its first byte to its end, which is the last call."""

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(sent)
            await peer.left()

        edge.router.script = script
        headers = {"x-api-key": "ab-live", "content-type": "application/json"}
        request = edge.http.build_request("POST", path, content=body, headers=headers)
        response = await edge.http.send(request, stream=True)
        pieces = response.aiter_raw()
        first = await anext(pieces)
        edge.drain.start()
        edge.forwarder.last_call()

        async def all_of_it() -> AsyncIterator[bytes]:
            yield first
            async for piece in pieces:
                yield piece

        return all_of_it()


class TestRefusal:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("key", [None, "sk-wrong", "ab-dead"])
    async def test_a_wrong_key_is_told_in_the_callers_dialect(
        self, edge: Edge, path: str, key: str | None
    ) -> None:
        response = await edge.post(path, key=key)

        assert response.status_code == 401
        assert "key" in words_of(path, response)
        assert response.headers["x-should-retry"] == "false"
        assert edge.router.asked == []

    @pytest.mark.parametrize("path", PATHS)
    async def test_what_is_not_json_is_told(self, edge: Edge, path: str) -> None:
        response = await edge.post(path, content_type="text/plain")

        assert response.status_code == 415
        assert "application/json" in words_of(path, response)

    @pytest.mark.parametrize("path", PATHS)
    async def test_a_websocket_is_told_to_use_http(self, edge: Edge, path: str) -> None:
        response = await edge.post(path, upgrade="websocket", connection="upgrade")

        assert response.status_code == 426
        assert "server-sent events" in words_of(path, response)
        assert edge.router.asked == []

    @pytest.mark.parametrize("path", ["/v1/nothing", "/v1beta/nothing", "/v1/messages/x"])
    async def test_a_path_nobody_serves_is_a_404(self, edge: Edge, path: str) -> None:
        response = await edge.post(path)

        assert response.status_code == 404
        assert path in words_of(path, response)

    @pytest.mark.parametrize("path", [CHAT, MESSAGES, GEMINI])
    async def test_33_mebibytes_are_too_much(self, edge: Edge, path: str) -> None:
        response = await edge.post(path, b"x" * (33 * 2**20))

        assert response.status_code == 413
        assert "32 MiB" in words_of(path, response)
        assert edge.router.asked == []

    async def test_the_model_list_speaks_two_dialects(self, edge: Edge) -> None:
        plain = await edge.http.get("/v1/models")
        named = await edge.http.get("/v1/models", headers={"anthropic-version": "2023-06-01"})

        assert words_of(CHAT, plain)
        assert words_of(MESSAGES, named)

    @pytest.mark.parametrize(("path", "status"), [(CHAT, 503), (MESSAGES, 529), (GEMINI, 503)])
    async def test_an_absent_auth_is_not_the_clients_fault(
        self, edge: Edge, path: str, status: int
    ) -> None:
        edge.auth.away = True
        response = await edge.post(path)

        assert response.status_code == status

    @pytest.mark.parametrize("path", [CHAT, MESSAGES, GEMINI])
    async def test_a_fault_of_ours_says_nothing_of_itself(self, edge: Edge, path: str) -> None:
        edge.auth.broken = True
        response = await edge.post(path)

        assert response.status_code == 500
        assert "secret detail" not in response.text
        assert words_of(path, response) == "something went wrong here"


class TestRouterLost:
    @pytest.mark.parametrize(("path", "status"), [(CHAT, 503), (MESSAGES, 529), (GEMINI, 503)])
    async def test_away_is_unavailable_in_the_callers_dialect(
        self, edge: Edge, path: str, status: int
    ) -> None:
        async def script(peer: Peer) -> None:
            peer.cut()

        edge.router.script = script
        response = await edge.post(path)

        assert response.status_code == status
        assert "try again" in words_of(path, response)
        assert response.headers["retry-after"] == "1"

    @pytest.mark.parametrize(
        "begin",
        [
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello",
        ],
        ids=["chunked", "with a length"],
    )
    async def test_inside_an_answer_the_client_sees_a_cut(self, edge: Edge, begin: bytes) -> None:
        """A clean end would make SDKs return half an answer as a whole one."""

        async def script(peer: Peer) -> None:
            await peer.send(begin)
            await asyncio.sleep(0.05)
            peer.cut()

        edge.router.script = script
        with pytest.raises(httpx.RemoteProtocolError):
            await edge.post(CHAT)

    async def test_the_next_request_is_served(self, edge: Edge) -> None:
        async def script(peer: Peer) -> None:
            peer.cut()

        edge.router.script = script
        await edge.post(CHAT)
        edge.router.script = say_ok

        assert (await edge.post(CHAT)).status_code == 200


class TestClientGone:
    @pytest.mark.parametrize(("path", "body"), STREAMS)
    async def test_inside_a_stream_the_routers_connection_is_closed(
        self, edge: Edge, path: str, body: bytes
    ) -> None:
        closed = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(b"data: 1\n\n")
            await peer.left()
            closed.set()

        edge.router.script = script
        reader, writer = await edge.connect(path, body)
        await reader.readuntil(b"data: 1\n\n")
        writer.transport.abort()
        async with asyncio.timeout(2):
            await closed.wait()

    async def test_before_a_streams_answer_too(self, edge: Edge) -> None:
        asked, closed = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            asked.set()
            await peer.left()
            closed.set()

        edge.router.script = script
        _, writer = await edge.connect(*STREAMS[0])
        await asked.wait()
        writer.transport.abort()
        async with asyncio.timeout(2):
            await closed.wait()

    async def test_before_the_end_of_its_body_nothing_is_forwarded(self, edge: Edge) -> None:
        _, writer = await edge.connect(CHAT, b'{"half', length=100)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.sleep(0.05)

        assert edge.router.asked == []
        assert (await edge.post(CHAT)).status_code == 200

    async def test_one_that_leaves_disturbs_no_other(self, edge: Edge) -> None:
        go_on = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(b"data: 1\n\n")
            await go_on.wait()
            await peer.chunk(b"data: 2\n\n")
            await peer.send(b"0\r\n\r\n")

        edge.router.script = script
        staying = asyncio.ensure_future(edge.post(*STREAMS[0]))
        reader, writer = await edge.connect(*STREAMS[0])
        await reader.readuntil(b"data: 1\n\n")
        writer.transport.abort()
        await asyncio.sleep(0.05)
        go_on.set()

        assert (await staying).content == b"data: 1\n\ndata: 2\n\n"
