"""Reads usage off a passing stream without changing it: what every dialect's tap has in common."""

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
        self._delta_bytes = 0
        self._overhead_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Bytes for the client. Raises `FrameTooLong` or `msgspec.DecodeError` for a stream that is none."""
        frames = self._frames.feed(data)
        if not frames:
            return frames
        passed = self._pass_on(frames)
        count = frames.count(self.delta_mark)
        if count:
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
        text_bytes = self._delta_bytes - self._deltas * self._overhead_bytes
        return max(self._deltas, text_bytes // BYTES_PER_TOKEN)

    def _weigh(self, frames: bytes, count: int) -> None:
        if not self._deltas:
            self._overhead_bytes = len(frames) // count - BYTES_PER_TOKEN
        self._deltas += count
        if self.terminal or self.failed:
            # The end repeats the whole answer in some dialects, and an error is no answer: neither is weighed.
            self._delta_bytes += count * (self._overhead_bytes + BYTES_PER_TOKEN)
        else:
            self._delta_bytes += len(frames)

    def _is_content(self, payload: bytes) -> bool:
        """Whether a frame carries a piece of the answer. Called until the first that does."""
        raise NotImplementedError

    def _pass_on(self, frames: bytes) -> bytes:
        raise NotImplementedError
