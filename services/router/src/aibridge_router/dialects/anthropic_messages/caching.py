"""Cache markers: the vendor takes four, counted over tools, system and messages in that order."""

from aibridge_router.canonical.content import Block, CacheMark, ToolResult
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
        asked = _count(request)
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


def _count(request: Request) -> int:
    count = sum(tool.cache is not None for tool in request.tools)
    count += sum(text.cache is not None for text in request.system)
    for turn in request.turns:
        for block in turn.blocks:
            count += _is_marked(block)
            if type(block) is ToolResult:
                count += sum(_is_marked(part) for part in block.blocks)
    return count


def _is_marked(block: Block) -> bool:
    """Not every kind of block can have a marker."""
    return getattr(block, "cache", None) is not None
