"""Reads usage off a passing stream without changing it: what every dialect's tap has in common."""

from typing import Any, cast

import msgspec

from aibridge_common.usage import Usage
from aibridge_router.dialects.body import BYTES_PER_TOKEN
from aibridge_router.sse import FrameSplitter, payloads


class StreamTap:
    """Sees every byte of a stream in one dialect; `feed` answers with what the client gets.

    Only complete frames are passed on, so an error event of ours never lands inside half a frame. Usage is looked
    for with one search per read; frames are decoded only where it was found.
    """

    delta_mark: bytes
    """Bytes that stand once in each frame that carries a piece of the answer."""

    def __init__(self) -> None:
        self._frames = FrameSplitter()
        self.usage: Usage | None = None
        self.usage_is_final = False
        self.terminal = False
        """Whether the dialect's own end of stream was seen."""
        self.failed = False
        """Whether the vendor ended the stream with an error event."""
        self.started = False
        """Whether a complete frame was seen."""
        self.committed = False
        """Whether a piece of the answer was seen, or its end: from here on no other target may answer."""
        self._deltas = 0
        self._text_bytes = 0
        self._overhead_bytes = 0
        """What a frame with a piece of the answer has beside its text; 0 until one was measured."""
        self._last = b""
        """The frames that were passed last with a piece of the answer."""

    def feed(self, data: bytes) -> bytes:
        """Bytes for the client. Raises `FrameTooLong` or `msgspec.DecodeError` for a stream that is none."""
        frames = self._frames.feed(data)
        if not frames:
            return frames
        passed = self._pass_on(frames)
        count = frames.count(self.delta_mark)
        if count:
            self._last = frames
            self._weigh(frames, count)
        if not self.committed:
            ended_well = self.terminal and not self.failed
            self.committed = ended_well or any(
                self._is_content(payload) for payload in payloads(frames)
            )
        return passed

    @property
    def output_estimate(self) -> int:
        """Tokens of answer that passed, for a stream that ends without saying: pieces, or bytes by four."""
        return max(self._deltas, self._text_bytes // BYTES_PER_TOKEN)

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """The frames that end the stream where it stands, as one ends at its output limit, with what was used."""
        raise NotImplementedError

    def _weigh(self, frames: bytes, count: int) -> None:
        """Note pieces of the answer. Where nothing else came with them their text is what is beside the overhead."""
        self._deltas += count
        all_are_pieces = frames.count(b"\n\n") + frames.count(b"\r\n\r\n") == count
        if self._overhead_bytes and all_are_pieces:
            self._text_bytes += max(0, len(frames) - count * self._overhead_bytes)
        else:
            self._text_bytes += self._measured(frames)

    def _measured(self, frames: bytes) -> int:
        """Bytes of text, by decoding: an end repeats the whole answer in some dialects, and is not counted."""
        total = 0
        for frame in frames.replace(b"\r\n", b"\n").split(b"\n\n"):
            if self.delta_mark not in frame:
                continue
            text = sum(
                text_length(msgspec.json.decode(payload)) for payload in payloads(frame + b"\n\n")
            )
            if text:
                self._overhead_bytes = max(1, len(frame) + 2 - text)
            total += text
        return total

    def _is_content(self, payload: bytes) -> bool:
        """Whether a frame carries a piece of the answer. Called until the first that does."""
        raise NotImplementedError

    def _pass_on(self, frames: bytes) -> bytes:
        raise NotImplementedError


_TEXTS = frozenset(
    {
        "arguments",
        "content",
        "delta",
        "partial_json",
        "reasoning",
        "reasoning_content",
        "refusal",
        "text",
        "thinking",
    }
)


def text_length(value: Any) -> int:
    """Bytes of everything in a frame that a dialect calls text."""
    if isinstance(value, dict):
        return sum(_length_of(name, each) for name, each in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return sum(map(text_length, cast("list[Any]", value)))
    return 0


def _length_of(name: str, value: object) -> int:
    if name == "args":  # Gemini writes the arguments of a call as an object
        return len(msgspec.json.encode(value))
    if isinstance(value, str):
        return len(value.encode()) if name in _TEXTS else 0
    return text_length(value)
