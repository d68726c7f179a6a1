"""Answers no client should take for one, all with status 200."""

import msgspec

from aibridge_sandbox.reply.frame import Frame, Reply
from aibridge_sandbox.script import Garbage, Script

_TEXT = b"upstream connect error or disconnect/reset before headers"
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
_SSE = b"event: ???\ndata: {not json\n\nthis line is no field\n\ndata: [1, 2\n\n"


def spoiled(reply: Reply, script: Script) -> Reply:
    """The reply as the script's `garbage` or `empty` leaves it."""
    if script.empty:
        return msgspec.structs.replace(reply, frames=(Frame(data=b"", terminal=True),))
    return reply if script.garbage is None else _spoil(reply, script.garbage)


def _spoil(reply: Reply, garbage: Garbage) -> Reply:
    match garbage:
        case "text":
            return msgspec.structs.replace(reply, frames=(_only(_TEXT),))
        case "html":
            return msgspec.structs.replace(
                reply, frames=(_only(_HTML),), content_type="text/html; charset=utf-8"
            )
        case "sse":
            return msgspec.structs.replace(
                reply, frames=(_only(_SSE),), content_type="text/event-stream"
            )
        case "content_type":
            return msgspec.structs.replace(reply, content_type="text/plain; charset=utf-8")
        case "truncated":
            kept = reply.frames[: (len(reply.frames) + 1) // 2]
            last = kept[-1]
            half = msgspec.structs.replace(
                last, data=last.data[: len(last.data) // 2], reports=False, terminal=False
            )
            return msgspec.structs.replace(reply, frames=(*kept[:-1], half))


def _only(data: bytes) -> Frame:
    return Frame(data=data, terminal=True)
