"""How an answer travels from the vendor to the client: what an exchange asks of both ways, as bytes or converted."""

from typing import Protocol

from aibridge_common.errors import AIBridgeError
from aibridge_common.usage import Usage
from aibridge_router.canonical.codec import AnswerContext


class CarriedStream(Protocol):
    """A stream on its way; reads what it needs for settlement in passing."""

    usage: Usage | None
    usage_is_final: bool
    terminal: bool
    """Whether the vendor's own end of stream was seen."""
    failed: bool
    """Whether the vendor ended the stream with an error event."""
    started: bool
    """Whether the vendor said anything that is a stream."""

    committed: bool
    """Whether a piece of the answer, or its end, was seen: the commit point."""

    def feed(self, data: bytes) -> bytes:
        """Bytes for the client. Raises `FrameTooLong` or `msgspec.DecodeError` for a stream that is none."""
        ...

    @property
    def output_estimate(self) -> int:
        """Tokens of answer that passed, for a stream that ends without saying."""
        ...

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """The frames that end a stream in its middle as one ends at its output limit, with what was used.

        `choices` is how many answers were asked for.
        """
        ...


class Carriage(Protocol):
    """One way of carrying answers."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """What a conversion left out of the request."""
        ...

    def answer(self, body: bytes, context: AnswerContext) -> tuple[bytes, Usage | None]:
        """A whole answer for the client, and its usage where it states one.

        Raises `msgspec.DecodeError` or `UnfinishedAnswer` for what is no answer.
        """
        ...

    def stream(self, context: AnswerContext) -> CarriedStream:
        """A fresh stream."""
        ...

    def refusal(self, status: int, body: bytes, key: str) -> bytes | AIBridgeError | None:
        """The vendor's refusal as the client may see it: its own bytes, or an error to be rendered.

        None where it concerns our key or the vendor's health and is said in our own words.
        """
        ...

    def stream_error(
        self, error: AIBridgeError, context: AnswerContext, stream: CarriedStream | None
    ) -> bytes:
        """The frames that end a started stream with an error, in the state it is in."""
        ...
