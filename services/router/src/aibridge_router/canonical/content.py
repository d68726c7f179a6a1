"""The blocks that conversations are made of, whatever the dialect.

The set is closed. What no block can say is `Opaque`: kept as it came and given back only to the dialect it came from.
A field enters here when two dialects can say it, never for one vendor.
"""

from typing import Literal

from msgspec import Raw, Struct

from aibridge_common.dialect import Dialect


class CacheMark(Struct, frozen=True, kw_only=True):
    """Everything up to here is worth caching."""

    lifetime: Literal["5m", "1h"] = "5m"


class State(Struct, frozen=True, kw_only=True):
    """What a vendor gave to get back unchanged: a thinking signature, encrypted reasoning, a thought signature.

    It is worth something to that provider only; everyone else is sent the block without it.
    """

    provider: str
    data: str


class Data(Struct, frozen=True, kw_only=True, tag="data"):
    """Bytes in base64, as they came."""

    media_type: str
    base64: str


class Url(Struct, frozen=True, kw_only=True, tag="url"):
    """Something to be fetched."""

    url: str


class FileId(Struct, frozen=True, kw_only=True, tag="file"):
    """A file that lives at one provider."""

    dialect: Dialect
    id: str


Source = Data | Url | FileId


class Text(Struct, frozen=True, kw_only=True, tag="text"):
    """Plain text."""

    text: str
    cache: CacheMark | None = None


class Image(Struct, frozen=True, kw_only=True, tag="image"):
    """A picture. `detail` is OpenAI's low, high or auto."""

    source: Source
    detail: str | None = None
    cache: CacheMark | None = None


class Document(Struct, frozen=True, kw_only=True, tag="document"):
    """A PDF or another file; a text document has `text` and no source."""

    source: Source | None = None
    text: str | None = None
    title: str | None = None
    cache: CacheMark | None = None


class Audio(Struct, frozen=True, kw_only=True, tag="audio"):
    """Sound."""

    source: Data


class Thinking(Struct, frozen=True, kw_only=True, tag="thinking"):
    """A model's reasoning; `text` is empty where the vendor hides it and only `state` stands for it."""

    text: str = ""
    state: State | None = None
    redacted: bool = False


class ToolCall(Struct, frozen=True, kw_only=True, tag="tool_call"):
    """The model wants a tool run. `arguments` is JSON text of an object, or free text where `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    state: State | None = None
    cache: CacheMark | None = None


class ToolResult(Struct, frozen=True, kw_only=True, tag="tool_result"):
    """What the tool answered: text, images and documents."""

    call_id: str
    blocks: list["Text | Image | Document | Opaque"]
    is_error: bool = False
    custom: bool = False
    cache: CacheMark | None = None


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal"):
    """The model declined, in its own words."""

    text: str


class Opaque(Struct, frozen=True, kw_only=True, tag="opaque"):
    """A block that only its own dialect knows."""

    dialect: Dialect
    kind: str
    raw: Raw


Block = Text | Image | Document | Audio | Thinking | ToolCall | ToolResult | Refusal | Opaque
