"""Cache markers: the vendor takes four, counted over tools, system and messages in that order."""

from collections.abc import Iterator

from aibridge_router.canonical.content import (
    Audio,
    Block,
    CacheMark,
    Opaque,
    Refusal,
    Thinking,
    ToolResult,
)
from aibridge_router.canonical.request import Request
from aibridge_router.dialects.anthropic_messages.wire import CacheControl

MARKS_MAX = 4
EPHEMERAL = CacheControl()
_HOUR = CacheControl(ttl="1h")


class Markers:
    """Hands out the markers of one request, in the order they are written.

    When there are too many the earliest go: a later marker caches all that stands before it. When there is none, the
    places that repeat between requests get one.
    """

    def __init__(self, request: Request) -> None:
        asked = sum(1 for mark in _marks(request) if mark is not None)
        self.automatic = asked == 0
        self._to_skip = asked - MARKS_MAX

    def take(self, mark: CacheMark | None) -> CacheControl | None:
        """The marker to write for `mark`."""
        if mark is None:
            return None
        if self._to_skip > 0:
            self._to_skip -= 1
            return None
        return _HOUR if mark.lifetime == "1h" else EPHEMERAL


def _marks(request: Request) -> Iterator[CacheMark | None]:
    for tool in request.tools:
        yield tool.cache
    for text in request.system:
        yield text.cache
    for turn in request.turns:
        for block in turn.blocks:
            yield _mark(block)
            if isinstance(block, ToolResult):
                yield from (_mark(part) for part in block.blocks)


def _mark(block: Block) -> CacheMark | None:
    if isinstance(block, Thinking | Refusal | Audio | Opaque):
        return None
    return block.cache
