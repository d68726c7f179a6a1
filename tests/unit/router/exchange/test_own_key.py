"""A customer's own key is tried first, held for by nobody, and counted on its own."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from aibridge_common.contracts.router import OnFailure
from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.settings import Secret
from aibridge_common.usage import Usage, charge_microtokens
from aibridge_router.catalog.registry import OwnKey
from aibridge_router.spool.recovery import read_left
from aibridge_router.spool.segment import SegmentName

from .scene import ACCOUNT, CARD, KEY, Browser, Peer, Scene, answering, sample, streaming
from .test_exchange import USAGES, error_of, frames, header

pytestmark = pytest.mark.anyio

MINE, OTHER = "sk-ant-of-the-customer-1", "sk-ant-of-the-customer-2"
MESSAGES = "anthropic_messages"
JSON = "content-type: application/json"
REFUSED = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
BUSY = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
WHOLE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-a","content":'
    b'[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":4}}'
)
USED = Usage(input=10, output=4)


def own(secret: str = MINE, on_failure: OnFailure = "go_on", priority: int = 1) -> OwnKey:
    return OwnKey(
        id=UUID(int=priority),
        account_id=ACCOUNT,
        provider="anthropic",
        secret=Secret(secret),
        priority=priority,
        on_failure=on_failure,
    )


def sent_keys(scene: Scene) -> list[str]:
    return [dict(asked.headers).get("x-api-key", "") for asked in scene.vendor.asked]


def refusing(*secrets: str, status: int = 401, body: bytes = REFUSED) -> Any:
    """These keys are refused; every other is served."""

    def of(scene: Scene) -> Any:
        async def answer(peer: Peer) -> None:
            if sent_keys(scene)[-1] in secrets:
                await answering(status, body, JSON)(peer)
            elif b'"stream":true' in scene.vendor.asked[-1].body:
                await streaming(sample("anthropic_messages/text"))(peer)
            else:
                await answering(200, WHOLE, JSON)(peer)

        return answer

    return of


async def serve(scene: Scene, keys: Sequence[OwnKey], *, stream: bool = True) -> Browser:
    body = {"model": "claude-a", "stream": stream, "max_tokens": 90, "messages": []}
    await scene.pumps.run(
        scene.exchange(MESSAGES, json.dumps(body, separators=(",", ":")).encode(), own_keys=keys)
    )
    return scene.browser


both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


class TestServed:
    @both
    async def test_it_costs_no_tokens_and_needs_none(self, scene: Scene, stream: bool) -> None:
        scene.billing.empty = True
        scene.vendor.script = refusing()(scene)
        browser = await serve(scene, [own()], stream=stream)
        (event,) = scene.events

        assert browser.status == 200
        assert sent_keys(scene) == [MINE]
        assert header(browser, "x-aibridge-key") == "own"
        assert header(browser, "x-aibridge-attempts") == "1"
        assert (event.own_key, event.lease_id) == (True, None)
        assert event.usage == (USAGES[MESSAGES] if stream else USED)
        assert scene.charged == 0

    async def test_the_lowest_priority_is_tried_first(self, scene: Scene) -> None:
        scene.vendor.script = refusing(MINE)(scene)
        await serve(scene, [own(), own(OTHER, priority=2)])

        assert sent_keys(scene) == [MINE, OTHER]
        assert [each.own_key for each in scene.events[0].attempts] == [True, True]

    async def test_it_is_for_models_of_its_provider(self, scene: Scene) -> None:
        scene.vendor.script = streaming(sample("openai_chat/text"))
        await scene.pumps.run(scene.exchange("openai_chat", own_keys=[own()]))

        assert scene.events[0].own_key is False
        assert scene.charged > 0

    async def test_also_where_the_operator_has_no_key(self, scene: Scene) -> None:
        scene.keys["anthropic"] = []
        scene.vendor.script = refusing()(scene)
        browser = await serve(scene, [own()])

        assert browser.status == 200

    async def test_a_stream_that_is_cut_is_counted_as_far_as_it_came(self, scene: Scene) -> None:
        scene.vendor.script = streaming(*frames(MESSAGES)[:6], end=False)
        await serve(scene, [own()])
        (event,) = scene.events

        assert (event.own_key, event.outcome) == (True, Outcome.UPSTREAM_CUT)
        assert event.source is UsageSource.ESTIMATED
        assert scene.charged == 0

    async def test_a_killed_router_counts_it_and_charges_nothing(self, scene: Scene) -> None:
        left: list[bool] = []
        send = scene.browser.send

        async def watched(message: Any) -> None:
            if b"message_stop" in message.get("body", b""):
                scene.spool.flush()
                paths = sorted(scene.spool._folder.glob("*.spool"))
                found = [(SegmentName.parse(path.name), path.read_bytes()) for path in paths]
                unended = read_left((name, data) for name, data in found if name).unended
                left.extend(each.event.own_key for each in unended if each.event is not None)
            await send(message)

        scene.browser.send = watched
        scene.vendor.script = refusing()(scene)
        await serve(scene, [own()])

        assert left == [True]

    async def test_what_goes_wrong_with_it_says_nothing_of_the_operators_keys(
        self, scene: Scene
    ) -> None:
        scene.vendor.script = refusing(MINE)(scene)
        for _ in range(30):
            scene.browser = Browser()
            await serve(scene, [own()])
        scene.browser = Browser()
        await serve(scene, [])

        assert sent_keys(scene)[-1] == KEY
        assert scene.browser.status == 200


class TestFailed:
    @both
    @pytest.mark.parametrize(
        ("status", "body"),
        [(401, REFUSED), (429, BUSY), (529, BUSY), (500, b"oops"), (200, b"<html>")],
    )
    async def test_the_request_goes_on_with_tokens(
        self, scene: Scene, stream: bool, status: int, body: bytes
    ) -> None:
        scene.vendor.script = refusing(MINE, status=status, body=body)(scene)
        browser = await serve(scene, [own()], stream=stream)
        (event,) = scene.events

        assert browser.status == 200
        assert sent_keys(scene) == [MINE, KEY]
        assert header(browser, "x-aibridge-key") == "platform"
        assert header(browser, "x-aibridge-attempts") == "2"
        assert event.own_key is False
        assert [each.own_key for each in event.attempts] == [True, False]
        assert scene.charged == charge_microtokens(event.usage, CARD) > 0

    @both
    async def test_or_stops_where_its_owner_chose_that(self, scene: Scene, stream: bool) -> None:
        scene.vendor.script = refusing(MINE)(scene)
        browser = await serve(scene, [own(on_failure="stop")], stream=stream)

        assert browser.status == 502
        assert "your own key" in error_of(browser)["message"]
        assert sent_keys(scene) == [MINE]
        assert scene.events == []
        assert scene.charged == 0

    async def test_words_about_the_request_are_passed_on_and_nobody_else_is_asked(
        self, scene: Scene
    ) -> None:
        words = (
            b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: no"}}'
        )
        scene.vendor.script = refusing(MINE, status=400, body=words)(scene)
        browser = await serve(scene, [own()])

        assert (browser.status, browser.body) == (400, words)
        assert sent_keys(scene) == [MINE]

    async def test_the_key_is_in_no_answer(self, scene: Scene) -> None:
        words = f'{{"type":"error","error":{{"type":"invalid_request_error","message":"{MINE}"}}}}'
        scene.vendor.script = refusing(MINE, status=400, body=words.encode())(scene)
        browser = await serve(scene, [own()])

        assert MINE.encode() not in browser.body

    async def test_without_tokens_the_customer_is_told_that(self, scene: Scene) -> None:
        scene.billing.empty = True
        scene.vendor.script = refusing(MINE)(scene)
        browser = await serve(scene, [own()])

        assert browser.status == 402
        assert scene.events == []

    async def test_a_full_spool_stops_tokens_and_not_own_keys(self, scene: Scene) -> None:
        scene.spool._state.disk_full(0, full=True)
        scene.vendor.script = refusing(OTHER)(scene)
        assert (await serve(scene, [own()])).status == 200
        scene.browser = Browser()
        assert (await serve(scene, [own(OTHER)])).status == 529
