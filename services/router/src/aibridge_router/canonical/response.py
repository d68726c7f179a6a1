"""A whole answer, whatever the dialect it came in."""

from typing import Literal

from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.canonical.content import Block

StopReason = Literal[
    "end", "max_tokens", "stop_sequence", "tool_use", "refusal", "context_full", "pause"
]


class Stop(Struct, frozen=True, kw_only=True):
    """Why the answer ended. `sequence` is the stop sequence that was met, where the vendor says it."""

    reason: StopReason
    sequence: str | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """One answer. `usage` None means that the vendor reported none."""

    id: str
    model: str
    blocks: list[Block]
    stop: Stop
    usage: Usage | None = None


class UnfinishedAnswer(Exception):
    """The vendor's answer says of itself that it failed (a malformed call, an error inside a 200)."""
