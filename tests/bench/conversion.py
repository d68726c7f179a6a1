"""What conversion costs: a request of 30 KB and an event of a stream, in every direction, beside plain `json`.

`python -m bench.conversion` prints one table. Rounds are interleaved: within a round every direction is timed once,
and `json.loads`/`json.dumps` of the same bytes beside it. Bounds: 300 µs for the request, 8 µs for an event with both
framings.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import permutations
from statistics import median

from aibridge_common.catalog import Capabilities
from aibridge_common.dialect import Dialect
from aibridge_router.canonical.codec import AnswerContext
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.events import BlockStarted, Event, Started, TextDelta
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.dialects.registry import CODECS
from bench.bodies import agent_chat

REQUEST_US_MAX = 300.0
EVENT_US_MAX = 8.0
EVENTS = 200

PROFILE = Profile(
    provider="bench",
    upstream_model="model",
    context_tokens=1_000_000,
    max_output_tokens=64_000,
    capabilities=Capabilities(reasoning="effort"),
)
CONTEXT = AnswerContext(request_id="req_" + "0" * 32, model="m", provider="p", created_s=1)

Timed = Callable[[], object]


def request_in(dialect: Dialect, request: Request) -> bytes:
    """The agent's request as a client of `dialect` sends it."""
    return CODECS[dialect].request_to_wire(request, PROFILE, Losses())


def stream_in(dialect: Dialect) -> tuple[bytes, list[bytes]]:
    """A stream's beginning, and its text events, as a vendor of `dialect` sends them."""
    encoder = CODECS[dialect].encoder(CONTEXT)
    begin: list[Event] = [Started(id="a", model="m"), BlockStarted(index=0, block=Text(text=""))]
    head = b"".join(encoder.feed(event) for event in begin)
    return head, [encoder.feed(TextDelta(index=0, text=f"word {n} ")) for n in range(EVENTS)]


def convert_request(source: Dialect, target: Dialect, body: bytes) -> Timed:
    def run() -> object:
        request = CODECS[source].request_from_wire(body)
        return CODECS[target].request_to_wire(request, PROFILE, Losses())

    return run


def convert_events(source: Dialect, target: Dialect) -> Timed:
    head, frames = stream_in(source)

    def run() -> object:
        decoder, encoder = CODECS[source].decoder("p"), CODECS[target].encoder(CONTEXT)
        for event in decoder.feed(head):
            encoder.feed(event)
        return [encoder.feed(event) for frame in frames for event in decoder.feed(frame)]

    return run


def plain_request(body: bytes) -> Timed:
    return lambda: json.dumps(json.loads(body))


def plain_events(source: Dialect) -> Timed:
    _, frames = stream_in(source)

    def run() -> object:
        return [
            json.dumps(json.loads(line[5:]))
            for frame in frames
            for line in frame.split(b"\n")
            if line.startswith(b"data:")
        ]

    return run


def time_us(run: Timed, repeats: int) -> float:
    """CPU µs of one call."""
    began = time.process_time_ns()
    for _ in range(repeats):
        run()
    return (time.process_time_ns() - began) / repeats / 1000


def main() -> None:
    """Print the table; exit 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds: int = parser.parse_args().rounds
    chat = CODECS[Dialect.OPENAI_CHAT].request_from_wire(agent_chat(model="m", stream=False))
    bodies = {dialect: request_in(dialect, chat) for dialect in Dialect}
    pairs = list(permutations(Dialect, 2))
    samples: dict[tuple[Dialect, Dialect, str], list[float]] = {}
    for _ in range(rounds):
        for source, target in pairs:
            timed = {
                "request": (convert_request(source, target, bodies[source]), 20, 1),
                "plain request": (plain_request(bodies[source]), 20, 1),
                "event": (convert_events(source, target), 3, EVENTS),
                "plain event": (plain_events(source), 3, EVENTS),
            }
            for name, (run, repeats, parts) in timed.items():
                cost = time_us(run, repeats) / parts
                samples.setdefault((source, target, name), []).append(cost)
    print(
        f"conversion, CPU µs, median of {rounds} rounds (request of {len(bodies[Dialect.OPENAI_CHAT])} bytes)"
    )
    print(f"  {'':44s}{'request':>9s}{'json':>8s}{'event':>9s}{'json':>8s}")
    worst = {"request": 0.0, "event": 0.0}
    for source, target in pairs:
        cells = {
            n: median(samples[source, target, n])
            for n in ("request", "plain request", "event", "plain event")
        }
        worst = {name: max(cost, cells[name]) for name, cost in worst.items()}
        print(
            f"  {source + ' -> ' + target:44s}{cells['request']:9.0f}{cells['plain request']:8.0f}"
            f"{cells['event']:9.2f}{cells['plain event']:8.2f}"
        )
    ok = worst["request"] <= REQUEST_US_MAX and worst["event"] <= EVENT_US_MAX
    print(
        f"  {'ok    ' if ok else 'MISSED'} the worst: request {worst['request']:.0f} µs (at most {REQUEST_US_MAX:.0f}),"
        f" event {worst['event']:.2f} µs (at most {EVENT_US_MAX:.0f})"
    )
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
