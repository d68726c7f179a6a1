"""Writes a reply the way the script wants it written, broken or not."""

import msgspec

from aibridge_sandbox.reply.frame import Frame, Reply
from aibridge_sandbox.reply.points import position
from aibridge_sandbox.reply.wire import ClientGone, Wire
from aibridge_sandbox.script import Cut, Hang, Script, StreamError
from aibridge_sandbox.world.journal import Outcome


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What was really written."""

    outcome: Outcome
    status: int
    frames_sent: int
    events_sent: int


class _Over(Exception):  # a scripted end, not an error
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome


class Delivery:
    """One reply on its way out; used once."""

    def __init__(self, wire: Wire, reply: Reply, script: Script, pace_ms: float) -> None:
        self._wire = wire
        self._script = script
        self.reply = reply if reply.stream else _breakable(reply, script)
        """What is really written: a whole body may have become two halves."""
        frames = self.reply.frames
        cut = script.cut
        self._cut = Cut(at=cut) if isinstance(cut, int | str) else cut
        hang = script.hang
        self._hang = Hang(at=hang) if isinstance(hang, int | str) else hang
        error = script.error
        self._error = StreamError(at=error) if isinstance(error, int | str) else error
        self._cut_at = None if self._cut is None else position(self._cut.at, frames)
        self._hang_at = None if self._hang is None else position(self._hang.at, frames)
        self._error_at = None if self._error is None else position(self._error.at, frames)
        self._eof_at = None if script.eof is None else position(script.eof, frames)
        delay_ms = script.delay_ms if script.delay_ms is not None else pace_ms
        self._delay_s = delay_ms / 1000
        self._status = 0
        self._sent = 0
        self._events = 0
        self._pending = b""

    async def run(self) -> Delivered:
        """Write everything, or as much as the script and the client allow."""
        outcome: Outcome = "completed" if self.reply.status < 400 else "error"
        try:
            await self._write_all()
        except _Over as over:
            outcome = over.outcome
        except ClientGone:
            outcome = "client_gone"
        return self.delivered(outcome)

    def delivered(self, outcome: Outcome) -> Delivered:
        """What was written until now."""
        return Delivered(
            outcome=outcome,
            status=self._status,
            frames_sent=self._sent,
            events_sent=self._events,
        )

    async def _write_all(self) -> None:
        if not self.reply.stream:
            await self._wire.pause((self._script.first_ms or 0) / 1000)
        await self._reach(-1)
        self._status = self.reply.status
        await self._wire.start(self.reply.status, self._headers())
        started = False
        for index, frame in enumerate(self.reply.frames):
            await self._reach(index)
            if self.reply.stream:
                await self._wire.pause(self._delay_s)
                if frame.content and not started:
                    started = True
                    await self._wire.pause((self._script.first_ms or 0) / 1000)
                await self._comment(index)
            await self._emit(frame.data)
            self._sent += 1
            self._events += 1
        await self._reach(len(self.reply.frames))
        await self._finish()

    async def _reach(self, index: int) -> None:
        """Let the faults of this point happen; raises `_Over` if one ends the answer."""
        if index == self._hang_at and self._hang is not None:
            await self._flush()
            await self._wire.pause(self._hang.s)
        if index == self._cut_at and self._cut is not None:
            await self._flush()
            await self._wire.cut(reset=self._cut.reset)
            raise _Over("cut")
        if index == self._error_at and self._error is not None and self.reply.fail is not None:
            await self._emit(self.reply.fail(self._sent, self._error))
            self._events += 1
            await self._finish()
            raise _Over("error")
        if index == self._eof_at:
            await self._finish()
            raise _Over("cut")

    async def _comment(self, index: int) -> None:
        every = self._script.comments
        if every and index % every == 0 and "event-stream" in self.reply.content_type:
            await self._emit(b": sandbox" + self.reply.newline * 2)

    async def _emit(self, data: bytes) -> None:
        if self._script.drip_s is not None:
            for byte in data:
                await self._wire.write(bytes((byte,)))
                await self._wire.pause(self._script.drip_s)
            return
        size = self._script.split
        if not size:
            await self._wire.write(data)
            return
        self._pending += data
        while len(self._pending) >= size:
            await self._wire.write(self._pending[:size])
            self._pending = self._pending[size:]

    async def _flush(self) -> None:
        if self._pending:
            await self._wire.write(self._pending)
            self._pending = b""

    async def _finish(self) -> None:
        await self._flush()
        await self._wire.finish()

    def _headers(self) -> list[tuple[str, str]]:
        headers = {"content-type": self.reply.content_type, **dict(self.reply.headers)}
        if self.reply.stream:
            headers["cache-control"] = "no-cache"
        elif self._eof_at is None:
            headers["content-length"] = str(sum(len(frame.data) for frame in self.reply.frames))
        for name, value in (self._script.headers or {}).items():
            headers[name.lower()] = value
        return list(headers.items())


def _breakable(reply: Reply, script: Script) -> Reply:
    """A whole body in two halves, if the script wants to stop in its middle."""
    if script.cut is None and script.hang is None and script.eof is None:
        return reply
    (body,) = reply.frames
    middle = len(body.data) // 2
    head = Frame(data=body.data[:middle], content=True, output=body.output)
    tail = msgspec.structs.replace(body, data=body.data[middle:])
    return msgspec.structs.replace(reply, frames=(head, tail))
