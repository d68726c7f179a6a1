"""A supervisor in the foreground: it runs until a signal, and a second Ctrl-C is final."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

from aibridge_devstack.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KILLED_EXIT_CODE = 130
_SAME_KEYSTROKE_S = 0.3


async def foreground(
    supervisor: Supervisor,
    start: Callable[[Supervisor], Awaitable[None]],
    *,
    on_stop: Callable[[], None],
) -> int:
    """The exit code: 0 after a clean stop, 1 if a child had to be killed, 130 after a second Ctrl-C.

    SIGTERM often comes twice, from whoever started us and from whoever started that: once is enough.

    `start` brings the children up and is cancelled by a signal that comes too early; what it raises
    is raised here after everything has been stopped. `on_stop` is called before anything is stopped.
    """
    stop = asyncio.Event()
    impatient = asyncio.Event()

    loop = asyncio.get_running_loop()
    patient_until = 0.0

    def signalled(number: int) -> None:
        nonlocal patient_until
        if not stop.is_set():
            patient_until = loop.time() + _SAME_KEYSTROKE_S
            stop.set()
        elif number == signal.SIGINT and loop.time() > patient_until:
            impatient.set()
            supervisor.kill()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, signalled, number)
    try:
        async with supervisor:
            try:
                await _until(stop, start(supervisor))
                await stop.wait()
            finally:
                on_stop()
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(
                number, signal.SIG_IGN
            )  # everything has ended, and so do we, by ourselves
    if impatient.is_set():
        return KILLED_EXIT_CODE
    return 0 if supervisor.stopped_in_time else 1


async def _until(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Let the work finish unless the event comes first."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()  # does nothing to finished work
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        stopping.cancel()
