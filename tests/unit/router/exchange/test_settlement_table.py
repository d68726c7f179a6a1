"""The table of docs/reference/settlement.md, row by row: each way to end, in each dialect, streamed and not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct

from aibridge_common.dialect import Dialect
from aibridge_common.events.usage import Outcome, UsageRecorded, UsageSource
from aibridge_common.usage import OUT_OF_RANGE, Usage, charge_microtokens
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.events import (
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
from aibridge_router.dialects.registry import CODECS
from aibridge_router.exchange import exchange
from aibridge_router.sse import payloads

from .scene import CARD, Peer, Scene, answering
from .test_exchange import usage_left
from .test_slices import CONTEXT, CONVERTED, PASSED, WHOLE, body, dialect_of, path

pytestmark = pytest.mark.anyio

PIECES = ["One piece of text. ", "And a second one, longer. ", "Third. ", "The last of them."]
REPORTED = Usage(input=11, output=29)
TOO_MUCH = Usage(input=100_001, output=29)
PASSED_BYTES = sum(map(len, PIECES[:3]))

Script = Callable[[Scene, Peer, Dialect], Awaitable[None]]


class Row(Struct, frozen=True):
    """A way to end, and the usage source and outcome that it is recorded with; none where nothing is charged."""

    name: str
    script: Script
    source: UsageSource | None = None
    outcome: Outcome | None = None
    exact: Usage | None = None
    """What is charged; where it is not said it is an estimate of what passed."""
    left_s: float | None = None
    doubt: str | None = None


def frames(dialect: Dialect, usage: Usage = REPORTED, *, reports: bool = True) -> list[bytes]:
    """What a vendor streams, by events of the hub: head, pieces, end."""
    encoder = CODECS[dialect].encoder(CONTEXT)
    events: list[Event] = [
        Started(id="1", model="m"),
        BlockStarted(index=0, block=Text(text="")),
        *(TextDelta(index=0, text=piece) for piece in PIECES),
        BlockStopped(index=0),
        UsageSeen(usage=usage, final=True),
        Stopped(stop=Stop(reason="end")),
        Ended(),
    ]
    data = [each for event in events if (each := encoder.feed(event))]
    return data if reports else [b"".join(map(_without_usage, payloads_of(each))) for each in data]


def begun(dialect: Dialect, pieces: int = 3, *, reports: bool = False) -> list[bytes]:
    """As much of it as has so many pieces."""
    whole = frames(dialect, reports=reports)
    last = PIECES[pieces - 1].strip().encode()
    return whole[: next(at for at, data in enumerate(whole) if last in data) + 1]


def payloads_of(data: bytes) -> list[bytes]:
    blank = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
    return [frame + blank for frame in data.split(blank) if frame]


def _without_usage(frame: bytes) -> bytes:
    for payload in payloads(frame):
        if payload.startswith(b"{"):
            bare = json.loads(payload, object_hook=_bare)
            return frame.replace(payload, json.dumps(bare, separators=(",", ":")).encode())
    return frame


def _bare(members: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in members.items() if name not in {"usage", "usageMetadata"}}


def error_event(dialect: Dialect) -> bytes:
    said = {
        Dialect.ANTHROPIC_MESSAGES: b'event: error\ndata: {"type":"error","error":'
        b'{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        Dialect.OPENAI_RESPONSES: b'event: error\ndata: {"type":"error","message":"no"}\n\n',
    }
    return said.get(dialect, b'data: {"error":{"code":503,"message":"Overloaded"}}\n\n')


async def begin(peer: Peer, *pieces: bytes) -> None:
    await peer.begin_stream()
    for piece in pieces:
        await peer.chunk(piece)
        await asyncio.sleep(0)


# --- how streams end --------------------------------------------------------------------------


def saying(usage: Usage = REPORTED, *, reports: bool = True) -> Script:
    async def script(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
        await begin(peer, *frames(dialect, usage, reports=reports))
        await peer.end_stream()

    return script


async def then_cut(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
    await begin(peer, *begun(dialect))
    peer.cut()


async def cut_at_once(_scene: Scene, peer: Peer, _dialect: Dialect) -> None:
    await begin(peer)
    peer.cut()


async def then_error(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
    await begin(peer, *begun(dialect), error_event(dialect))
    await peer.end_stream()


async def error_at_once(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
    await begin(peer, error_event(dialect))
    await peer.end_stream()


async def then_silence(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
    await begin(peer, *begun(dialect))
    await peer.left()


async def silence(_scene: Scene, peer: Peer, _dialect: Dialect) -> None:
    await peer.left()


async def left_and_reported(scene: Scene, peer: Peer, dialect: Dialect) -> None:
    first = begun(dialect, reports=True)
    rest = frames(dialect)[len(first) :]
    await begin(peer, *first)
    await scene.browser.got_some.wait()
    scene.browser.leave()
    await asyncio.sleep(0.05)
    await peer.chunk(b"".join(rest))
    await peer.end_stream()


async def left_and_not_reported(scene: Scene, peer: Peer, dialect: Dialect) -> None:
    await begin(peer, *begun(dialect))
    await scene.browser.got_some.wait()
    scene.browser.leave()
    await peer.left()


async def left_before_content(scene: Scene, peer: Peer, _dialect: Dialect) -> None:
    await peer.begin_stream()
    scene.browser.leave()
    await peer.left()


async def stalled(scene: Scene, peer: Peer, dialect: Dialect) -> None:
    first = begun(dialect, pieces=1)
    await begin(peer, *first)
    await scene.browser.got_some.wait()
    scene.browser.stall()
    await peer.chunk(b"".join(begun(dialect)[len(first) :]))
    await peer.left()


STREAMS = [
    Row("complete, reported", saying(), UsageSource.FINAL, Outcome.COMPLETED, REPORTED),
    Row("complete, not reported", saying(reports=False), UsageSource.ESTIMATED, Outcome.COMPLETED),
    Row(
        "client left, reported in time",
        left_and_reported,
        UsageSource.FINAL,
        Outcome.CLIENT_GONE,
        REPORTED,
    ),
    Row("client left", left_and_not_reported, UsageSource.ESTIMATED, Outcome.CLIENT_GONE),
    Row("client reads nothing", stalled, UsageSource.ESTIMATED, Outcome.CLIENT_GONE),
    Row("client left before content", left_before_content),
    Row("vendor cut", then_cut, UsageSource.ESTIMATED, Outcome.UPSTREAM_CUT),
    Row("vendor cut before content", cut_at_once),
    Row("vendor's error", then_error, UsageSource.ESTIMATED, Outcome.UPSTREAM_ERROR),
    Row("vendor's error before content", error_at_once),
    Row("time over", then_silence, UsageSource.ESTIMATED, Outcome.UPSTREAM_CUT, left_s=0.3),
    Row("time over before content", silence, left_s=0.3),
    Row(
        "negative counts",
        saying(Usage(input=-5, output=1)),
        UsageSource.FINAL,
        Outcome.COMPLETED,
        doubt=OUT_OF_RANGE,
    ),
    Row(
        "more than the context",
        saying(TOO_MUCH),
        UsageSource.FINAL,
        Outcome.COMPLETED,
        doubt=f"{OUT_OF_RANGE}: input of 100001, and the context is 100000",
    ),
]


# --- how whole answers end --------------------------------------------------------------------

JSON = "content-type: application/json"
COUNTS = Usage(input=10, output=4)


def giving(change: Callable[[bytes], bytes] = bytes) -> Script:
    async def script(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
        await answering(200, change(WHOLE[dialect]), JSON)(peer)

    return script


def bare(answer: bytes) -> bytes:
    return json.dumps(json.loads(answer, object_hook=_bare)).encode()


def huge(answer: bytes) -> bytes:
    return answer.replace(b":10,", b":100001,")


def negative(answer: bytes) -> bytes:
    return answer.replace(b":10,", b":-10,")


async def whole_and_left(scene: Scene, peer: Peer, dialect: Dialect) -> None:
    scene.browser.leave()
    await asyncio.sleep(0.05)
    await giving()(scene, peer, dialect)


async def half(_scene: Scene, peer: Peer, dialect: Dialect) -> None:
    answer = WHOLE[dialect]
    head = f"HTTP/1.1 200 OK\r\n{JSON}\r\ncontent-length: {len(answer)}\r\n\r\n"
    await peer.send(head.encode() + answer[:-20])
    peer.cut()


def refusing(status: int) -> Script:
    async def script(_scene: Scene, peer: Peer, _dialect: Dialect) -> None:
        await answering(status, b'{"error":{"message":"no","type":"no"}}', JSON)(peer)

    return script


async def nonsense(_scene: Scene, peer: Peer, _dialect: Dialect) -> None:
    await answering(200, b"<html>", JSON)(peer)


WHOLES = [
    Row("complete, reported", giving(), UsageSource.FINAL, Outcome.COMPLETED, COUNTS),
    Row("complete, not reported", giving(bare), UsageSource.ESTIMATED, Outcome.COMPLETED),
    Row("client left", whole_and_left, UsageSource.FINAL, Outcome.COMPLETED, COUNTS),
    Row("cut inside", half),
    Row("refused as the caller's fault", refusing(400)),
    Row("refused as ours", refusing(401)),
    Row("overloaded", refusing(529)),
    Row("no answer", nonsense),
    Row("time over", silence, left_s=0.3),
    Row(
        "negative counts",
        giving(negative),
        UsageSource.FINAL,
        Outcome.COMPLETED,
        doubt=OUT_OF_RANGE,
    ),
    Row(
        "more than the context",
        giving(huge),
        UsageSource.FINAL,
        Outcome.COMPLETED,
        doubt=f"{OUT_OF_RANGE}: input of 100001, and the context is 100000",
    ),
]

WAYS = PASSED + CONVERTED
each_way = pytest.mark.parametrize(("dialect", "model"), WAYS, ids=[f"{d} {m}" for d, m in WAYS])


async def ended(
    scene: Scene, row: Row, dialect: str, model: str, *, stream: bool
) -> list[UsageRecorded]:
    """What is recorded when one request has ended so."""

    async def script(peer: Peer) -> None:
        await row.script(scene, peer, dialect_of(scene.vendor.asked[-1].path.split("?")[0]))

    scene.vendor.script = script
    if row.left_s is not None:
        scene.left_s = row.left_s
    await scene.serve(
        dialect, body(dialect, model, stream=stream), path(dialect, model, stream=stream)
    )
    return scene.events


def check(scene: Scene, row: Row, events: list[UsageRecorded]) -> None:
    if row.source is None:
        assert events == []
        assert scene.charged == 0
        return
    (event,) = events
    assert (event.source, event.outcome) == (row.source, row.outcome)
    assert event.doubt == row.doubt
    if row.doubt is not None:
        assert scene.charged == 0
        return
    if row.exact is not None:
        assert event.usage == row.exact
    assert scene.charged == charge_microtokens(event.usage, CARD) > 0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ANSWER_S", 0.0)


class TestStreams:
    @each_way
    @pytest.mark.parametrize("row", STREAMS, ids=[row.name for row in STREAMS])
    async def test_a_row(self, scene: Scene, row: Row, dialect: str, model: str) -> None:
        events = await ended(scene, row, dialect, model, stream=True)
        check(scene, row, events)

        if row.source is UsageSource.ESTIMATED and row.outcome is not Outcome.COMPLETED:
            (event,) = events
            sent = len(scene.vendor.asked[-1].body)
            assert event.usage.input in {0, sent // 4}  # 0 where a converted head reports it
            assert 3 <= event.usage.output <= PASSED_BYTES // 4 + 1

    @each_way
    async def test_killed_in_the_middle(self, scene: Scene, dialect: str, model: str) -> None:
        """What the next run finds on the disk: the input, and what had passed by the last note."""
        left: list[Usage | None] = []

        async def script(scene: Scene, peer: Peer, spoken: Dialect) -> None:
            pieces = begun(spoken, pieces=1)
            await begin(peer, *pieces)
            for _ in range(20 * exchange.PROGRESS_PIECES):  # one read may take several
                await peer.chunk(pieces[-1])
                await asyncio.sleep(0.002)
                scene.spool.flush()
                if usage_left(scene) != [None]:
                    break
            left.extend(usage_left(scene))
            await peer.end_stream()

        await ended(scene, Row("", script), dialect, model, stream=True)

        [found] = left
        assert found is not None
        assert found.output >= exchange.PROGRESS_PIECES

    @each_way
    async def test_killed_before_content(self, scene: Scene, dialect: str, model: str) -> None:
        left: list[Usage | None] = []

        async def script(scene: Scene, peer: Peer, _spoken: Dialect) -> None:
            await peer.begin_stream()
            left.extend(usage_left(scene))
            peer.cut()

        await ended(scene, Row("", script), dialect, model, stream=True)

        assert left == [None]


class TestWholeAnswers:
    @each_way
    @pytest.mark.parametrize("row", WHOLES, ids=[row.name for row in WHOLES])
    async def test_a_row(self, scene: Scene, row: Row, dialect: str, model: str) -> None:
        check(scene, row, await ended(scene, row, dialect, model, stream=False))


async def test_refused_by_us(scene: Scene) -> None:
    scene.billing.empty = True
    row = Row("", saying())

    check(scene, row, await ended(scene, row, "openai_chat", "gpt-a", stream=True))
    assert scene.vendor.asked == []
