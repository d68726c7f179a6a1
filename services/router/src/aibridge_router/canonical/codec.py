"""What every dialect offers the hub. All of it is pure: bytes and structs in, bytes and structs out."""

from typing import Protocol

from msgspec import Struct

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.events import Event
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.canonical.response import Answer


class VendorError(Struct, frozen=True, kw_only=True):
    """A vendor's refusal in the hub's words. `code` is one of `aibridge_common.errors`' codes."""

    code: str
    message: str
    param: str | None = None


class AnswerContext(Struct, frozen=True, kw_only=True):
    """What an encoder of answers must know beside the answer.

    `model` and `provider` are those that really answered. `created_s` is a Unix time. `show_usage` is False for a chat
    client that did not ask for the usage of its stream. `tool_names` maps names that were shortened for the vendor back
    to the client's own; `custom_tools` are the client's names of its free-text tools.
    """

    request_id: str
    model: str
    provider: str
    created_s: int
    show_usage: bool = True
    tool_names: dict[str, str] = {}
    custom_tools: frozenset[str] = frozenset()


class StreamDecoder(Protocol):
    """Turns a vendor's stream into events. Feed it bytes as they come."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `FrameTooLong` or `msgspec.DecodeError`."""
        ...


class StreamEncoder(Protocol):
    """Turns events into a client's stream."""

    def feed(self, event: Event) -> bytes:
        """Complete frames, possibly none yet."""
        ...


class Codec(Protocol):
    """One dialect."""

    dialect: Dialect

    def request_from_wire(self, body: bytes) -> Request:
        """Raises `InvalidRequest` naming the field that is wrong."""
        ...

    def request_to_wire(self, request: Request, profile: Profile, losses: Losses) -> bytes:
        """The request for a model. Raises `CannotSay` naming the field that this target cannot say."""
        ...

    def answer_from_wire(self, body: bytes, provider: str) -> Answer:
        """Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for one that failed."""
        ...

    def answer_to_wire(self, answer: Answer, context: AnswerContext) -> bytes:
        """The answer for a client."""
        ...

    def decoder(self, provider: str) -> StreamDecoder:
        """A fresh decoder for one stream."""
        ...

    def encoder(self, context: AnswerContext) -> StreamEncoder:
        """A fresh encoder for one stream."""
        ...

    def error_from_wire(self, status: int, body: bytes) -> VendorError:
        """What the vendor says went wrong; never raises, whatever the body is."""
        ...
