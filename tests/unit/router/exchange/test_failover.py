"""A request whose first target fails is answered by its backup, as if that had been asked first."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from aibridge_common.catalog import Chain
from aibridge_common.contracts.billing import AcquireLease, Lease
from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.usage import Multipliers, Usage, charge_microtokens
from aibridge_router.exchange import exchange
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.walk import Rules
from aibridge_router.sse import payloads

from .scene import CARD, KEY, Browser, Peer, Scene, Script, answering, sample, streaming

pytestmark = pytest.mark.anyio

DIALECTS = ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"]
HASTE = {
    "connect_timeout_s": 0.3,
    "headers_timeout_s": 0.3,
    "first_content_timeout_s": 0.3,
    "idle_timeout_s": 0.3,
}
WHOLE_USAGE = Usage(input=10, output=4)
STREAM_USAGE = {
    "/openai/v1/chat/completions": Usage(input=56, cache_read=64, output=24, reasoning=10),
    "/openai/v1/responses": Usage(input=43, cache_read=32, output=15, reasoning=25),
}
STREAM_TEXT = {
    "/openai/v1/chat/completions": "Grüße aus 北京: naïve\ncafé.",
    "/openai/v1/responses": "Grüße aus 北京.",
}
WHOLE_TEXT = "The backup's answer."
FROM_FIRST = "said-by-the-first"
"""Stands in whatever the first target says: none of it may reach the client."""

JSON = "content-type: application/json"


@pytest.fixture
def chained(scene: Scene) -> Scene:
    """Asks for claude-a, with gpt-a and gemini-a behind it; gpt-a answers, nobody waits long."""
    scene.chains = [Chain(model="claude-a", backups=["gpt-a", "gemini-a"])]
    scene.model_options = dict(HASTE)
    scene.vendor.scripts["openai"] = backup(scene)
    return scene


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """A base URL whose listener's queue is full: the kernel drops what would connect to it."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def body_of(dialect: str, *, stream: bool) -> bytes:
    said = [{"role": "user", "content": "hi"}]
    bodies: dict[str, dict[str, Any]] = {
        "openai_chat": {"messages": said, "max_tokens": 90},
        "openai_responses": {"input": "hi", "max_output_tokens": 90},
        "anthropic_messages": {"messages": said, "max_tokens": 90},
    }
    if dialect == "gemini_generate":
        contents = [{"role": "user", "parts": [{"text": "hi"}]}]
        return json.dumps(
            {"contents": contents, "generationConfig": {"maxOutputTokens": 90}}
        ).encode()
    return json.dumps({"model": "claude-a", "stream": stream, **bodies[dialect]}).encode()


def path_of(dialect: str, *, stream: bool) -> str:
    verb = "streamGenerateContent" if stream else "generateContent"
    return {
        "openai_chat": "/v1/chat/completions",
        "openai_responses": "/v1/responses",
        "anthropic_messages": "/v1/messages",
        "gemini_generate": f"/v1beta/models/claude-a:{verb}",
    }[dialect]


async def serve(scene: Scene, dialect: str, *, stream: bool) -> Browser:
    async with asyncio.timeout(6):
        return await scene.serve(
            dialect, body_of(dialect, stream=stream), path_of(dialect, stream=stream)
        )


# --- vendors ----------------------------------------------------------------------------------


def backup(scene: Scene) -> Script:
    """Answers whole or in a stream, in the dialect of the path it is asked on."""

    async def script(peer: Peer) -> None:
        asked = scene.vendor.asked[-1]
        chat = asked.path.endswith("/chat/completions")
        if json.loads(asked.body).get("stream"):
            await streaming(sample("openai_chat/text" if chat else "openai_responses/text"))(peer)
        else:
            await peer.answer(200, whole_chat() if chat else whole_response(), JSON)

    return script


def whole_chat() -> bytes:
    message = {"role": "assistant", "content": WHOLE_TEXT}
    return json.dumps(
        {
            "id": "chatcmpl-7",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-a",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
        }
    ).encode()


