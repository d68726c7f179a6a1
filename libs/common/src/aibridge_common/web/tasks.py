"""Background work that must not die unnoticed."""

from collections.abc import Awaitable, Callable

import anyio

from aibridge_common.telemetry.log import get_logger

PAUSE_MIN_S = 0.1
PAUSE_MAX_S = 10.0
"""What fails at once and always costs a line in the log every ten seconds, not a busy loop."""
HEALTHY_S = 60.0
"""Work that ran for so long before it failed is started again without the pauses it had earned before."""


async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` for ever: when it fails or returns, say so and start it again, after ever longer pauses.

    Without it an exception ends a task while the service goes on answering, and nobody refills, sweeps or settles.
    Only cancelling ends it.
    """
    log = get_logger()
    pause_s = PAUSE_MIN_S
    while True:
        began_at_s = anyio.current_time()
        try:
            await work()
            log.error("task.ended", task=name)
        except Exception:
            log.exception("task.failed", task=name)
        if anyio.current_time() - began_at_s > HEALTHY_S:
            pause_s = PAUSE_MIN_S
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MAX_S)
