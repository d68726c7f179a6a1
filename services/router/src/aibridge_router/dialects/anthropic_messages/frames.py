"""The frames of an answer's blocks, as bytes."""

from typing import Any

import msgspec

_encode = msgspec.json.encode
_DELTA = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
)
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'

TEXT = (b"text_delta", b"text")
THINKING = (b"thinking_delta", b"thinking")
SIGNATURE = (b"signature_delta", b"signature")
ARGUMENTS = (b"input_json_delta", b"partial_json")
DELTA_END = b"}}\n\n"


def frame(kind: str, members: dict[str, Any]) -> bytes:
    """An event; SDKs pass over one without its `event` line."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind} | members))


def start_frame(number: int, block: dict[str, Any]) -> bytes:
    """The beginning of a block."""
    return frame("content_block_start", {"index": number, "content_block": block})


def delta_head(number: int, kind: tuple[bytes, bytes]) -> bytes:
    """A delta up to its text; behind the text, as JSON, comes `DELTA_END`."""
    return _DELTA % (number, *kind)


def delta_frame(number: int, kind: tuple[bytes, bytes], text: str) -> bytes:
    """A whole delta."""
    return delta_head(number, kind) + _encode(text) + DELTA_END


def stop_frame(number: int) -> bytes:
    """The end of a block."""
    return _STOP % number


def signed_block(number: int, signature: str) -> bytes:
    """A thinking block that says nothing and only carries a signature."""
    return (
        start_frame(number, {"type": "thinking", "thinking": "", "signature": ""})
        + delta_frame(number, SIGNATURE, signature)
        + stop_frame(number)
    )
