"""An answer as it goes on the wire: frames that know what they mean."""

from collections.abc import Callable

import msgspec

from aibridge_sandbox.script import StreamError
from aibridge_sandbox.world.usage import Usage


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream, or one whole body."""

    data: bytes
    content: bool = False
    """Whether it carries something the model generated."""
    terminal: bool = False
    reports: bool = False
    """Whether it carries the usage a client may bill by."""
    output: int = 0
    """Output tokens generated up to and with this frame."""
    reasoning: int = 0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a vendor says to one request."""

    status: int
    content_type: str
    frames: tuple[Frame, ...]
    prompt: Usage = Usage()
    """The input buckets, billed once content was generated."""
    stream: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    fail: Callable[[int, StreamError], bytes] | None = None
    """The error event of this stream, if it breaks after so many frames."""
    newline: bytes = b"\n"

    def truth(self, frames_sent: int) -> Usage:
        """What the vendor would bill after so many frames: nothing before there was content."""
        sent = self.frames[:frames_sent]
        if not any(frame.content or frame.reports for frame in sent):
            return Usage()
        return msgspec.structs.replace(
            self.prompt, output=sent[-1].output, reasoning=sent[-1].reasoning
        )


class Tape:
    """Collects frames and counts the tokens generated so far."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.output = 0
        self.reasoning = 0

    def add(
        self,
        data: bytes,
        *,
        content: bool = False,
        terminal: bool = False,
        reports: bool = False,
        output: int = 0,
        reasoning: int = 0,
    ) -> None:
        """One frame; its tokens are added to those before."""
        self.output += output
        self.reasoning += reasoning
        self.frames.append(
            Frame(
                data=data,
                content=content,
                terminal=terminal,
                reports=reports,
                output=self.output,
                reasoning=self.reasoning,
            )
        )


def whole(
    data: bytes,
    *,
    prompt: Usage,
    output: int = 0,
    reasoning: int = 0,
    reports: bool = True,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """A 200 with one JSON body."""
    frame = Frame(
        data=data, content=True, terminal=True, reports=reports, output=output, reasoning=reasoning
    )
    return Reply(
        status=200,
        content_type="application/json",
        frames=(frame,),
        prompt=prompt,
        headers=headers,
    )
