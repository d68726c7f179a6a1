"""Starting a child so that it cannot outlive us, whatever happens in between."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable

from aibridge_devstack.guardian import Guardian
from aibridge_devstack.service import Job, Service

# A child waits here until the guardian knows it. If we die before, `read` meets end-of-file.
_GATE = 'read -r go || exit 1; exec "$@" </dev/null'
_LINE_BYTES_MAX = 64 * 1024
_LAST_WORDS_TIMEOUT_S = 2.0


class Spawned:
    """A started child with its output."""

    def __init__(
        self, process: Process, output: asyncio.StreamReader, pipe: asyncio.BaseTransport
    ) -> None:
        self.process = process
        self._output = output
        self._pipe = pipe

    async def run(self, on_line: Callable[[str], None]) -> int:
        """Until it has ended; the exit code. What is left of its group is killed then.

        Its end is not taken from the end of its output: a grandchild may hold that open.
        """
        reading = asyncio.create_task(self._read(on_line))
        try:
            return await self.process.wait()
        finally:
            signal_group(self.process.pid, signal.SIGKILL)
            await self.process.wait()
            await asyncio.wait({reading}, timeout=_LAST_WORDS_TIMEOUT_S)
            reading.cancel()
            self._pipe.close()

    async def _read(self, on_line: Callable[[str], None]) -> None:
        """A line longer than 64 KiB comes in pieces."""
        rest = b""
        while chunk := await self._output.read(_LINE_BYTES_MAX):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) >= _LINE_BYTES_MAX:
                whole, rest = [*whole, rest], b""
            for line in whole:
                on_line(line.decode(errors="replace").rstrip())
        if rest:
            on_line(rest.decode(errors="replace").rstrip())


async def spawn(what: Service | Job, *, guardian: Guardian) -> Spawned:
    """Start it, watched, as the leader of its own session: Ctrl-C reaches only us."""
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            _GATE,
            what.name,
            *what.argv,
            stdin=PIPE,
            stdout=write_end,
            stderr=STDOUT,
            env=dict(what.env),
            cwd=what.folder,
            start_new_session=True,
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    output = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(read_end, "rb", buffering=0)
    )
    guardian.watch(process.pid, what.stop_signal if isinstance(what, Service) else signal.SIGTERM)
    await _open_gate(process)
    return Spawned(process, output, pipe)


def signal_group(group: int, number: int) -> None:
    """To all of the group; none left is no error (macOS answers EPERM for zombies)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def _open_gate(process: Process) -> None:
    gate = process.stdin
    assert gate is not None
    with contextlib.suppress(OSError):
        gate.write(b"go\n")
        gate.close()
        await gate.wait_closed()
