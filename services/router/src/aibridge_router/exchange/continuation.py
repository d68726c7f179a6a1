"""A text that was cut after its commit point goes on with another model's words. Off unless the customer chose it.

The backup is given the conversation and what was delivered, and asked to go on. Only text that stands open is
continued: never a tool call, never thinking. Where the backup repeats the end of what was delivered, or begins anew,
the repetition is left out; a client sees one answer.
"""

from msgspec import structs

from aibridge_common.dialect import Dialect
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import StreamDecoder, StreamEncoder
from aibridge_router.canonical.content import Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Started,
    StateSeen,
    Stopped,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.dialects.body import BYTES_PER_TOKEN
from aibridge_router.exchange.translated import TranslatedStream

GO_ON = (
    "Your answer was cut off by a fault of the connection. Go on with it from exactly where it ends, in the middle of a"
    " word if need be. Do not repeat anything and do not comment on this."
)
OVERLAP_CHARACTERS_MAX = 400
OVERLAP_CHARACTERS_MIN = 12
"""Less may stand at both sides of the seam by chance."""


def continued(request: Request, delivered: str, upstream: Dialect, profile: Profile) -> Request:
    """The request that asks for the rest. Anthropic's models go on with a turn that is begun; others are told to."""
    begun = Turn(role="assistant", blocks=[Text(text=delivered.rstrip())])
    turns = [*request.turns, begun]
    if not (upstream is Dialect.ANTHROPIC_MESSAGES and profile.capabilities.prefill):
        turns.append(Turn(role="user", blocks=[Text(text=GO_ON)]))
    limit = request.output_tokens_max
    if limit is not None:
        limit = max(1, limit - len(delivered.encode()) // BYTES_PER_TOKEN)
    return structs.replace(request, turns=turns, output_tokens_max=limit, reasoning=None)


class Seam:
    """Fits a second answer to the first: its opening text goes on with the block `index`, which has `delivered`."""

    def __init__(self, index: int, delivered: str) -> None:
        self._index = index
        self._delivered = delivered
        self._waiting: str | None = ""
        """The beginning of the second answer, until it is known what of it is new."""
        self._opening: int | None = None
        self._hidden: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._next = index + 1

    def feed(self, event: Event) -> list[Event]:
        """The event as it is to be told, with whatever was held back before it."""
        match event:
            case Started():
                return []
            case BlockStarted():
                return self._start(event)
            case TextDelta() if event.index == self._opening and self._waiting is not None:
                self._waiting += event.text
                return self._settled() if self._knows_enough else []
            case TextDelta() | ArgumentsDelta() | StateSeen() | BlockStopped():
                return self._renumbered(event)
            case Stopped() | Ended():
                return [*self._settled(), event]
            case UsageSeen() | Failed():
                return [event]

    def _start(self, event: BlockStarted) -> list[Event]:
        if isinstance(event.block, Thinking):
            self._hidden.add(event.index)
            return []
        if self._opening is None and isinstance(event.block, Text):
            self._opening = event.index
            return []
        before: list[Event] = []
        if self._opening is None:  # it has nothing to add and goes on to something else
            self._opening = -1
            before = [*self._settled(), BlockStopped(index=self._index)]
        self._numbers[event.index] = self._next
        self._next += 1
        return [*before, structs.replace(event, index=self._numbers[event.index])]

    def _renumbered(
        self, event: TextDelta | ArgumentsDelta | StateSeen | BlockStopped
    ) -> list[Event]:
        if event.index in self._hidden:
            return []
        if event.index == self._opening:
            if isinstance(event, StateSeen):
                return []
            return [*self._settled(), structs.replace(event, index=self._index)]
        return [structs.replace(event, index=self._numbers[event.index])]

    @property
    def _knows_enough(self) -> bool:
        waiting = self._waiting or ""
        if len(waiting) < OVERLAP_CHARACTERS_MAX:
            return False
        return not (len(waiting) < len(self._delivered) and self._delivered.startswith(waiting))

    def _settled(self) -> list[Event]:
        """What is new of the opening; from here on its pieces pass as they come."""
        waiting, self._waiting = self._waiting, None
        new = without_repetition(self._delivered, waiting or "")
        return [TextDelta(index=self._index, text=new)] if new else []


def without_repetition(delivered: str, more: str) -> str:
    """`more` without what it repeats of `delivered`: all of it, its end, or the blanks it ends with."""
    if delivered and more.startswith(delivered):
        return more[len(delivered) :]
    longest = min(len(delivered), len(more), OVERLAP_CHARACTERS_MAX)
    for length in range(longest, OVERLAP_CHARACTERS_MIN - 1, -1):
        if delivered.endswith(more[:length]):
            return more[length:]
    blanks = delivered[len(delivered.rstrip()) :]
    return more.removeprefix(blanks) if blanks else more


class ContinuableStream(TranslatedStream):
    """One that can change its source once it is cut. A vendor's error event is left to whoever asks."""

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder) -> None:
        super().__init__(decoder, encoder)
        self._seam: Seam | None = None
        self._open: int | None = None
        self._texts: dict[int, list[str]] = {}
        self._calls = False
        self._stopped = False
        self._before = Usage()

    @property
    def open_text(self) -> str | None:
        """The text that stands open and may go on; None where there is none, or more than text was begun."""
        if self._open is None or self._calls or self._stopped:
            return None
        return "".join(self._texts[self._open]) or None

    def go_on(self, decoder: StreamDecoder, before: Usage) -> None:
        """Take what follows from another source; `before` is the usage of those that were cut, shown in the sum."""
        delivered = self.open_text
        assert delivered is not None, "there is text to go on with"
        assert self._open is not None, "it stands open"
        self._seam = Seam(self._open, delivered)
        self._before = before
        self._read_from(decoder)

    def feed(self, data: bytes) -> bytes:
        """See `CarriedStream`."""
        out: list[bytes] = []
        for event in self._decoder.feed(data):
            self._note(event)
            if isinstance(event, Failed):
                continue
            out.append(self._tell(event))
        return b"".join(out)

    def _tell(self, event: Event) -> bytes:
        out: list[bytes] = []
        for told in self._seam.feed(event) if self._seam is not None else (event,):
            self._follow(told)
            out.append(self.encoder.feed(self._summed(told)))
        return b"".join(out)

    def _follow(self, told: Event) -> None:
        """What the client has by now."""
        if isinstance(told, BlockStarted):
            self._calls = self._calls or isinstance(told.block, ToolCall)
            if isinstance(told.block, Text):
                self._open = told.index
                self._texts[told.index] = [told.block.text]
        elif isinstance(told, TextDelta):
            if told.index in self._texts:
                self._texts[told.index].append(told.text)
        elif isinstance(told, BlockStopped):
            if told.index == self._open:
                self._open = None
        elif isinstance(told, Stopped):
            self._stopped = True

    def _summed(self, told: Event) -> Event:
        if self._seam is None or not isinstance(told, UsageSeen):
            return told
        return structs.replace(told, usage=added(self._before, told.usage))


def added(first: Usage, second: Usage) -> Usage:
    """The sum of two usages, kind by kind."""
    return Usage(
        **{kind: getattr(first, kind) + getattr(second, kind) for kind in Usage.__struct_fields__}
    )
