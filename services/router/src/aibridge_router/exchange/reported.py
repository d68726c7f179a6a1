"""The provider's own usage objects, cut out of what passed: a receipt shows them as they came.

Nothing is decided by them: what is charged is read by the dialect's own tap or decoder.
"""

import re

import msgspec

_MARK = b"usage"
_BEGINS = re.compile(rb'"(?:usage|usageMetadata)"\s*:\s*(?=\{)')
_BYTES_MAX = 2048
"""A usage object is a few hundred bytes."""


class Reported:
    """Keeps the first and the last read that spoke of usage; cutting out waits until the end."""

    __slots__ = ("_first", "_last")

    def __init__(self) -> None:
        self._first = b""
        self._last = b""

    def see(self, data: bytes) -> None:
        """Bytes passed. One search per read."""
        if _MARK in data:
            if not self._first:
                self._first = data
            self._last = data

    def objects(self) -> list[msgspec.Raw]:
        """The first and the last usage object, one where they are the same; none where a read cut them in two."""
        found = [*_objects(self._first)[:1], *_objects(self._last)[-1:]]
        return [msgspec.Raw(each) for each in dict.fromkeys(found)]


def _objects(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    for begins in _BEGINS.finditer(data):
        end = _end_of(data, begins.end())
        if end is not None:
            found.append(data[begins.end() : end])
    return found


def _end_of(data: bytes, start: int) -> int | None:
    """Where the object ends that begins at `start`; usage has no braces inside its strings."""
    depth = 0
    for at in range(start, min(len(data), start + _BYTES_MAX)):
        byte = data[at]
        if byte == ord("{"):
            depth += 1
        elif byte == ord("}"):
            depth -= 1
            if not depth:
                return at + 1 if _is_json(data[start : at + 1]) else None
    return None


def _is_json(document: bytes) -> bool:
    try:
        msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
