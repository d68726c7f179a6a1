"""Frames of a segment: what was torn or flipped ends it and is never read as a record. Pure.

A frame is `length | crc32 | record`, both numbers little-endian and of four bytes.
"""

import re
import struct
from zlib import crc32

from msgspec import Struct

SEGMENT_BYTES_MAX = 16 * 2**20
"""Small enough that confirmed usage frees its space soon, large enough that opening one is rare."""

RECORD_BYTES_MAX = 128 * 1024
"""A longer length is damage: ours are a few hundred bytes. Any event fits into an envelope of the bus."""

_HEADER = struct.Struct("<II")
_NAME = re.compile(r"(\d{20})-(\d{8})\.spool")


class SegmentName(Struct, frozen=True, order=True):
    """Whose segment this is: the run that wrote it, and its number in that run."""

    epoch: int
    number: int

    @property
    def file_name(self) -> str:
        """Sorts by age."""
        return f"{self.epoch:020d}-{self.number:08d}.spool"

    @staticmethod
    def parse(file_name: str) -> "SegmentName | None":
        """The inverse of `file_name`; None for a file that is no segment."""
        found = _NAME.fullmatch(file_name)
        return SegmentName(int(found[1]), int(found[2])) if found is not None else None


class Position(Struct, frozen=True, order=True):
    """A place between two frames. A later one is greater, whatever segments they are in."""

    segment: SegmentName
    offset: int


def frame(record: bytes) -> bytes:
    """The record as it is written."""
    assert 0 < len(record) <= RECORD_BYTES_MAX, "a record is short and not empty"
    return _HEADER.pack(len(record), crc32(record)) + record


def scan(data: bytes, start: int = 0) -> tuple[list[tuple[int, bytes]], int]:
    """The whole frames of `data` from `start` on, as (where the frame ends, record), and where the last of them ends.

    Stops at the first frame that is cut, empty or not what its sum says. Zeros are no frame: file systems leave them
    at the end of a file that grew before a power cut.
    """
    frames: list[tuple[int, bytes]] = []
    at, size, header = start, len(data), _HEADER.size
    while at + header <= size:
        length, checksum = _HEADER.unpack_from(data, at)
        end = at + header + length
        if not 0 < length <= RECORD_BYTES_MAX or end > size:
            break
        record = data[at + header : end]
        if crc32(record) != checksum:
            break
        frames.append((end, record))
        at = end
    return frames, at
