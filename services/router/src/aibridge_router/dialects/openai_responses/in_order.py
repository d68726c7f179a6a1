"""One block at a time: events of later blocks wait until the earlier ones are complete."""

from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    StateSeen,
    TextDelta,
)
from aibridge_router.sse import FrameTooLong

BlockEvent = BlockStarted | TextDelta | ArgumentsDelta | StateSeen | BlockStopped

HELD_CHARACTERS_MAX = 16 << 20
_EVENT_COST = 64
"""What an event counts for beside its text."""


class InOrder:
    """Lets the events of block `current` through.

    Items of this dialect may interleave by its letter, but clients keep one active item (Codex loses the text of the
    other), so ours never do.
    """

    def __init__(self) -> None:
        self.current = 0
        self._held: dict[int, list[BlockEvent]] = {}
        self._held_characters = 0

    def pass_on(self, event: BlockEvent) -> list[BlockEvent]:
        """The events that may be written now. Raises `FrameTooLong`."""
        if event.index > self.current:
            self._hold(event)
            return []
        if event.index < self.current:
            return []
        ready = [event]
        while isinstance(ready[-1], BlockStopped):
            self.current += 1
            held = self._held.pop(self.current, None)
            if held is None:
                break
            self._held_characters -= sum(map(_cost, held))
            ready.extend(held)
        return ready

    def _hold(self, event: BlockEvent) -> None:
        self._held_characters += _cost(event)
        if self._held_characters > HELD_CHARACTERS_MAX:
            raise FrameTooLong
        self._held.setdefault(event.index, []).append(event)


def _cost(event: BlockEvent) -> int:
    text = event.text if isinstance(event, TextDelta | ArgumentsDelta) else ""
    return len(text) + _EVENT_COST
