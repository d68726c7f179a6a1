"""Whatever a vendor or a client does: one answer, one settlement, no hold left behind."""

import asyncio
import json
from typing import Any

import pytest

from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.usage import Usage, charge_microtokens
from aibridge_router.exchange import exchange
from aibridge_router.spool.recovery import read_left
from aibridge_router.spool.segment import SegmentName

from .scene import BODIES, CARD, KEY, Browser, Peer, Scene, answering, sample, streaming

pytestmark = pytest.mark.anyio

DIALECTS = list(BODIES)
USAGES = {
    "openai_chat": Usage(input=56, cache_read=64, output=24, reasoning=10),
    "openai_responses": Usage(input=43, cache_read=32, output=15, reasoning=25),
    "anthropic_messages": Usage(
        input=25, cache_read=2000, cache_write_5m=60, cache_write_1h=40, output=15
    ),
    "gemini_generate": Usage(input=25, cache_read=40, output=7, reasoning=20),
}
CHAT_ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4}}'
WHOLE_CHAT = b'{"model":"gpt-a","max_tokens":90}'


def frames(dialect: str) -> list[bytes]:
    """The text sample by frames."""
    stream = sample(f"{dialect}/text")
    blank_line = b"\r\n\r\n" if b"\r\n" in stream else b"\n\n"
    return [frame + blank_line for frame in stream.split(blank_line)[:-1]]


def opening(dialect: str) -> bytes:
    """The text sample up to its first piece of content."""
    return b"".join(frames(dialect)[: {"openai_chat": 2}[dialect]])


def error_of(browser: Browser) -> dict[str, Any]:
    return json.loads(browser.body)["error"]


def header(browser: Browser, name: str) -> str | None:
    return {n.decode(): v.decode() for n, v in browser.headers}.get(name)


def assert_nothing_charged(scene: Scene) -> None:
    assert scene.events == []
    assert scene.charged == 0


def assert_charged(
    scene: Scene, usage: Usage, source: UsageSource, outcome: Outcome = Outcome.COMPLETED
) -> None:
    (event,) = scene.events

    assert (event.usage, event.source, event.outcome) == (usage, source, outcome)
    assert scene.charged == charge_microtokens(usage, CARD)


def usage_left(scene: Scene) -> list[Usage | None]:
    """What the next router would charge for exchanges without an end, were this one killed now."""
    paths = sorted(scene.spool._folder.glob("*.spool"))
    segments = [(SegmentName.parse(path.name), path.read_bytes()) for path in paths]
    left = read_left((name, data) for name, data in segments if name is not None)
    return [each.event.usage if each.event is not None else None for each in left.unended]


async def settled(scene: Scene) -> None:
    """Wait until no exchange runs."""
    async with asyncio.timeout(3):
        await scene.pumps.drain(3)

    assert scene.pumps.count == 0


