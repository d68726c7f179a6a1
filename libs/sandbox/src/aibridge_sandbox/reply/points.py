from aibridge_sandbox.reply.frame import Frame
from aibridge_sandbox.script import At

CONNECT = -1
"""Before the status line."""


def position(at: At, frames: tuple[Frame, ...]) -> int:
    """How many frames are written when this point is reached; `CONNECT` before the headers.

    A word that is none of the vocabulary reads as `content`.
    """
    if isinstance(at, int):
        return at
    match at:
        case "connect":
            return CONNECT
        case "head":
            return 0
        case "end":
            return next((i for i, frame in enumerate(frames) if frame.terminal), len(frames))
        case _:
            _, _, number = at.partition(":")
            return _after_content(frames, int(number) if number.isdigit() else 0)


def _after_content(frames: tuple[Frame, ...], count: int) -> int:
    """The number of frames up to and with the count-th content frame; 0: before the first."""
    seen = 0
    for index, frame in enumerate(frames):
        if not frame.content:
            continue
        if seen == count:
            return index
        seen += 1
        if seen == count:
            return index + 1
    return len(frames)
