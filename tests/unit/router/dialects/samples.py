"""The sample streams, and ways to cut them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

SAMPLES = Path(__file__).parents[3] / "samples"


def sample(name: str) -> bytes:
    """`<dialect>/<name>` as the vendor sends it."""
    return (SAMPLES / f"{name}.sse").read_bytes()


def names(dialect: str = "*") -> list[str]:
    return sorted(f"{path.parent.name}/{path.stem}" for path in SAMPLES.glob(f"{dialect}/*.sse"))


def with_line_ends(stream: bytes, line_end: bytes) -> bytes:
    return stream.replace(b"\r\n", b"\n").replace(b"\n", line_end)


def cut(stream: bytes, at: list[int]) -> Iterator[bytes]:
    """The pieces between the places, as a socket may yield them."""
    places = [0, *sorted(place % (len(stream) + 1) for place in at), len(stream)]
    for start, end in itertools.pairwise(places):
        if end > start:
            yield stream[start:end]


def places() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(min_value=0, max_value=10_000), max_size=20)
