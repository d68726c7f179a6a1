"""The upstream's behaviours: a lane is one listener of the stand-in vendor and one model name."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    name: str
    model: str
    first_byte_ms: int
    chunks: int
    interval_us: int


INSTANT = Lane(name="instant", model="gpt-bench", first_byte_ms=0, chunks=50, interval_us=0)
DELAYED = Lane(name="delayed", model="gpt-bench-60", first_byte_ms=60, chunks=50, interval_us=0)
PACED = Lane(name="paced", model="gpt-bench-paced", first_byte_ms=20, chunks=50, interval_us=20_000)
BURST = Lane(name="burst", model="gpt-bench-burst", first_byte_ms=0, chunks=500, interval_us=0)

LANES = (INSTANT, DELAYED, PACED, BURST)
