"""Prompt caches: which prompt prefixes a vendor has seen before."""

import hashlib
from collections import OrderedDict
from typing import Any

import msgspec

from aibridge_sandbox.tokens import weigh

_ENCODER = msgspec.json.Encoder(order="sorted")


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the prompt at whose end a cached prefix may end."""

    value: Any
    ttl: str | None = None
    """`5m` or `1h` where the client put a cache marker."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The prompt up to the end of one segment."""

    digest: bytes
    tokens: int
    ttl: str | None


def walk(segments: list[Segment]) -> list[Step]:
    """Every prefix of the prompt, the shortest first."""
    digest = b""
    tokens = 0
    steps: list[Step] = []
    for segment in segments:
        digest = hashlib.blake2b(digest + _ENCODER.encode(segment.value), digest_size=16).digest()
        tokens += weigh(segment.value)
        steps.append(Step(digest=digest, tokens=tokens, ttl=segment.ttl))
    return steps


class Prefixes:
    """Bounded; the prefix unused the longest is forgotten first. Nothing expires by time."""

    def __init__(self, entries_max: int = 50_000) -> None:
        self._seen: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._entries_max = entries_max

    def longest(self, scope: str, steps: list[Step]) -> int:
        """Tokens of the longest prefix seen in this scope; 0 if none."""
        for step in reversed(steps):
            if (scope, step.digest) in self._seen:
                self._seen.move_to_end((scope, step.digest))
                return step.tokens
        return 0

    def remember(self, scope: str, steps: list[Step]) -> None:
        """Everything a later prompt may start with."""
        for step in steps:
            self._seen[scope, step.digest] = None
            self._seen.move_to_end((scope, step.digest))
        while len(self._seen) > self._entries_max:
            self._seen.popitem(last=False)
