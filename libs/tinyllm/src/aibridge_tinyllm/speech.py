"""From the bytes of tokens to the text of an answer."""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from aibridge_tinyllm.stops import Stops


class Said(Struct, frozen=True, kw_only=True):
    """Some more text: whole characters, never empty."""

    text: str


class Ended(Struct, frozen=True, kw_only=True):
    """The last word about an answer."""

    reason: Literal["stop", "length"]
    completion_tokens: int
    """The tokens that were generated, also those of a stop sequence, which is not said."""


Speech: TypeAlias = Said | Ended


def speak(pieces: Iterable[bytes], *, stops: Sequence[str], tokens_max: int) -> Iterator[Speech]:
    """Any number of `Said`, then one `Ended`; takes no piece more than it needs."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    gate = Stops(stops)
    tokens = 0
    for piece in pieces:
        tokens += 1
        if text := gate.feed(decoder.decode(piece)):
            yield Said(text=text)
        if gate.found or tokens == tokens_max:
            break
    if rest := gate.feed(decoder.decode(b"", final=True)) + gate.end():
        yield Said(text=rest)
    finished = gate.found or tokens < tokens_max
    yield Ended(reason="stop" if finished else "length", completion_tokens=tokens)