def whole_response() -> bytes:
    text = {"type": "output_text", "text": WHOLE_TEXT, "annotations": []}
    message = {
        "type": "message",
        "id": "msg_7",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    return json.dumps(
        {
            "id": "resp_7",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": "gpt-a",
            "output": [message],
            "usage": {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14},
        }
    ).encode()


def refusing(status: int, kind: str, message: str = FROM_FIRST, code: str | None = None) -> Script:
    error = {"type": kind, "message": message, "code": code, "param": None}
    body = json.dumps({"type": "error", "error": error}).encode()
    return answering(status, body, JSON, f"x-from: {FROM_FIRST}")


def started(scene: Scene, after: Script, *pieces: str) -> Script:
    """What a stream begins with before any content, in the dialect that was asked in; then `after`."""

    async def script(peer: Peer) -> None:
        await peer.begin_stream(f"x-from: {FROM_FIRST}")
        await peer.chunk(head_of_stream(scene))
        for piece in pieces:
            await peer.chunk(piece.encode())
        await after(peer)

    return script


def is_chat(scene: Scene) -> bool:
    return scene.vendor.asked[-1].path.endswith("/chat/completions")


def head_of_stream(scene: Scene) -> bytes:
    if is_chat(scene):
        chunk = {
            "id": FROM_FIRST,
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "claude-a",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
        }
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"
    message = {
        "id": FROM_FIRST,
        "type": "message",
        "role": "assistant",
        "model": "claude-a",
        "content": [],
        "usage": {"input_tokens": 30, "output_tokens": 1},
    }
    start = json.dumps({"type": "message_start", "message": message}).encode()
    return b"event: message_start\ndata: " + start + b"\n\n"


def text_of_first(scene: Scene, text: str) -> bytes:
    if is_chat(scene):
        chunk = {"choices": [{"index": 0, "delta": {"content": text}}]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"
    begin = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    delta = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), json.dumps(event).encode())
        for event in (begin, delta)
    )


ERROR = json.dumps(
    {"error": {"type": "overloaded_error", "message": FROM_FIRST}, "type": "error"},
    separators=(",", ":"),
)
ERROR_EVENT = f"event: error\ndata: {ERROR}\n\n"
PING = 'event: ping\ndata: {"type":"ping"}\n\n'


async def cut(peer: Peer) -> None:
    peer.cut()


