"""Reads a request body within its limits."""

import asyncio
from collections.abc import Iterable

from litestar.types import Receive

from aibridge_common.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from aibridge_common.internal import BODY_BYTES_MAX

BODY_TIMEOUT_S = 60.0
DISCARD_BYTES_MAX = 256 * 2**20
"""A body over the limit is read and dropped up to here: a client that is still sending would not see the answer."""


class ClientGone(Exception):
    """The client left before the end of its request: nobody is there to answer."""


def check_content_type(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise `UnsupportedMediaType` unless the body is declared as JSON."""
    for name, value in headers:
        if name == b"content-type":
            if value.partition(b";")[0].strip().lower().endswith((b"/json", b"+json")):
                return
            break
    raise UnsupportedMediaType("content-type must be application/json", param="content-type")


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises `PayloadTooLarge`, `InvalidRequest` when it comes too slowly, `ClientGone`."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read_all(receive)
    except TimeoutError:
        raise InvalidRequest(f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None


async def _read_all(receive: Receive) -> bytes:
    parts: list[bytes] = []
    total, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        more = bool(message.get("more_body"))
        total += len(part)
        if total <= BODY_BYTES_MAX:
            parts.append(part)
        else:
            parts.clear()
            if total > DISCARD_BYTES_MAX:
                break
    if total > BODY_BYTES_MAX:
        raise PayloadTooLarge(f"the body exceeds {BODY_BYTES_MAX // 2**20} MiB")
    return b"".join(parts)