class TestStream:
    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_it_passes_as_it_came_and_is_charged_as_reported(
        self, scene: Scene, dialect: str
    ) -> None:
        stream = sample(f"{dialect}/text")
        scene.vendor.script = streaming(stream[:100], stream[100:700], stream[700:])
        browser = await scene.serve(dialect)
        got = browser.body.replace(b'"provider":"openai",', b"", 1)

        assert (browser.status, browser.complete) == (200, True)
        assert got == stream
        assert_charged(scene, USAGES[dialect], UsageSource.FINAL)

    @pytest.mark.parametrize("pieces", [1, 2])
    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_a_router_killed_as_the_client_gets_the_end_charges_it_as_reported(
        self, scene: Scene, dialect: str, pieces: int
    ) -> None:
        stream = sample(f"{dialect}/text")
        scene.vendor.script = streaming(
            *([stream] if pieces == 1 else [stream[:900], stream[900:]])
        )
        left: list[Usage | None] = []
        send = scene.browser.send

        async def watched(message: Any) -> None:
            if frames(dialect)[-1] in scene.browser.body + message.get("body", b"") and not left:
                left.extend(usage_left(scene))
            await send(message)

        scene.browser.send = watched
        await scene.serve(dialect)

        assert left == [USAGES[dialect]]

    async def test_a_whole_answer_is_on_the_disk_before_the_client_has_it(
        self, scene: Scene
    ) -> None:
        scene.vendor.script = answering(200, CHAT_ANSWER, "content-type: application/json")
        unended: list[int] = []
        send = scene.browser.send

        async def watched(message: Any) -> None:
            unended.append(len(usage_left(scene)))
            await send(message)

        scene.browser.send = watched
        await scene.serve("openai_chat", WHOLE_CHAT)

        assert len(scene.events) == 1
        assert set(unended) == {0}

    async def test_the_record_says_who_what_and_when(self, scene: Scene) -> None:
        scene.vendor.script = streaming(sample("openai_chat/text"))
        body = BODIES["openai_chat"].replace(b"gpt-a", b"gpt-alias")
        await scene.serve("openai_chat", body)
        (event,) = scene.events
        (lease,) = scene.wallets._book.all()

        assert (event.requested_model, event.billed_model) == ("gpt-alias", "gpt-a")
        assert (event.provider, event.price_version) == ("openai", 3)
        assert (event.endpoint, event.stream) == ("openai_chat", True)
        assert event.lease_id == lease.lease_id
        assert 0 <= event.first_content_ms <= event.total_ms

    async def test_usage_that_nobody_asked_for_is_charged_and_not_shown(self, scene: Scene) -> None:
        scene.vendor.script = streaming(sample("openai_chat/text"))
        browser = await scene.serve("openai_chat", b'{"model":"gpt-a","stream":true}')

        assert json.loads(scene.vendor.asked[0].body)["stream_options"] == {"include_usage": True}
        assert b'"prompt_tokens"' not in browser.body
        assert browser.body.endswith(b"data: [DONE]\n\n")
        assert_charged(scene, USAGES["openai_chat"], UsageSource.FINAL)

    async def test_headers_are_the_vendors_few_and_our_own(self, scene: Scene) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream("request-id: v-1", "set-cookie: a=b", "openai-organization: o")
            await peer.chunk(sample("openai_chat/text"))
            await peer.end_stream()

        scene.vendor.script = script
        browser = await scene.serve("openai_chat")
        (event,) = scene.events

        assert header(browser, "content-type") == "text/event-stream; charset=utf-8"
        assert header(browser, "cache-control") == "no-cache"
        assert header(browser, "x-aibridge-provider") == "openai"
        assert header(browser, "x-aibridge-model") == "gpt-a"
        assert header(browser, "x-aibridge-upstream-request-id") == "v-1"
        assert header(browser, "x-aibridge-request-id") == f"req_{event.event_id.hex}"
        assert header(browser, "set-cookie") is None
        assert header(browser, "openai-organization") is None

    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_a_stream_without_usage_is_estimated(self, scene: Scene, dialect: str) -> None:
        bare = {
            "openai_chat": b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n',
            "openai_responses": b'data: {"type":"response.output_text.delta","delta":"x"}\n\n'
            b'data: {"type":"response.completed","response":{}}\n\n',
            "anthropic_messages": b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
            "gemini_generate": b'data: {"candidates":[{"finishReason":"STOP"}]}\r\n\r\n',
        }
        scene.vendor.script = streaming(bare[dialect])
        await scene.serve(dialect)
        sent = len(scene.vendor.asked[0].body)

        assert_charged(scene, Usage(input=sent // 4, output=1), UsageSource.ESTIMATED)

    async def test_a_vendors_error_event_is_passed_on(self, scene: Scene) -> None:
        """After content what passed is charged; our own error event does not follow."""
        scene.vendor.script = streaming(sample("anthropic_messages/error"))
        browser = await scene.serve("anthropic_messages")

        assert browser.body == sample("anthropic_messages/error")
        assert browser.complete
        assert_charged(
            scene, Usage(input=30, output=3), UsageSource.ESTIMATED, Outcome.UPSTREAM_ERROR
        )

    async def test_a_vendors_error_before_content_costs_nothing(self, scene: Scene) -> None:
        scene.vendor.script = streaming(sample("anthropic_messages/error_at_once"))
        await scene.serve("anthropic_messages")

        assert_nothing_charged(scene)

    async def test_impossible_usage_is_recorded_and_not_charged(self, scene: Scene) -> None:
        usage = b'data: {"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":1}}\n\n'
        scene.vendor.script = streaming(usage, b"data: [DONE]\n\n")
        await scene.serve("openai_chat")

        assert scene.events[0].usage == Usage(input=-5, output=1)
        assert scene.charged == 0


class TestCutStream:
    @pytest.mark.parametrize("end", [False, True], ids=["connection lost", "ended early"])
    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_it_ends_with_the_dialects_error_and_no_end(
        self, scene: Scene, dialect: str, end: bool
    ) -> None:
        *first, half = frames(dialect)[:6]
        scene.vendor.script = streaming(*first, half[:-9], end=end)
        browser = await scene.serve(dialect)
        whole = browser.body.replace(b'"provider":"openai",', b"", 1)
        passed, error = whole[: len(b"".join(first))], whole[len(b"".join(first)) :]

        assert passed == b"".join(first)
        assert browser.complete
        if dialect == "anthropic_messages":
            assert error.startswith(b'event: error\ndata: {"type":"error",')
        elif dialect == "openai_responses":
            assert b"event: response.failed\ndata: " in error
            assert b"response.completed" not in error
        else:
            assert error.startswith(b'data: {"error":{')
        assert error.endswith(b"\n\n")
        assert b"[DONE]" not in error
        assert b"message_stop" not in error

    async def test_what_passed_is_charged(self, scene: Scene) -> None:
        scene.vendor.script = streaming(*frames("openai_chat")[:5], end=False)
        await scene.serve("openai_chat")
        sent = len(scene.vendor.asked[0].body)

        assert_charged(
            scene,
            Usage(input=sent // 4, output=6),
            UsageSource.ESTIMATED,
            Outcome.UPSTREAM_CUT,
        )

    async def test_reported_input_is_charged_where_the_vendor_said_it(self, scene: Scene) -> None:
        scene.vendor.script = streaming(*frames("anthropic_messages")[:6], end=False)
        await scene.serve("anthropic_messages")
        (event,) = scene.events

        assert (event.usage.input, event.usage.cache_read) == (25, 2000)
        assert 3 <= event.usage.output < 15
        assert event.outcome is Outcome.UPSTREAM_CUT

    async def test_a_vendor_that_falls_silent_is_cut(self, scene: Scene) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(opening("openai_chat"))
            await peer.left()

        scene.vendor.script = script
        scene.model_options = {"idle_timeout_s": 0.1}
        browser = await scene.serve("openai_chat")

        assert b"did not answer in time" in browser.body
        assert scene.events[0].outcome is Outcome.UPSTREAM_CUT

    async def test_a_text_about_the_end_does_not_hide_the_cut(self, scene: Scene) -> None:
        talk = b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n'
        scene.vendor.script = streaming(talk, end=True)
        browser = await scene.serve("openai_chat")

        assert b"ended the stream early" in browser.body
        assert scene.events[0].outcome is Outcome.UPSTREAM_CUT


class TestNonsense:
    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(
        "script",
        [
            answering(200, b"garbage", "content-type: application/json"),
            answering(200, b"<html>hello</html>", "content-type: text/html"),
            answering(200, b"", "content-type: application/json"),
            answering(200, b'{"id":', "content-type: application/json"),
            answering(302, b"", "location: https://elsewhere.example"),
            answering(204, b""),
            streaming(),
            streaming(b": only a comment"),
            streaming(b"data: <html>\n\n"),
            streaming(b"x" * 1000),
            streaming(end=False),
            answering(500, b'{"error":{"message":"oops"}}'),
        ],
        ids=[
            "garbage",
            "html",
            "empty",
            "half",
            "redirect",
            "no content",
            "empty stream",
            "half a comment",
            "html stream",
            "no frames",
            "cut at once",
            "server error",
        ],
    )
    async def test_it_is_a_502_and_costs_nothing(
        self, scene: Scene, dialect: str, script: Any
    ) -> None:
        scene.vendor.script = script
        browser = await scene.serve(dialect)

        assert (browser.status, browser.complete) == (502, True)
        assert error_of(browser)["message"]
        assert_nothing_charged(scene)

    async def test_a_frame_without_end_is_refused(self, scene: Scene) -> None:
        scene.vendor.script = streaming(*[b"x" * 2**16] * 20)
        browser = await scene.serve("openai_chat")

        assert browser.status == 502
        assert_nothing_charged(scene)


class TestRefusal:
    @pytest.mark.parametrize("status", [400, 404, 413, 422])
    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_words_about_the_request_pass_verbatim(
        self, scene: Scene, dialect: str, status: int
    ) -> None:
        words = b'{ "error" : {"message":"tools.0.custom:  Extra inputs \\u00e9"} }'
        scene.vendor.script = answering(
            status, words, "content-type: application/json", "retry-after: 3"
        )
        browser = await scene.serve(dialect)

        assert (browser.status, browser.body) == (status, words)
        assert header(browser, "content-type") == "application/json"
        assert header(browser, "retry-after") == "3"
        assert_nothing_charged(scene)

    @pytest.mark.parametrize("status", [401, 402, 403])
    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_our_keys_trouble_is_a_502_and_the_key_stays_here(
        self, scene: Scene, dialect: str, status: int
    ) -> None:
        words = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
        scene.vendor.script = answering(status, words, f"x-leak: {KEY}")
        browser = await scene.serve(dialect)

        assert browser.status == 502
        assert KEY.encode() not in browser.body + repr(browser.headers).encode()
        assert_nothing_charged(scene)

    @pytest.mark.parametrize("dialect", DIALECTS)
    async def test_a_quoted_key_is_masked(self, scene: Scene, dialect: str) -> None:
        scene.vendor.script = answering(400, json.dumps({"error": f"header {KEY}"}).encode())
        browser = await scene.serve(dialect)

        assert browser.body == b'{"error": "header [redacted]"}'

    @pytest.mark.parametrize(
        ("dialect", "status"),
        [("openai_chat", 503), ("anthropic_messages", 529), ("gemini_generate", 503)],
    )
    async def test_an_overloaded_vendor_is_said_in_the_dialects_way(
        self, scene: Scene, dialect: str, status: int
    ) -> None:
        scene.vendor.script = answering(529, b'{"type":"error"}', "retry-after: 9")
        browser = await scene.serve(dialect)

        assert browser.status == status
        assert header(browser, "retry-after") == "9"
        assert_nothing_charged(scene)

    async def test_an_empty_wallet_is_told_before_the_vendor_is_asked(self, scene: Scene) -> None:
        scene.billing.empty = True
        browser = await scene.serve("openai_chat")

        assert (browser.status, error_of(browser)["code"]) == (429, "insufficient_quota")
        assert scene.vendor.asked == []
        assert_nothing_charged(scene)

    async def test_a_full_spool_takes_no_new_work(self, scene: Scene) -> None:
        scene.spool._state.disk_full(0, full=True)
        browser = await scene.serve("openai_chat")

        assert browser.status == 503
        assert scene.vendor.asked == []

    async def test_a_vendor_that_is_not_there_is_a_503(self, scene: Scene) -> None:
        scene.vendor.base_url = "http://127.0.0.1:1"
        browser = await scene.serve("openai_chat")

        assert browser.status == 503
        assert_nothing_charged(scene)

    async def test_a_vendor_that_never_answers_is_a_504(self, scene: Scene) -> None:
        scene.vendor.script = Peer.left
        scene.model_options = {"headers_timeout_s": 0.1}
        browser = await scene.serve("openai_chat")

        assert browser.status == 504
        assert_nothing_charged(scene)


class TestWholeAnswer:
    async def test_it_names_its_provider_and_is_charged(self, scene: Scene) -> None:
        scene.vendor.script = answering(200, CHAT_ANSWER, "content-type: application/json")
        browser = await scene.serve("openai_chat", WHOLE_CHAT)

        assert browser.body == CHAT_ANSWER.replace(b"{", b'{"provider":"openai",', 1)
        assert header(browser, "content-length") == str(len(browser.body))
        assert_charged(scene, Usage(input=10, output=4), UsageSource.FINAL)

    async def test_a_native_answer_is_byte_exact(self, scene: Scene) -> None:
        scene.vendor.script = answering(200, CHAT_ANSWER, "content-type: application/json")
        browser = await scene.serve("openai_chat", WHOLE_CHAT, "/v1/openai/chat/completions")

        assert browser.body == CHAT_ANSWER
        assert_charged(scene, Usage(input=10, output=4), UsageSource.FINAL)

    async def test_a_client_that_left_is_charged(self, scene: Scene) -> None:
        async def script(peer: Peer) -> None:
            scene.browser.leave()
            await peer.answer(200, CHAT_ANSWER, "content-type: application/json")

        scene.vendor.script = script
        await scene.serve("openai_chat", WHOLE_CHAT)

        assert_charged(scene, Usage(input=10, output=4), UsageSource.FINAL)

    async def test_connections_are_kept(self, scene: Scene) -> None:
        ports: set[object] = set()

        async def script(peer: Peer) -> None:
            ports.add(peer.reader)
            await peer.answer(200, CHAT_ANSWER, "content-type: application/json")

        scene.vendor.script = script
        for _ in range(5):
            scene.browser = Browser()
            await scene.serve("openai_chat", WHOLE_CHAT)

        assert len(ports) == 1

    async def test_what_the_vendor_got(self, scene: Scene) -> None:
        canary = b"canary"
        scene.headers = [
            (b"x-api-key", canary),
            (b"cookie", canary),
            (b"anthropic-version", b"2024-01-01"),
        ]
        scene.vendor.script = answering(200, b'{"type":"message"}')
        await scene.serve("anthropic_messages", b'{"model":"claude-a","max_tokens":9}')
        (asked,) = scene.vendor.asked

        assert asked.path == "/anthropic/v1/messages"
        assert asked.body == b'{"model":"claude-a","max_tokens":9}'
        assert ("x-api-key", KEY) in asked.headers
        assert [value for name, value in asked.headers if name == "anthropic-version"] == [
            "2024-01-01"
        ]
        assert "canary" not in repr(asked.headers)


class TestClientGone:
    async def test_the_rest_is_read_and_charged_as_reported(self, scene: Scene) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(opening("openai_chat"))
            await scene.browser.got_some.wait()
            scene.browser.leave()
            await asyncio.sleep(0.05)
            await peer.chunk(b"".join(frames("openai_chat")[2:]))
            await peer.end_stream()

        scene.vendor.script = script
        browser = await scene.serve("openai_chat")

        assert not browser.complete
        assert_charged(scene, USAGES["openai_chat"], UsageSource.FINAL, Outcome.CLIENT_GONE)

    async def test_a_vendor_that_goes_on_is_left_and_what_passed_is_charged(
        self, scene: Scene
    ) -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            for frame in frames("openai_chat")[:3]:
                await peer.chunk(frame)
            await scene.browser.got_some.wait()
            scene.browser.leave()
            await peer.left()
            left.set()

        scene.vendor.script = script
        began_s = asyncio.get_running_loop().time()
        await scene.serve("openai_chat")
        async with asyncio.timeout(1):
            await left.wait()

        assert 0.2 <= asyncio.get_running_loop().time() - began_s < 2
        (event,) = scene.events
        assert (event.outcome, event.source) == (Outcome.CLIENT_GONE, UsageSource.ESTIMATED)
        assert event.usage.input == len(scene.vendor.asked[0].body) // 4
        assert event.usage.output == 3
        assert scene.charged == charge_microtokens(event.usage, CARD)

    async def test_before_content_it_costs_what_the_vendor_reported(self, scene: Scene) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(frames("anthropic_messages")[0])
            await asyncio.sleep(0.05)
            scene.browser.leave()
            await peer.left()

        scene.vendor.script = script
        await scene.serve("anthropic_messages")

        assert_charged(
            scene,
            Usage(input=25, cache_read=2000, cache_write_5m=60, cache_write_1h=40),
            UsageSource.PARTIAL,
            Outcome.CLIENT_GONE,
        )

    async def test_before_content_it_costs_nothing_where_nothing_was_reported(
        self, scene: Scene
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            scene.browser.leave()
            await peer.left()

        scene.vendor.script = script
        await scene.serve("openai_chat")

        assert_nothing_charged(scene)

    async def test_a_client_that_takes_nothing_is_treated_as_gone(self, scene: Scene) -> None:
        left = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(opening("openai_chat"))
            await scene.browser.got_some.wait()
            scene.browser.stall()
            await peer.chunk(b"".join(frames("openai_chat")[2:4]))
            await peer.left()
            left.set()

        scene.vendor.script = script
        async with asyncio.timeout(3):
            await scene.serve("openai_chat")
            await left.wait()

        assert scene.events[0].outcome is Outcome.CLIENT_GONE
        assert scene.charged > 0


class TestDeadline:
    async def test_before_the_answer_it_is_a_504(self, scene: Scene) -> None:
        scene.left_s = exchange.ANSWER_S + 0.1
        scene.vendor.script = Peer.left
        browser = await scene.serve("openai_chat")

        assert (browser.status, browser.complete) == (504, True)
        assert "did not answer in time" in error_of(browser)["message"]
        assert_nothing_charged(scene)

    async def test_inside_a_stream_it_is_an_error_event(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(opening("openai_chat"))
            await peer.left()

        monkeypatch.setattr(exchange, "ANSWER_S", 0.0)
        scene.left_s = 0.1
        scene.vendor.script = script
        browser = await scene.serve("openai_chat")

        assert b"took too long" in browser.body
        assert browser.complete
        assert len(scene.events) == 1

    async def test_a_stalled_client_does_not_hold_up_the_settlement(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(opening("openai_chat"))
            await scene.browser.got_some.wait()
            scene.browser.stall()
            await peer.left()

        monkeypatch.setattr(exchange, "ANSWER_S", 0.0)
        scene.left_s = 0.15
        scene.vendor.script = script
        async with asyncio.timeout(3):
            await scene.serve("openai_chat")

        assert len(scene.events) == 1
        assert scene.charged > 0


class TestPumps:
    async def test_cancelling_the_handler_does_not_lose_the_settlement(self, scene: Scene) -> None:
        go_on = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.begin_stream()
            await peer.chunk(opening("openai_chat"))
            await go_on.wait()
            await peer.chunk(b"".join(frames("openai_chat")[2:]))
            await peer.end_stream()

        scene.vendor.script = script
        handler = asyncio.ensure_future(scene.serve("openai_chat"))
        await scene.browser.got_some.wait()
        handler.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handler

        assert scene.pumps.count == 1

        go_on.set()
        await settled(scene)

        assert_charged(scene, USAGES["openai_chat"], UsageSource.FINAL)

    async def test_draining_waits_for_what_runs(self, scene: Scene) -> None:
        async def script(peer: Peer) -> None:
            await asyncio.sleep(0.1)
            await peer.answer(200, CHAT_ANSWER)

        scene.vendor.script = script
        handler = asyncio.ensure_future(scene.serve("openai_chat", WHOLE_CHAT))
        await asyncio.sleep(0.02)
        await settled(scene)
        await handler

        assert len(scene.events) == 1

    async def test_draining_ends_with_its_time(self, scene: Scene) -> None:
        scene.vendor.script = Peer.left
        handler = asyncio.ensure_future(scene.serve("openai_chat"))
        await asyncio.sleep(0.05)
        await scene.pumps.drain(0.05)

        assert scene.pumps.count == 1

        scene.pools.close()
        await handler

    async def test_many_at_once_settle_each(self, scene: Scene) -> None:
        scene.vendor.script = streaming(sample("openai_chat/text"))
        async with asyncio.timeout(5):
            await asyncio.gather(*[scene.serve("openai_chat") for _ in range(20)])

        assert len(scene.events) == 20
        assert len({event.event_id for event in scene.events}) == 20
        assert scene.charged == 20 * charge_microtokens(USAGES["openai_chat"], CARD)
