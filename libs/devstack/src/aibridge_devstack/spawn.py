"""Starting a child so that it cannot outlive us, whatever happens in between."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator

from aibridge_devstack.guardian import Guardian
from aibridge_devstack.service import Job, Service

# A child waits here until the guardian knows it. If we die before, `read` meets end-of-file.
_GATE = 'read -r go || exit 1; exec "$@" </dev/null'
_LINE_BYTES_MAX = 64 * 1024


async def spawn(what: Service | Job, *, guardian: Guardian) -> Process:
    """Start it, watched, as the leader of its own session: Ctrl-C reaches only us."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        _GATE,
        what.name,
        *what.argv,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        env=dict(what.env),
        cwd=what.folder,
        start_new_session=True,
    )
    guardian.watch(process.pid, what.stop_signal if isinstance(what, Service) else signal.SIGTERM)
    gate = process.stdin
    assert gate is not None
    with contextlib.suppress(OSError):
        gate.write(b"go\n")
        gate.close()
        await gate.wait_closed()
    return process


def signal_group(group: int, number: int) -> None:
    """To all of the group; none left is no error (macOS answers EPERM for zombies)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def lines(process: Process) -> AsyncIterator[str]:
    """Its output line by line; a line longer than 64 KiB comes in pieces."""
    stream = process.stdout
    assert stream is not None
    rest = b""
    while chunk := await stream.read(_LINE_BYTES_MAX):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip()
        if len(rest) >= _LINE_BYTES_MAX:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace").rstrip()
