"""A stream that goes through the hub: one vendor's decoder, the client's encoder, and what is seen in passing."""

from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import StreamDecoder, StreamEncoder
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    Ended,
    Event,
    Failed,
    StateSeen,
    Stopped,
    TextDelta,
    UsageSeen,
)
from aibridge_router.canonical.response import Stop
from aibridge_router.dialects.body import BYTES_PER_TOKEN


class TranslatedStream:
    """See `CarriedStream`."""

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder) -> None:
        self.encoder = encoder
        self._read_from(decoder)

    def _read_from(self, decoder: StreamDecoder) -> None:
        """Begin with a source; nothing is known of its answer yet."""
        self._decoder = decoder
        self.usage: Usage | None = None
        self.usage_is_final = False
        self.terminal = False
        self.failed = False
        self.started = False
        self.committed = False
        self._deltas = 0
        self._text_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """See `CarriedStream`."""
        encode = self.encoder.feed
        out: list[bytes] = []
        for event in self._decoder.feed(data):
            self._note(event)
            out.append(encode(event))
        return b"".join(out)

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """See `CarriedStream`. Encoders end what stands open."""
        assert choices == 1, "what is converted has one answer"
        last = (
            UsageSeen(usage=usage, final=True),
            Stopped(stop=Stop(reason="max_tokens")),
            Ended(),
        )
        return b"".join(map(self._tell, last))

    def _tell(self, event: Event) -> bytes:
        return self.encoder.feed(event)

    @property
    def output_estimate(self) -> int:
        """See `CarriedStream`."""
        return max(self._deltas, self._text_bytes // BYTES_PER_TOKEN)

    def _note(self, event: Event) -> None:
        self.started = True
        if isinstance(event, TextDelta | ArgumentsDelta):
            self._deltas += 1
            self._text_bytes += len(event.text)
            self.committed = True
        elif isinstance(event, UsageSeen):
            self.usage = event.usage
            self.usage_is_final = event.final
        elif isinstance(event, StateSeen | Stopped):
            self.committed = True
        elif isinstance(event, Ended):
            self.terminal = self.committed = True
        elif isinstance(event, Failed):
            self.failed = True
