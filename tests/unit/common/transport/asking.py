"""The least that a test needs to ask a pool something."""

import asyncio
from collections.abc import Callable

from aibridge_common.transport import Pool, Response, Timers

BRISK = Timers(connect_s=2, headers_s=2, idle_s=2)
"""Ends a broken test soon, never a sound one."""


async def ask(
    pool: Pool,
    body: bytes = b"{}",
    *,
    target: bytes = b"/v1/x",
    method: bytes = b"POST",
    timers: Timers = BRISK,
) -> Response:
    return await pool.request(method, target, [(b"x-test", b"1")], body, timers)


async def fetch(pool: Pool, body: bytes = b"{}", *, target: bytes = b"/v1/x") -> bytes:
    """The whole body of an answer."""
    return await (await ask(pool, body, target=target)).read(2**26, BRISK.idle_s)


async def drained(response: Response, idle_s: float = BRISK.idle_s) -> list[bytes]:
    """Every chunk until the end."""
    chunks: list[bytes] = []
    while chunk := await response.next_chunk(idle_s):
        chunks.append(chunk)
    return chunks


async def until(condition: Callable[[], bool], *, within_s: float = 2.0) -> None:
    """Wait for what another task or the kernel does in its own time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what we wait for tells nobody
            await asyncio.sleep(0.002)
