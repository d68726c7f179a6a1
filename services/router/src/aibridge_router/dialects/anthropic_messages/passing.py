"""Messages answers that pass through: usage comes at the start and, cumulative, near the end."""

import re
from typing import Any

import msgspec
from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.canonical.response import UnfinishedAnswer
from aibridge_router.dialects.anthropic_messages.answering import usage_to_wire
from aibridge_router.dialects.anthropic_messages.frames import frame, stop_frame
from aibridge_router.dialects.anthropic_messages.usage import MessagesUsage
from aibridge_router.dialects.tap import StreamTap
from aibridge_router.sse import payloads

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_END = re.compile(rb'"type"\s*:\s*"message_stop"')
_ERROR = re.compile(rb"^event:\s*error", re.MULTILINE)


_OPEN = frozenset({"content_block_start", "content_block_delta"})
_CONTENT = frozenset({"content_block_delta", "message_delta"})


class _Answer(Struct, frozen=True):
    usage: MessagesUsage | None = None
    type: str = "message"


class _Event(Struct, frozen=True):
    type: str
    index: int = 0
    message: _Answer | None = None
    usage: MessagesUsage | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def answer_usage(body: bytes) -> Usage | None:
    """The usage of a whole answer, None where it says none.

    Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for an error under a good status.
    """
    answer = _decode_answer(body)
    if answer.type == "error":
        raise UnfinishedAnswer("an error under a good status")
    usage = answer.usage
    return usage.to_usage() if usage is not None else None


class MessagesTap(StreamTap):
    """Passes events on and merges their usage."""

    delta_mark = b"event: content_block_delta"

    def __init__(self) -> None:
        super().__init__()
        self._said = MessagesUsage()
        self._blocks = b""
        """The frames that spoke of a block last: they say whether one stands open."""

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """See `StreamTap`."""
        assert choices == 1, "there is one message"
        standing: int | None = None
        for payload in payloads(self._blocks):
            event = _decode_event(payload)
            if event.type in _OPEN:
                standing = event.index
            elif event.type == "content_block_stop":
                standing = None
        stop: dict[str, Any] = {"stop_reason": "max_tokens", "stop_sequence": None}
        return (
            (stop_frame(standing) if standing is not None else b"")
            + frame("message_delta", {"delta": stop, "usage": usage_to_wire(usage)})
            + frame("message_stop", {})
        )

    def _pass_on(self, frames: bytes) -> bytes:
        if b"content_block_" in frames:
            self._blocks = frames
        if not self.started:
            for payload in payloads(frames):
                _decode_event(payload)
                self.started = True
                break
        if _USAGE.search(frames) is not None:
            for payload in payloads(frames):
                if _USAGE.search(payload) is not None:
                    self._read_usage(payload)
        if _END.search(frames) is not None:
            self.terminal = self.terminal or any(
                _END.search(payload) is not None and _decode_event(payload).type == "message_stop"
                for payload in payloads(frames)
            )
        if b"error" in frames and _ERROR.search(frames) is not None:
            self.failed = True
        return frames

    def _is_content(self, payload: bytes) -> bool:
        return _decode_event(payload).type in _CONTENT

    def _read_usage(self, payload: bytes) -> None:
        event = _decode_event(payload)
        said = event.message.usage if event.message is not None else event.usage
        if said is None:
            return
        self._said = self._said.merged(said)
        self.usage = self._said.to_usage()
        self.usage_is_final = event.type == "message_delta"
