"""Runs exchanges apart from the requests that asked for them.

A handler may be cancelled and a client may leave; the exchange goes on until it has settled. Each one is kept in a
registry and is stopped by a reason, never by a bare cancel.
"""

import asyncio

import anyio

from aibridge_common.telemetry.log import get_logger
from aibridge_router.exchange.exchange import Exchange, Stop

TICK_S = 0.5
DRAIN_AFTER_CLIENT_S = 5.0
"""After the client left, this long is waited for the vendor's final usage before it is estimated."""

STALL_S = 30.0
"""A client that takes nothing for so long is treated as gone."""


class Pumps:
    """All exchanges that run in this process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: dict[asyncio.Task[None], Exchange] = {}

    async def run(self, exchange: Exchange) -> None:
        """Start an exchange and wait for its end; cancelling the wait does not end the exchange."""
        task = self._loop.create_task(exchange.run())
        self._running[task] = exchange
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    @property
    def count(self) -> int:
        """Exchanges that run now."""
        return len(self._running)

    async def watch(self) -> None:
        """Stop what exceeds its limits, for ever."""
        while True:
            await anyio.sleep(TICK_S)
            now_s = self._loop.time()
            for task, exchange in list(self._running.items()):
                reason = _reason_to_stop(exchange, now_s)
                if reason is not None:
                    _stop(task, exchange, reason)

    def cut(self) -> None:
        """End every exchange now, with an error where its answer has begun: the process is about to stop."""
        for task, exchange in list(self._running.items()):
            _stop(task, exchange, Stop.SHUTDOWN)

    async def drain(self, timeout_s: float) -> None:
        """Wait for every exchange to settle, or the time to be up."""
        with anyio.move_on_after(timeout_s):
            while self._running:  # noqa: ASYNC110 - happens once, at shutdown
                await anyio.sleep(0.02)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            get_logger().error("exchange.failed", exc_info=error)


def _stop(task: asyncio.Task[None], exchange: Exchange, reason: Stop) -> None:
    if exchange.stop is None:
        exchange.stop = reason
        task.cancel()


def _reason_to_stop(exchange: Exchange, now_s: float) -> Stop | None:
    client = exchange.client
    if now_s > exchange.deadline_s:
        return Stop.DEADLINE
    gone_at_s = client.gone_at_s if exchange.streams else None
    if gone_at_s is not None and now_s > gone_at_s + DRAIN_AFTER_CLIENT_S:
        return Stop.CLIENT_GONE
    if client.sending_since_s is not None and now_s > client.sending_since_s + STALL_S:
        return Stop.CLIENT_STALLED
    return None
