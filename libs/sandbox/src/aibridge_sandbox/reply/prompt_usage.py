"""What a prompt costs, and how much of it a cache already held."""

from typing import NamedTuple

from aibridge_sandbox.call import Call
from aibridge_sandbox.world.prefixes import Segment, Step, walk
from aibridge_sandbox.world.usage import Usage

TURN_TOKENS = 3
"""What the vendors add to a prompt for the turn that follows."""

_AUTOMATIC_TOKENS_MIN = 1_024
_AUTOMATIC_STEP_TOKENS = 128


class Buckets(NamedTuple):
    """Cached tokens of one prompt."""

    read: int
    write_5m: int
    write_1h: int


def count_prompt(segments: list[Segment]) -> int:
    """Tokens of the whole prompt, cached or not."""
    steps = walk(segments)
    return (steps[-1].tokens if steps else 0) + TURN_TOKENS


def automatic_usage(call: Call, segments: list[Segment]) -> Usage:
    """OpenAI's and Google's way: a repeated prefix of 1024 tokens and more is cached unasked."""
    steps = walk(segments)
    total = (steps[-1].tokens if steps else 0) + TURN_TOKENS
    scope = f"{call.vendor}:{call.key}:{call.model_id}"
    seen = call.world.prefixes.longest(scope, steps)
    call.world.prefixes.remember(scope, steps)
    read = 0
    if seen >= _AUTOMATIC_TOKENS_MIN:
        read = min(seen, total - 1) // _AUTOMATIC_STEP_TOKENS * _AUTOMATIC_STEP_TOKENS
    return _usage(call, total, Buckets(read, 0, 0))


def marked_usage(call: Call, segments: list[Segment]) -> Usage:
    """Anthropic's way: only up to the client's markers; first written, then read.

    Unlike the vendor it caches prompts of any length and forgets nothing by time.
    """
    steps = walk(segments)
    total = (steps[-1].tokens if steps else 0) + TURN_TOKENS
    marks = [index for index, step in enumerate(steps) if step.ttl is not None]
    if not marks:
        return _usage(call, total, Buckets(0, 0, 0))
    scope = f"{call.vendor}:{call.key}:{call.model_id}"
    cacheable = steps[: marks[-1] + 1]
    read = call.world.prefixes.longest(scope, cacheable)
    call.world.prefixes.remember(scope, cacheable)
    return _usage(call, total, _written([steps[index] for index in marks], read))


def _written(marks: list[Step], read: int) -> Buckets:
    done = read
    written = {"5m": 0, "1h": 0}
    for mark in marks:
        if mark.tokens > done:
            written["1h" if mark.ttl == "1h" else "5m"] += mark.tokens - done
            done = mark.tokens
    return Buckets(read, written["5m"], written["1h"])


def _usage(call: Call, total: int, found: Buckets) -> Usage:
    read = found.read if call.script.cached is None else min(call.script.cached, total)
    write_5m, write_1h = found.write_5m, found.write_1h
    if call.script.cache_write is not None:
        write_5m, write_1h = min(call.script.cache_write, total - read), 0
    elif call.script.cached is not None:
        write_5m, write_1h = 0, 0
    return Usage(
        input=total - read - write_5m - write_1h,
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
    )
