"""A stream is held a slice at a time; an answer that comes at once is no longer than the balance covers."""

import json
from typing import Any

import pytest

from aibridge_common.dialect import Dialect
from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.usage import Usage, charge_microtokens
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Text, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Started,
    Stopped,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.credit.estimate import OUTPUT_TOKENS_MIN, SLICE_TOKENS
from aibridge_router.dialects.registry import CODECS

from .scene import ACCOUNT, CARD, Peer, Scene, answering, streaming
from .test_exchange import assert_nothing_charged, error_of, header

pytestmark = pytest.mark.anyio

PIECE = "four score and seven "
PIECES = 3000
LIMIT = 128_000
ONE = 5_000_000
"""Microtokens of a token of output."""

ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {"max_tokens": LIMIT, "stream_options": {"include_usage": True}, "messages": []},
    "openai_responses": {"max_output_tokens": LIMIT, "input": "hi"},
    "anthropic_messages": {
        "max_tokens": LIMIT,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "gemini_generate": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": LIMIT},
    },
}
PASSED = [
    ("openai_chat", "gpt-a"),
    ("openai_responses", "gpt-a"),
    ("anthropic_messages", "claude-a"),
    ("gemini_generate", "gemini-a"),
]
CONVERTED = [
    ("openai_responses", "claude-a"),
    ("anthropic_messages", "gpt-a"),
    ("gemini_generate", "claude-a"),
]
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}
CONTEXT = AnswerContext(request_id="req_1", model="m", provider="p", created_s=1)
REPORTED = Usage(input=11, output=4 * PIECES)


def body(dialect: str, model: str, *, stream: bool) -> bytes:
    asked = dict(ASKED[dialect])
    if dialect != "gemini_generate":
        asked |= {"model": model, "stream": stream}
    if not stream:
        asked.pop("stream_options", None)
    return json.dumps(asked).encode()


def path(dialect: str, model: str, *, stream: bool) -> str:
    verb = "streamGenerateContent" if stream else "generateContent"
    return PATHS.get(dialect, f"/v1beta/models/{model}:{verb}")


def dialect_of(asked_path: str) -> Dialect:
    if asked_path.endswith("/messages"):
        return Dialect.ANTHROPIC_MESSAGES
    if asked_path.endswith("/responses"):
        return Dialect.OPENAI_RESPONSES
    if asked_path.endswith("/chat/completions"):
        return Dialect.OPENAI_CHAT
    return Dialect.GEMINI_GENERATE


def text() -> list[Event]:
    return [
        Started(id="1", model="m"),
        BlockStarted(index=0, block=Text(text="")),
        *(TextDelta(index=0, text=PIECE) for _ in range(PIECES)),
        BlockStopped(index=0),
    ]


def call() -> list[Event]:
    return [
        Started(id="1", model="m"),
        BlockStarted(index=0, block=Text(text="I call.")),
        BlockStopped(index=0),
        BlockStarted(index=1, block=ToolCall(id="c1", name="write", arguments="")),
        ArgumentsDelta(index=1, text='{"text":"'),
        *(ArgumentsDelta(index=1, text=PIECE) for _ in range(PIECES)),
        ArgumentsDelta(index=1, text='"}'),
        BlockStopped(index=1),
    ]


def said(dialect: Dialect, events: list[Event]) -> list[bytes]:
    encoder = CODECS[dialect].encoder(CONTEXT)
    end: list[Event] = [
        UsageSeen(usage=REPORTED, final=True),
        Stopped(stop=Stop(reason="end")),
        Ended(),
    ]
    return [data for event in [*events, *end] if (data := encoder.feed(event))]


def speaking(scene: Scene, events: list[Event]) -> Any:
    """The vendor says this in whatever dialect it is asked, each event in a read of its own."""

    async def script(peer: Peer) -> None:
        dialect = dialect_of(scene.vendor.asked[-1].path.split("?")[0])
        await streaming(*said(dialect, events))(peer)

    return script


def told(dialect: str, answer: bytes) -> list[Event]:
    return CODECS[Dialect(dialect)].decoder("p").feed(answer)


def given(events: list[Event]) -> int:
    """Pieces of text or arguments that a client got."""
    return sum(
        PIECE in event.text for event in events if isinstance(event, TextDelta | ArgumentsDelta)
    )


@pytest.fixture
def long(scene: Scene) -> Scene:
    """Answers are long, and so may they be."""
    scene.model_options = {"max_output_tokens": LIMIT}
    scene.vendor.script = speaking(scene, text())
    return scene


async def ask(scene: Scene, dialect: str, model: str, *, stream: bool = True) -> Any:
    return await scene.serve(
        dialect, body(dialect, model, stream=stream), path(dialect, model, stream=stream)
    )


