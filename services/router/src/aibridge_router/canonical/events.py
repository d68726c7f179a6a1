"""A stream, whatever the dialect: what decoders give and encoders take.

The order is fixed: `Started`, then for each block `BlockStarted`, deltas, `BlockStopped`, then `Stopped` and `Ended`.
Block indices count from 0 without gaps; several blocks may be open at once (OpenAI's parallel calls interleave), and an
encoder whose dialect forbids that holds the later ones back. `UsageSeen` may come anywhere; a later one replaces it.
"""

from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.canonical.content import Refusal, State, Text, Thinking, ToolCall
from aibridge_router.canonical.response import Stop

StreamedBlock = Text | Thinking | ToolCall | Refusal
"""A block as it starts: empty text, empty arguments; a redacted thinking block comes whole."""


class Started(Struct, frozen=True, kw_only=True, tag="started"):
    """The answer begins."""

    id: str
    model: str


class BlockStarted(Struct, frozen=True, kw_only=True, tag="block_started"):
    """A block begins; deltas follow."""

    index: int
    block: StreamedBlock


class TextDelta(Struct, frozen=True, kw_only=True, tag="text"):
    """More text of a text, thinking or refusal block."""

    index: int
    text: str


class ArgumentsDelta(Struct, frozen=True, kw_only=True, tag="arguments"):
    """More of a tool call's arguments; pieces of JSON text may be cut anywhere."""

    index: int
    text: str


class StateSeen(Struct, frozen=True, kw_only=True, tag="state"):
    """The vendor's state of a block, known only once the block is written."""

    index: int
    state: State


class BlockStopped(Struct, frozen=True, kw_only=True, tag="block_stopped"):
    """A block is complete."""

    index: int


class UsageSeen(Struct, frozen=True, kw_only=True, tag="usage"):
    """Token counts so far; `final` ones are what the vendor bills."""

    usage: Usage
    final: bool = False


class Stopped(Struct, frozen=True, kw_only=True, tag="stopped"):
    """The model has finished, for this reason."""

    stop: Stop


class Ended(Struct, frozen=True, kw_only=True, tag="ended"):
    """The dialect's own end of stream was seen."""


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """The stream ends with an error.

    A decoder's `kind` is one of `aibridge_common.errors`' codes; where we end the stream it is the client's own word.
    """

    kind: str
    message: str


Event = (
    Started
    | BlockStarted
    | TextDelta
    | ArgumentsDelta
    | StateSeen
    | BlockStopped
    | UsageSeen
    | Stopped
    | Ended
    | Failed
)
