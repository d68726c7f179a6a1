"""Server-sent events as bytes: where complete frames end, and what they carry (WHATWG HTML §9.2)."""

from collections.abc import Iterator

FRAME_BYTES_MAX = 8 << 20
"""A frame that never ends must not fill the memory; one that carries a generated picture must pass."""


class FrameTooLong(Exception):
    """The stream holds a frame of more than `FRAME_BYTES_MAX`."""


class FrameSplitter:
    """Cuts a byte stream after its last complete frame; any split of the input gives the same frames."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """All complete frames so far, as they came; the rest is held back. Raises `FrameTooLong`."""
        if self._held:
            data = self._held + data
        end = max(_after(data, b"\n\n"), _after(data, b"\r\n\r\n"))
        self._held = data[end:]
        if len(self._held) > FRAME_BYTES_MAX:
            raise FrameTooLong
        return data[:end]

    @property
    def held(self) -> bytes:
        """What has come of a frame that is not complete."""
        return self._held


def _after(data: bytes, mark: bytes) -> int:
    at = data.rfind(mark)
    return at + len(mark) if at >= 0 else 0


def payloads(frames: bytes) -> Iterator[bytes]:
    """The `data` of each complete frame, its lines joined by a newline."""
    for frame in frames.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [
            line[5:].removeprefix(b" ") for line in frame.split(b"\n") if line.startswith(b"data:")
        ]
        if lines:
            yield lines[0] if len(lines) == 1 else b"\n".join(lines)
