"""A cut text goes on with another model's words: one answer for the client, a charge for each model."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.catalog import Chain
from aibridge_common.events.usage import Outcome
from aibridge_common.usage import Usage, charge_microtokens
from aibridge_router.canonical.content import Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Started,
    Stopped,
    TextDelta,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.exchange.continuation import (
    OVERLAP_CHARACTERS_MIN,
    Seam,
    added,
    without_repetition,
)

from .scene import CARD, Browser, Peer, Scene

pytestmark = pytest.mark.anyio
DELIVERED = "The quick brown fox jumps over "
REST = "the lazy dog."
CHAIN = Chain(model="claude-a", backups=["gpt-a", "gemini-a"])
PROMPT = b"""{"model":"claude-a","max_tokens":90,"stream":true,"messages":[{"role":"user","content":"Tell"}]}"""
PROMPTS = {
    "anthropic_messages": PROMPT,
    "openai_chat": PROMPT,
    "openai_responses": b'{"model":"claude-a","input":"Tell","stream":true,"max_output_tokens":90}',
}


def events_of(*texts: str) -> list[Event]:
    return [
        Started(id="x", model="m"),
        BlockStarted(index=0, block=Text(text="")),
        *(TextDelta(index=0, text=text) for text in texts),
        BlockStopped(index=0),
        Stopped(stop=Stop(reason="end")),
        Ended(),
    ]


def sewn(events: list[Event], delivered: str = DELIVERED, index: int = 3) -> list[Event]:
    seam = Seam(index, delivered)
    return [told for event in events for told in seam.feed(event)]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


class TestSeam:
    def test_the_second_text_goes_on_in_the_block_that_stands_open(self) -> None:
        told = sewn(events_of("the lazy ", "dog."))

        assert text_of(told) == REST
        assert {e.index for e in told if isinstance(e, TextDelta | BlockStopped)} == {3}
        assert not any(isinstance(event, Started | BlockStarted) for event in told)

    @pytest.mark.parametrize(
        "again",
        ["", DELIVERED, "fox jumps over ", "brown fox jumps over "],
        ids=["nothing", "all of it", "its end", "more of its end"],
    )
    @given(cut=st.integers(0, 40))
    def test_what_is_repeated_is_left_out_however_it_is_cut(self, again: str, cut: int) -> None:
        whole = again + REST
        told = sewn(events_of(whole[:cut], whole[cut:]))

        assert text_of(told) == REST

    def test_a_long_answer_that_begins_anew_is_recognised(self) -> None:
        delivered = "".join(f"sentence {number}. " for number in range(200))
        pieces = [delivered[at : at + 50] for at in range(0, len(delivered), 50)]
        told = sewn(events_of(*pieces, REST), delivered)

        assert text_of(told) == REST

    def test_blanks_at_the_seam_are_not_doubled(self) -> None:
        assert without_repetition("one two ", " three") == "three"
        assert without_repetition("one two", " three") == " three"

    @given(delivered=st.text(max_size=60), more=st.text(max_size=60))
    def test_only_what_was_delivered_is_ever_left_out(self, delivered: str, more: str) -> None:
        new = without_repetition(delivered, more)
        left_out = more[: len(more) - len(new)]

        assert more.endswith(new)
        assert left_out == delivered or delivered.endswith(left_out)

    def test_a_few_letters_alike_are_chance(self) -> None:
        alike = "ab" * (OVERLAP_CHARACTERS_MIN // 2 - 1)

        assert without_repetition("x" + alike, alike + "y") == alike + "y"

    def test_thinking_of_the_second_model_stays_hidden(self) -> None:
        thought: list[Event] = [
            BlockStarted(index=0, block=Thinking()),
            TextDelta(index=0, text="Hm"),
            BlockStopped(index=0),
            BlockStarted(index=1, block=Text(text="")),
            TextDelta(index=1, text=REST),
            BlockStopped(index=1),
            Stopped(stop=Stop(reason="end")),
        ]
        told = sewn(thought)

        assert text_of(told) == REST

    def test_a_call_after_the_text_is_a_block_of_its_own(self) -> None:
        call: list[Event] = [
            BlockStarted(index=0, block=Text(text="")),
            TextDelta(index=0, text=REST),
            BlockStopped(index=0),
            BlockStarted(index=1, block=ToolCall(id="c", name="n", arguments="")),
            ArgumentsDelta(index=1, text="{}"),
            BlockStopped(index=1),
        ]
        told = sewn(call)

        assert [e.index for e in told if isinstance(e, BlockStarted | ArgumentsDelta)] == [4, 4]

    def test_a_call_instead_of_text_ends_the_open_text_first(self) -> None:
        call: list[Event] = [
            BlockStarted(index=0, block=ToolCall(id="c", name="n", arguments="")),
            BlockStopped(index=0),
        ]
        first, second, third = sewn(call)

        assert first == BlockStopped(index=3)
        assert isinstance(second, BlockStarted)
        assert (second.index, third) == (4, BlockStopped(index=4))


def claude_says(text: str) -> Iterator[bytes]:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "claude-a", "content": []}
    usage = {"input_tokens": 11, "output_tokens": 1}
    yield frame("message_start", message=head | {"usage": usage})
    yield frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield frame("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def frame(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | more)}\n\n".encode()


def gpt_says(text: str) -> Iterator[bytes]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-a"}
    for delta, finish in [({"role": "assistant", "content": text}, None), ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        yield b"data: " + json.dumps(base | {"choices": [choice]}).encode() + b"\n\n"
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    yield b"data: " + json.dumps(base | {"choices": [], "usage": usage}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def gpt_responds(text: str) -> Iterator[bytes]:
    base = {"id": "r", "object": "response", "created_at": 1, "model": "gpt-a", "output": []}
    yield frame("response.created", response=base | {"status": "in_progress"})
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "content": []}
    yield frame("response.output_item.added", output_index=0, item=item)
    yield frame("response.content_part.added", output_index=0, content_index=0, part=part)
    yield frame("response.output_text.delta", output_index=0, content_index=0, delta=text)
    whole = item | {"content": [part | {"text": text}]}
    yield frame("response.output_item.done", output_index=0, item=whole)
    usage = {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}
    done = base | {"status": "completed", "output": [whole], "usage": usage}
    yield frame("response.completed", response=done)


def cut_then(scene: Scene, rest: str, *, first: list[bytes] | None = None) -> None:
    """Claude is cut inside its text, GPT goes on with `rest`; Gemini fails."""

    async def script(peer: Peer) -> None:
        path = scene.vendor.asked[-1].path
        if path.startswith("/google"):
            return await peer.answer(503, b"{}")
        await peer.begin_stream()
        chats = path.endswith("/chat/completions")
        if path.startswith("/anthropic"):
            begun = list(gpt_says(DELIVERED))[:1] if chats else first or claude_says(DELIVERED)
            await peer.chunk(b"".join(begun))
            return peer.cut()
        await peer.chunk(b"".join(gpt_says(rest) if chats else gpt_responds(rest)))
        return await peer.end_stream()

    scene.chains = [CHAIN]
    scene.vendor.script = script


def documents(browser: Browser) -> list[dict[str, Any]]:
    return [
        json.loads(line.removeprefix("data: "))
        for line in browser.body.decode().splitlines()
        if line.startswith("data: {")
    ]


async def continued(scene: Scene, dialect: str, body: bytes | None = None) -> Browser:
    exchange = scene.exchange(dialect, body or PROMPTS[dialect], continuable=True)
    await scene.pumps.run(exchange)
    return scene.browser


class TestContinued:
    async def test_a_messages_client_sees_one_answer(self, scene: Scene) -> None:
        cut_then(scene, REST)
        browser = await continued(scene, "anthropic_messages")
        told = documents(browser)
        text = "".join(d["delta"].get("text", "") for d in told if "delta" in d)

        assert text == DELIVERED + REST
        assert [d["type"] for d in told if d["type"] in {"message_start", "message_stop"}] == [
            "message_start",
            "message_stop",
        ]
        assert [d["type"] for d in told].count("content_block_start") == 1

    async def test_a_chat_client_sees_one_answer(self, scene: Scene) -> None:
        cut_then(scene, REST)
        browser = await continued(scene, "openai_chat")
        deltas = [d["choices"][0]["delta"] for d in documents(browser) if d["choices"]]

        assert "".join(delta.get("content") or "" for delta in deltas) == DELIVERED + REST
        assert browser.body.endswith(b"data: [DONE]\n\n")

    async def test_a_responses_client_sees_one_answer(self, scene: Scene) -> None:
        cut_then(scene, REST)
        browser = await continued(scene, "openai_responses")
        told = documents(browser)
        message = told[-1]["response"]["output"][0]

        assert message["content"][0]["text"] == DELIVERED + REST
        assert told[-1]["type"] == "response.completed"
        assert [d["sequence_number"] for d in told] == list(range(len(told)))

    @pytest.mark.parametrize("dialect", list(PROMPTS))
    async def test_the_last_document_names_both_legs(self, scene: Scene, dialect: str) -> None:
        cut_then(scene, REST)
        legs = documents(await continued(scene, dialect))[-1]["aibridge"]["legs"]

        assert [(leg["model"], leg["provider"]) for leg in legs] == [
            ("claude-a", "anthropic"),
            ("gpt-a", "openai"),
        ]
        assert legs[1]["output_tokens"] == 5

    async def test_each_leg_is_charged_at_its_own_model_once(self, scene: Scene) -> None:
        cut_then(scene, REST)
        await continued(scene, "anthropic_messages")
        first, second = scene.events

        assert (first.billed_model, first.outcome) == ("claude-a", Outcome.UPSTREAM_CUT)
        assert (second.billed_model, second.outcome) == ("gpt-a", Outcome.COMPLETED)
        assert second.usage == Usage(input=20, output=5)
        assert first.event_id != second.event_id
        assert (first.request_id, second.request_id) == (None, first.event_id)
        assert scene.charged == sum(charge_microtokens(e.usage, CARD) for e in scene.events)

    async def test_the_client_is_shown_the_sum(self, scene: Scene) -> None:
        cut_then(scene, REST)
        told = documents(await continued(scene, "anthropic_messages"))
        first, second = scene.events
        [shown] = [d["usage"] for d in told if d["type"] == "message_delta"]

        assert shown["output_tokens"] == added(first.usage, second.usage).output

    async def test_the_backup_is_told_what_was_delivered_and_to_go_on(self, scene: Scene) -> None:
        cut_then(scene, REST)
        await continued(scene, "anthropic_messages")
        sent = json.loads(scene.vendor.asked[1].body)

        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
        assert sent["messages"][1]["content"] == DELIVERED.rstrip()
        assert sent["max_tokens"] < 90

    async def test_without_the_choice_it_ends_with_the_error(self, scene: Scene) -> None:
        cut_then(scene, REST)
        browser = await scene.serve("anthropic_messages", PROMPT)

        assert documents(browser)[-1]["type"] == "error"
        assert len(scene.vendor.asked) == 1

    async def test_a_call_that_was_begun_is_never_continued(self, scene: Scene) -> None:
        call = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
        begun = [
            *claude_says(DELIVERED),
            frame("content_block_stop", index=0),
            frame("content_block_start", index=1, content_block=call),
            frame(
                "content_block_delta",
                index=1,
                delta={"type": "input_json_delta", "partial_json": '{"a'},
            ),
        ]
        cut_then(scene, REST, first=begun)
        browser = await continued(scene, "anthropic_messages")

        assert documents(browser)[-1]["type"] == "error"
        assert len(scene.vendor.asked) == 1

    async def test_where_no_backup_can_it_ends_with_the_error_and_one_charge(
        self, scene: Scene
    ) -> None:
        cut_then(scene, REST)
        scene.chains = [Chain(model="claude-a", backups=["gemini-a"])]
        browser = await continued(scene, "anthropic_messages")
        (event,) = scene.events

        assert documents(browser)[-1]["type"] == "error"
        assert event.billed_model == "claude-a"
        assert scene.charged == charge_microtokens(event.usage, CARD)

    async def test_a_vendors_error_event_after_content_is_continued_too(self, scene: Scene) -> None:
        error = frame("error", error={"type": "overloaded_error", "message": "Overloaded"})
        cut_then(scene, REST, first=[*claude_says(DELIVERED), error])
        told = documents(await continued(scene, "anthropic_messages"))

        assert "error" not in {d["type"] for d in told}
        assert told[-1]["type"] == "message_stop"

    async def test_the_first_leg_is_let_go_when_the_second_begins(self, scene: Scene) -> None:
        """Its way out counts who runs through it; one that is never let go could never be drained."""
        cut_then(scene, REST)
        await continued(scene, "anthropic_messages")
        (way,) = scene.egress.status(scene.services.clock.monotonic_s())

        assert way.running == 0

    async def test_a_backup_that_is_silent_too_ends_the_very_stream_the_client_hears(
        self, scene: Scene
    ) -> None:
        cut_then(scene, REST)
        cut = scene.vendor.script

        async def script(peer: Peer) -> None:
            await (Peer.left(peer) if "/openai" in scene.vendor.asked[-1].path else cut(peer))

        scene.vendor.script = script
        scene.model_options = {"first_content_timeout_s": 0.2}
        told = documents(await continued(scene, "openai_responses"))
        kinds = [document["type"] for document in told]

        assert kinds[-1] == "response.failed"
        assert (kinds.count("response.created"), kinds.count("response.failed")) == (1, 1)
        assert [document["sequence_number"] for document in told] == list(range(len(told)))
        assert len(scene.events) == 1

    async def test_a_balance_that_ends_with_the_first_leg_ends_the_stream_as_the_cut_would(
        self, scene: Scene
    ) -> None:
        cut_then(scene, REST)
        scene.billing.most_microtokens = 10**9
        cut = scene.vendor.script

        async def script(peer: Peer) -> None:
            scene.billing.empty = True
            for lease in scene.wallets._book.all():
                lease.free_microtokens = 0
            await cut(peer)

        scene.vendor.script = script
        told = documents(await continued(scene, "anthropic_messages"))

        assert told[-1]["error"]["type"] == "api_error"
        assert len(scene.vendor.asked) == 1