async def cut_inside(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    await peer.send(b'content-length: 900\r\n\r\n{"id":"%b"' % FROM_FIRST.encode())
    peer.cut()


async def drip(peer: Peer) -> None:
    """A byte now and then, for ever: never silent, never content."""
    with_patience = asyncio.create_task(peer.left())
    while not with_patience.done():
        await peer.chunk(b":")
        await asyncio.sleep(0.05)


async def drip_pings(peer: Peer) -> None:
    with_patience = asyncio.create_task(peer.left())
    while not with_patience.done():
        await peer.chunk(PING.encode())
        await asyncio.sleep(0.05)


STATUSES: dict[str, tuple[Script, int]] = {
    "500": (refusing(500, "api_error"), 3),
    "502 page": (answering(502, b"<html>" + FROM_FIRST.encode()), 3),
    "503": (refusing(503, "api_error"), 3),
    "529": (refusing(529, "overloaded_error"), 3),
    "408": (refusing(408, "timeout_error"), 3),
    "429": (refusing(429, "rate_limit_error"), 2),
    "429 without money": (refusing(429, "insufficient_quota", code="insufficient_quota"), 2),
    "401": (refusing(401, "authentication_error"), 2),
    "402": (refusing(402, "billing_error"), 2),
    "403": (refusing(403, "permission_error"), 2),
    "404 model": (
        refusing(404, "not_found_error", f"model: {FROM_FIRST}", code="model_not_found"),
        2,
    ),
    "410": (refusing(410, "invalid_request_error"), 2),
    "400 without money": (
        refusing(400, "invalid_request_error", "Your credit balance is too low to access it."),
        2,
    ),
    "redirect": (answering(302, FROM_FIRST.encode(), f"location: http://{FROM_FIRST}"), 2),
    "silent head": (Peer.left, 2),
    "cut at once": (cut, 2),
    "cut inside": (cut_inside, 2),
    "garbage": (answering(200, b"\xff\x00" + FROM_FIRST.encode(), JSON), 2),
    "page": (answering(200, b"<html>" + FROM_FIRST.encode(), "content-type: text/html"), 2),
    "empty": (answering(200, b"", JSON), 2),
    "half": (answering(200, b'{"id":"' + FROM_FIRST.encode(), JSON), 2),
    "error under 200": (refusing(200, "overloaded_error"), 3),
}


def assert_answered(scene: Scene, dialect: str, *, stream: bool, attempts: int) -> None:
    """The whole answer came from gpt-a, in the client's dialect, and that alone was charged."""
    browser, asked = scene.browser, scene.vendor.asked[-1]
    usage = STREAM_USAGE[asked.path] if stream else WHOLE_USAGE
    text = STREAM_TEXT[asked.path] if stream else WHOLE_TEXT

    assert (browser.status, browser.complete) == (200, True)
    assert text_of(dialect, browser.body, stream=stream) == text
    assert FROM_FIRST.encode() not in browser.body + repr(browser.headers).encode()
    assert header(browser, "x-aibridge-model") == "gpt-a"
    assert header(browser, "x-aibridge-provider") == "openai"
    assert header(browser, "x-aibridge-attempts") == str(attempts)
    assert_billed(scene, usage)


def assert_billed(scene: Scene, usage: Usage) -> None:
    (event,) = scene.events

    assert (event.requested_model, event.billed_model) == ("claude-a", "gpt-a")
    assert (event.provider, event.outcome) == ("openai", Outcome.COMPLETED)
    assert (event.usage, event.source) == (usage, UsageSource.FINAL)
    assert scene.charged == charge_microtokens(usage, CARD)


def header(browser: Browser, name: str) -> str | None:
    return {n.decode(): v.decode() for n, v in browser.headers}.get(name)


def message_of(browser: Browser) -> str:
    return json.loads(browser.body)["error"]["message"]


def text_of(dialect: str, body: bytes, *, stream: bool) -> str:
    """The text that a client of the dialect reads."""
    if not stream:
        return whole_text_of(dialect, json.loads(body))
    events = [json.loads(payload) for payload in payloads(body) if payload != b"[DONE]"]
    assert ends_well(dialect, body)
    return "".join(piece for event in events for piece in pieces_of(dialect, event))


def whole_text_of(dialect: str, answer: Any) -> str:
    if dialect == "openai_chat":
        return answer["choices"][0]["message"]["content"]
    if dialect == "openai_responses":
        return answer["output"][0]["content"][0]["text"]
    if dialect == "anthropic_messages":
        return answer["content"][0]["text"]
    return answer["candidates"][0]["content"]["parts"][0]["text"]


def pieces_of(dialect: str, event: Any) -> list[str]:
    if dialect == "openai_chat":
        return [choice["delta"].get("content") or "" for choice in event.get("choices", ())]
    if dialect == "openai_responses":
        return [event["delta"]] if event["type"] == "response.output_text.delta" else []
    if dialect == "anthropic_messages":
        delta = event.get("delta", {})
        return [delta["text"]] if delta.get("type") == "text_delta" else []
    return [
        part.get("text", "")
        for candidate in event.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
        if not part.get("thought")
    ]


def ends_well(dialect: str, body: bytes) -> bool:
    mark = {
        "openai_chat": b"data: [DONE]",
        "openai_responses": b"event: response.completed",
        "anthropic_messages": b"event: message_stop",
        "gemini_generate": b'"finishReason"',
    }
    return mark[dialect] in body


both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


# --- tests ------------------------------------------------------------------------------------


@every_dialect
class TestBeforeContent:
    @both_ways
    @pytest.mark.parametrize("fault", STATUSES)
    async def test_the_backup_answers(
        self, chained: Scene, dialect: str, stream: bool, fault: str
    ) -> None:
        script, attempts = STATUSES[fault]
        chained.vendor.scripts["anthropic"] = script
        await serve(chained, dialect, stream=stream)

        assert_answered(chained, dialect, stream=stream, attempts=attempts)
        assert len(chained.vendor.asked) == attempts

    @both_ways
    async def test_a_refused_connection_is_no_end(
        self, chained: Scene, dialect: str, stream: bool
    ) -> None:
        chained.elsewhere["anthropic"] = "http://127.0.0.1:1"
        await serve(chained, dialect, stream=stream)

        assert_answered(chained, dialect, stream=stream, attempts=2)

    @both_ways
    async def test_a_connection_that_does_not_come_about_is_no_end(
        self, chained: Scene, dialect: str, stream: bool, full_backlog: str
    ) -> None:
        chained.elsewhere["anthropic"] = full_backlog
        await serve(chained, dialect, stream=stream)

        assert_answered(chained, dialect, stream=stream, attempts=2)

    @pytest.mark.parametrize(
        ("pieces", "after", "attempts"),
        [
            ((ERROR_EVENT,), Peer.end_stream, 3),
            ((PING, PING, ERROR_EVENT), Peer.end_stream, 3),
            ((), cut, 2),
            ((), Peer.end_stream, 2),
            ((PING,), Peer.end_stream, 2),
            ((), Peer.left, 2),
            ((), drip, 2),
            ((), drip_pings, 2),
            (("data: {garbage\n\n",), Peer.left, 2),
        ],
        ids=[
            "error event",
            "error event after pings",
            "cut",
            "early end",
            "early end after a ping",
            "silence",
            "dripping bytes",
            "dripping pings",
            "garbage",
        ],
    )
    async def test_a_stream_that_began_without_content_is_begun_anew(
        self, chained: Scene, dialect: str, pieces: tuple[str, ...], after: Script, attempts: int
    ) -> None:
        chained.vendor.scripts["anthropic"] = started(chained, after, *pieces)
        began_s = asyncio.get_running_loop().time()
        await serve(chained, dialect, stream=True)

        assert asyncio.get_running_loop().time() - began_s < 1.5
        assert_answered(chained, dialect, stream=True, attempts=attempts)

    @pytest.mark.parametrize(
        "script",
        [streaming(), streaming(b": comment\n\n"), streaming(end=False), streaming(b"x" * 999)],
        ids=["empty", "comment", "cut", "no frames"],
    )
    async def test_a_stream_of_nothing_is_no_answer(
        self, chained: Scene, dialect: str, script: Script
    ) -> None:
        chained.vendor.scripts["anthropic"] = script
        await serve(chained, dialect, stream=True)

        assert_answered(chained, dialect, stream=True, attempts=2)


@every_dialect
class TestAboutTheRequest:
    @both_ways
    @pytest.mark.parametrize("status", [400, 413, 422])
    async def test_the_client_hears_it_and_nobody_else_is_asked(
        self, chained: Scene, dialect: str, stream: bool, status: int
    ) -> None:
        chained.vendor.scripts["anthropic"] = refusing(
            status, "invalid_request_error", "tools.0: no"
        )
        browser = await serve(chained, dialect, stream=stream)

        assert 400 <= browser.status < 500
        assert message_of(browser) == "tools.0: no"
        assert header(browser, "x-aibridge-model") == "claude-a"
        assert len(chained.vendor.asked) == 1
        assert chained.events == []
        assert chained.charged == 0

    @both_ways
    async def test_refused_content_is_not_taken_elsewhere(
        self, chained: Scene, dialect: str, stream: bool
    ) -> None:
        chained.vendor.scripts["anthropic"] = refusing(
            400, "invalid_request_error", "Not this.", code="content_policy_violation"
        )
        browser = await serve(chained, dialect, stream=stream)

        assert browser.status == 400
        assert message_of(browser) == "Not this."
        assert len(chained.vendor.asked) == 1

    async def test_what_a_stand_in_finds_wrong_is_not_the_clients_fault(
        self, chained: Scene, dialect: str
    ) -> None:
        chained.vendor.scripts["anthropic"] = refusing(401, "authentication_error")
        chained.vendor.scripts["openai"] = refusing(400, "invalid_request_error", "no: x")
        chained.vendor.scripts["google"] = refusing(400, "invalid_request_error", "no: y")
        browser = await serve(chained, dialect, stream=False)

        assert browser.status >= 500
        assert len(chained.vendor.asked) == 3


async def test_a_refusal_in_the_clients_dialect_passes_verbatim(chained: Scene) -> None:
    words = b'{ "error":  {"message":"tools.0.custom:  Extra inputs \\u00e9"}, "x": 1 }'
    chained.vendor.scripts["anthropic"] = answering(422, words, JSON)
    browser = await serve(chained, "anthropic_messages", stream=True)

    assert (browser.status, browser.body) == (422, words)


@every_dialect
class TestAfterContent:
    @pytest.mark.parametrize(
        ("piece", "after"),
        [
            ("", cut),
            ("", Peer.end_stream),
            ("", Peer.left),
            ("", drip),
            (ERROR_EVENT, Peer.end_stream),
            ("data: {garbage\n\n", cut),
        ],
        ids=["cut", "early end", "silence", "dripping bytes", "error event", "garbage"],
    )
    async def test_the_stream_ends_with_an_error_and_what_was_delivered_is_charged(
        self, chained: Scene, dialect: str, piece: str, after: Script
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(head_of_stream(chained))
            await peer.chunk(text_of_first(chained, "Half an"))
            await chained.browser.got_some.wait()
            if piece:
                await peer.chunk(piece.encode())
            await after(peer)

        chained.vendor.scripts["anthropic"] = script
        browser = await serve(chained, dialect, stream=True)
        (event,) = chained.events

        assert (browser.status, browser.complete) == (200, True)
        assert b"Half an" in browser.body
        assert b"error" in browser.body or b"response.failed" in browser.body
        assert not ends_well(dialect, browser.body)
        assert len(chained.vendor.asked) == 1
        assert header(browser, "x-aibridge-model") == "claude-a"
        assert header(browser, "x-aibridge-attempts") == "1"
        assert event.billed_model == "claude-a"
        assert event.outcome in {Outcome.UPSTREAM_CUT, Outcome.UPSTREAM_ERROR}
        assert event.usage.output > 0
        assert chained.charged == charge_microtokens(event.usage, CARD) > 0


@every_dialect
@both_ways
class TestAllFail:
    async def test_one_error_names_every_attempt(
        self, chained: Scene, dialect: str, stream: bool
    ) -> None:
        chained.vendor.scripts["anthropic"] = refusing(401, "authentication_error", f"bad {KEY}")
        chained.vendor.scripts["openai"] = answering(200, b"garbage", JSON)
        chained.vendor.scripts["google"] = refusing(429, "rate_limit_error")
        browser = await serve(chained, dialect, stream=stream)

        assert browser.status >= 500
        assert browser.complete
        assert message_of(browser) == (
            "claude-a: Anthropic refused the operator's key; "
            "gpt-a: OpenAI answered something that is not an answer; "
            "gemini-a: Google cannot take more requests now"
        )
        assert header(browser, "x-should-retry") == "false"
        assert header(browser, "x-aibridge-attempts") == "3"
        assert header(browser, "x-aibridge-provider") is None
        assert KEY.encode() not in browser.body
        assert chained.events == []
        assert chained.charged == 0

    async def test_when_all_are_down_the_next_hears_so_at_once(
        self, chained: Scene, dialect: str, stream: bool
    ) -> None:
        for provider in ("anthropic", "openai", "google"):
            chained.elsewhere[provider] = "http://127.0.0.1:1"
        await serve(chained, dialect, stream=stream)
        chained.browser = Browser()
        await serve(chained, dialect, stream=stream)
        chained.browser = Browser()
        began_s = asyncio.get_running_loop().time()
        browser = await serve(chained, dialect, stream=stream)

        assert asyncio.get_running_loop().time() - began_s < 0.1
        assert browser.status in {503, 529}
        assert header(browser, "retry-after") is not None


class TestMoney:
    DEAR = Multipliers(
        input=10_000_000,
        output=50_000_000,
        cache_read=1_000_000,
        cache_write_5m=12_500_000,
        cache_write_1h=20_000_000,
        reasoning=50_000_000,
    )

    @both_ways
    async def test_what_a_dearer_backup_may_cost_is_held_anew(
        self, chained: Scene, stream: bool
    ) -> None:
        chained.cards["gpt-a"] = self.DEAR
        chained.vendor.scripts["anthropic"] = refusing(401, "authentication_error")
        held: list[int] = []
        answer = backup(chained)

        async def script(peer: Peer) -> None:
            held.append(sum(one.in_flight_microtokens for one in chained.wallets._book.all()))
            await answer(peer)

        chained.vendor.scripts["openai"] = script
        await serve(chained, "openai_chat", stream=stream)
        (event,) = chained.events
        charge = charge_microtokens(event.usage, self.DEAR)
        worst = (len(chained.vendor.asked[-1].body) + 64) * 20_000_000 + 90 * 50_000_000

        assert event.billed_model == "gpt-a"
        assert held == [worst]
        assert chained.charged == charge < worst

    @both_ways
    async def test_one_that_the_balance_does_not_cover_is_passed_over(
        self, chained: Scene, stream: bool
    ) -> None:
        chained.cards["gpt-a"] = self.DEAR
        chained.billing.most_microtokens = 2_000_000_000
        chained.vendor.scripts["anthropic"] = refusing(401, "authentication_error")
        chained.vendor.scripts["google"] = backup(chained)
        browser = await serve(chained, "openai_chat", stream=stream)
        (event,) = chained.events

        assert browser.status == 200
        assert [asked.provider for asked in chained.vendor.asked] == ["anthropic", "google"]
        assert event.billed_model == "gemini-a"
        assert header(browser, "x-aibridge-attempts") == "2"
        assert chained.charged == charge_microtokens(event.usage, CARD)

    async def test_when_no_backup_is_covered_the_first_failure_is_told(
        self, chained: Scene
    ) -> None:
        chained.cards |= {"gpt-a": self.DEAR, "gemini-a": self.DEAR}
        chained.billing.most_microtokens = 2_000_000_000
        chained.vendor.scripts["anthropic"] = refusing(401, "authentication_error")
        browser = await serve(chained, "openai_chat", stream=True)

        assert browser.status == 502
        assert message_of(browser) == "Anthropic refused the operator's key"
        assert len(chained.vendor.asked) == 1
        assert chained.charged == 0


class TestOfTheRequest:
    async def test_without_failover_the_failure_is_told(self, chained: Scene) -> None:
        chained.rules = Rules(failover=False)
        chained.vendor.scripts["anthropic"] = refusing(401, "authentication_error")
        browser = await serve(chained, "openai_chat", stream=True)

        assert browser.status == 502
        assert len(chained.vendor.asked) == 1

    async def test_the_backup_is_asked_at_once_while_the_first_is_known_to_be_down(
        self, chained: Scene
    ) -> None:
        chained.vendor.scripts["anthropic"] = Peer.left
        await serve(chained, "openai_chat", stream=True)
        chained.browser = Browser()
        chained.spool.events.clear()
        began_s = asyncio.get_running_loop().time()
        browser = await serve(chained, "openai_chat", stream=True)

        assert asyncio.get_running_loop().time() - began_s < 0.2
        assert header(browser, "x-aibridge-attempts") == "1"
        assert header(browser, "x-aibridge-model") == "gpt-a"

    @both_ways
    async def test_a_client_that_left_is_not_asked_for_elsewhere(
        self, chained: Scene, stream: bool
    ) -> None:
        async def script(peer: Peer) -> None:
            chained.browser.leave()
            await asyncio.sleep(0.05)
            await peer.answer(401, b'{"error":{"message":"no"}}', JSON)

        chained.vendor.scripts["anthropic"] = script
        await serve(chained, "openai_chat", stream=stream)

        assert len(chained.vendor.asked) == 1
        assert chained.events == []
        assert chained.charged == 0

    @both_ways
    async def test_a_deadline_bounds_all_attempts(
        self, chained: Scene, stream: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exchange, "ANSWER_S", 0.1)
        chained.left_s = 0.6
        for provider in ("anthropic", "openai", "google"):
            chained.vendor.scripts[provider] = Peer.left
        began_s = asyncio.get_running_loop().time()
        browser = await serve(chained, "openai_chat", stream=stream)

        assert 0.3 < asyncio.get_running_loop().time() - began_s < 1
        assert browser.status == 504
        assert len(chained.vendor.asked) == 2
        assert chained.charged == 0

    @both_ways
    @pytest.mark.parametrize("status", [200, 500])
    async def test_a_whole_answer_that_drips_is_given_up(
        self, chained: Scene, stream: bool, status: int
    ) -> None:
        async def script(peer: Peer) -> None:
            lines = f"HTTP/1.1 {status} X\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n"
            await peer.send(lines.encode())
            await drip(peer)

        chained.vendor.scripts["anthropic"] = script
        began_s = asyncio.get_running_loop().time()
        await serve(chained, "openai_chat", stream=stream)

        assert asyncio.get_running_loop().time() - began_s < 1.5
        assert_answered(chained, "openai_chat", stream=stream, attempts=2)

    async def test_one_at_a_time_tries_a_way_that_was_down_also_when_many_wait_for_money(
        self, chained: Scene
    ) -> None:
        """All were told that the way may be tried before any of them had its hold; only one may."""
        way = ("anthropic", chained.registry().chain("claude-a").targets[0].keys[0].id, "claude-a")
        now_s = chained.services.clock.monotonic_s()
        chained.health.failed(now_s - 10, way, Failure.SILENT, probe=False)
        grant, at_once, most = chained.billing.acquire_lease, 0, 0

        async def slowly(command: AcquireLease) -> Lease:
            await asyncio.sleep(0.05)
            return await grant(command)

        async def script(peer: Peer) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.1)
            at_once -= 1
            await peer.answer(500, b"{}", JSON)

        chained.billing.acquire_lease = slowly
        chained.vendor.scripts["anthropic"] = script
        body = body_of("openai_chat", stream=False)
        await asyncio.gather(*[chained.serve("openai_chat", body) for _ in range(8)])

        assert most == 1
        assert {event.billed_model for event in chained.events} == {"gpt-a"}
        assert len(chained.events) == 8