class TestStream:
    @pytest.mark.parametrize(("dialect", "model"), PASSED + CONVERTED)
    async def test_a_small_balance_begins_a_request_that_may_be_long(
        self, long: Scene, dialect: str, model: str
    ) -> None:
        """Claude Code asks for 128 000 tokens each time."""
        long.billing.most_microtokens = 25_000 * ONE
        browser = await ask(long, dialect, model)
        (event,) = long.events

        assert browser.status == 200
        assert given(told(dialect, browser.body)) == PIECES
        assert (event.outcome, event.source) == (Outcome.COMPLETED, UsageSource.FINAL)
        assert event.usage == REPORTED

    async def test_it_holds_no_more_than_two_slices_at_a_time(self, long: Scene) -> None:
        most = 0
        write = long.browser.send

        async def watched(message: Any) -> None:
            nonlocal most
            held = sum(one.in_flight_microtokens for one in long.wallets._book.all())
            passed = long.browser.body.count(PIECE.encode()) * len(PIECE) // 4
            most = max(most, held - passed * 4 // 3 * ONE)
            await write(message)

        long.browser.send = watched
        await ask(long, "openai_chat", "gpt-a")

        assert SLICE_TOKENS * ONE // 2 < most < 2 * SLICE_TOKENS * ONE

    @pytest.mark.parametrize(
        ("dialect", "model", "what"),
        [
            (*which, what)
            for which in PASSED + CONVERTED
            for what in (text, call)
            if not (which == ("gemini_generate", "gemini-a") and what is call)  # it calls at once
        ],
    )
    async def test_at_the_end_of_the_balance_it_ends_as_at_its_limit(
        self, long: Scene, dialect: str, model: str, what: Any
    ) -> None:
        long.vendor.script = speaking(long, what())
        long.billing.most_microtokens = 5000 * ONE
        browser = await ask(long, dialect, model)
        events = told(dialect, browser.body)
        (event,) = long.events
        (stopped,) = [each for each in events if isinstance(each, Stopped)]
        usage = [each.usage for each in events if isinstance(each, UsageSeen)][-1]

        assert (browser.status, browser.complete) == (200, True)
        assert stopped.stop.reason == "max_tokens"
        assert isinstance(events[-1], Ended)
        assert event.outcome is Outcome.HOLD_SPENT
        assert usage == event.usage
        if not (dialect == "gemini_generate" and what is call):  # a call is told when it is whole
            assert 0 < given(events) < PIECES
        assert 2500 * ONE < charge_microtokens(event.usage, CARD) <= 5000 * ONE
        assert long.charged == charge_microtokens(event.usage, CARD)

    @pytest.mark.parametrize(("dialect", "model"), PASSED + CONVERTED)
    async def test_what_stands_open_is_closed(self, long: Scene, dialect: str, model: str) -> None:
        long.billing.most_microtokens = 5000 * ONE
        browser = await ask(long, dialect, model)
        events = told(dialect, browser.body)
        opened = [each.index for each in events if isinstance(each, BlockStarted)]
        closed = [each.index for each in events if isinstance(each, BlockStopped)]

        assert opened == closed == [0]

    async def test_nothing_more_is_read_of_it(self, long: Scene) -> None:
        left: list[bool] = []

        async def script(peer: Peer) -> None:
            await streaming(*said(Dialect.OPENAI_CHAT, text())[:-4], end=True)(peer)
            await peer.left()
            left.append(True)

        long.vendor.script = script
        long.billing.most_microtokens = 5000 * ONE
        await ask(long, "openai_chat", "gpt-a")
        await long.vendor.close()

        assert long.events[0].outcome is Outcome.HOLD_SPENT

    async def test_a_client_that_did_not_ask_for_usage_gets_none(self, long: Scene) -> None:
        long.billing.most_microtokens = 5000 * ONE
        asked = json.loads(body("openai_chat", "gpt-a", stream=True))
        del asked["stream_options"]
        browser = await long.serve("openai_chat", json.dumps(asked).encode())

        assert browser.body.endswith(b"data: [DONE]\n\n")
        assert b'"prompt_tokens"' not in browser.body

    async def test_a_balance_that_does_not_cover_a_word_is_refused(self, long: Scene) -> None:
        long.billing.most_microtokens = (OUTPUT_TOKENS_MIN - 1) * ONE
        browser = await ask(long, "openai_chat", "gpt-a")

        assert (browser.status, error_of(browser)["code"]) == (429, "insufficient_quota")
        assert long.vendor.asked == []
        assert_nothing_charged(long)

    async def test_billing_that_is_away_ends_it_with_an_error(self, long: Scene) -> None:
        """That is not the customer's doing, and is not told as if it were."""

        async def script(peer: Peer) -> None:
            long.wallets._book.take_back(ACCOUNT)
            long.billing.away = True
            await speaking(long, text())(peer)

        long.vendor.script = script
        browser = await ask(long, "openai_chat", "gpt-a")
        (event,) = long.events

        assert b'"error"' in browser.body
        assert b'"finish_reason":"length"' not in browser.body
        assert event.outcome is Outcome.HOLD_SPENT
        assert 0 < event.usage.output <= SLICE_TOKENS

    async def test_what_a_vendor_reports_in_passing_counts(self, long: Scene) -> None:
        """Gemini says with each chunk how much it has thought, of which nothing is seen."""
        thinks = json.dumps(
            {
                "candidates": [{"content": {"parts": [{"text": "x"}]}, "index": 0}],
                "usageMetadata": {
                    "promptTokenCount": 10,
                    "candidatesTokenCount": 1,
                    "thoughtsTokenCount": 4999,
                },
            }
        )
        frame = f"data: {thinks}\r\n\r\n".encode()
        long.vendor.script = streaming(*[frame] * 40)
        long.billing.most_microtokens = 3000 * ONE
        await ask(long, "gemini_generate", "gemini-a")

        assert long.events[0].outcome is Outcome.HOLD_SPENT


WHOLE = {
    Dialect.OPENAI_CHAT: b'{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"length",'
    b'"message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":10,"completion_tokens":4}}',
    Dialect.ANTHROPIC_MESSAGES: b'{"id":"msg_1","type":"message","role":"assistant","model":"m",'
    b'"content":[{"type":"text","text":"hi"}],"stop_reason":"max_tokens",'
    b'"usage":{"input_tokens":10,"output_tokens":4}}',
    Dialect.OPENAI_RESPONSES: b'{"id":"resp_1","object":"response","status":"completed","output":[],'
    b'"usage":{"input_tokens":10,"output_tokens":4}}',
    Dialect.GEMINI_GENERATE: b'{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],'
    b'"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4}}',
}


def limit_in(sent: dict[str, Any]) -> int:
    config = sent.get("generationConfig", sent)
    names = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens")
    (limit,) = [config[name] for name in names if name in config]
    return int(limit)


class TestWholeAnswer:
    @pytest.fixture(autouse=True)
    def whole(self, long: Scene) -> None:
        async def script(peer: Peer) -> None:
            asked_path = long.vendor.asked[-1].path.split("?")[0]
            answer = WHOLE[dialect_of(asked_path)]
            await answering(200, answer, "content-type: application/json")(peer)

        long.vendor.script = script

    @pytest.mark.parametrize("names_limit", [True, False])
    @pytest.mark.parametrize(("dialect", "model"), PASSED + CONVERTED)
    async def test_its_limit_is_what_the_balance_covers(
        self, long: Scene, dialect: str, model: str, names_limit: bool
    ) -> None:
        long.billing.most_microtokens = 5000 * ONE
        sent = json.loads(body(dialect, model, stream=False))
        if not names_limit:
            for name in ("max_tokens", "max_output_tokens", "generationConfig"):
                sent.pop(name, None)
            if dialect == "anthropic_messages":
                sent["max_tokens"] = LIMIT  # its protocol wants one
        browser = await long.serve(
            dialect, json.dumps(sent).encode(), path(dialect, model, stream=False)
        )
        limit = limit_in(json.loads(long.vendor.asked[-1].body))

        assert browser.status == 200
        assert 4500 < limit < 5000
        assert header(browser, "x-aibridge-output-limit") == str(limit)
        assert long.charged == charge_microtokens(Usage(input=10, output=4), CARD)

    async def test_what_the_balance_covers_is_sent_as_it_came(self, long: Scene) -> None:
        browser = await ask(long, "openai_chat", "gpt-a", stream=False)

        assert long.vendor.asked[-1].body == body("openai_chat", "gpt-a", stream=False)
        assert header(browser, "x-aibridge-output-limit") is None

    async def test_a_lower_limit_of_its_own_stays(self, long: Scene) -> None:
        long.billing.most_microtokens = 5000 * ONE
        await long.serve(
            "openai_chat", b'{"model":"gpt-a","max_completion_tokens":7,"messages":[]}'
        )

        assert long.vendor.asked[-1].body.endswith(b'"max_completion_tokens":7,"messages":[]}')

    async def test_several_answers_share_it(self, long: Scene) -> None:
        long.billing.most_microtokens = 5000 * ONE
        await long.serve("openai_chat", b'{"model":"gpt-a","n":4,"messages":[]}')

        assert 1000 < limit_in(json.loads(long.vendor.asked[-1].body)) < 1250

    async def test_thinking_that_it_does_not_cover_is_refused_in_our_words(
        self, long: Scene
    ) -> None:
        long.billing.most_microtokens = 5000 * ONE
        sent = json.loads(body("anthropic_messages", "claude-a", stream=False))
        sent["thinking"] = {"type": "enabled", "budget_tokens": 8000}
        browser = await long.serve("anthropic_messages", json.dumps(sent).encode())

        assert browser.status == 402
        assert "thinking.budget_tokens" in error_of(browser)["message"]
        assert long.vendor.asked == []
        assert_nothing_charged(long)
