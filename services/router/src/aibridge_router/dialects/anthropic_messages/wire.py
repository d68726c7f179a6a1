"""Requests of Anthropic Messages on the wire, and the blocks that answers share with them.

Structs that are read ignore members they do not know. What is only carried (schemas, arguments, citations) stays `Raw`,
which is empty where the member is absent. Blocks are listed as `Raw`, since a block of an unknown type must survive.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

Count = Annotated[int, Meta(ge=1, le=100_000_000)]
ModelName = Annotated[str, Meta(min_length=1, max_length=200)]

ABSENT = frozenset({b"", b"null", b"[]", b"{}", b"false"})
"""Spellings of nothing."""


class CacheControl(Struct, frozen=True, omit_defaults=True, tag="ephemeral"):
    """A cache marker; the vendor's lifetime without `ttl` is five minutes."""

    ttl: str | None = None


class Citations(Struct, frozen=True):
    """Whether a document may be cited."""

    enabled: bool | None = None


class TextBlock(Struct, frozen=True, omit_defaults=True, tag="text"):
    """`text`."""

    text: str
    cache_control: CacheControl | None = None
    citations: Raw = Raw()


class Base64Source(Struct, frozen=True, tag="base64"):
    """Bytes in base64."""

    media_type: str
    data: str


class UrlSource(Struct, frozen=True, tag="url"):
    """Something the vendor fetches."""

    url: str


class FileSource(Struct, frozen=True, tag="file"):
    """A file uploaded to the vendor."""

    file_id: str


class TextSource(Struct, frozen=True, tag="text"):
    """A document in plain text."""

    data: str
    media_type: str = "text/plain"


class ContentSource(Struct, frozen=True, tag="content"):
    """A document made of blocks."""

    content: str | list[Raw]


class ImageBlock(Struct, frozen=True, omit_defaults=True, tag="image"):
    """`image`."""

    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None


class DocumentBlock(Struct, frozen=True, omit_defaults=True, tag="document"):
    """`document`; `context` is told to the model and never cited."""

    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None
    cache_control: CacheControl | None = None


class SearchResultBlock(Struct, frozen=True, tag="search_result"):
    """`search_result`: what the client found, for the model to cite."""

    source: str
    title: str
    content: list[TextBlock]
    cache_control: CacheControl | None = None


class ThinkingBlock(Struct, frozen=True, tag="thinking"):
    """`thinking`."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Struct, frozen=True, tag="redacted_thinking"):
    """`redacted_thinking`."""

    data: str


class ToolUseBlock(Struct, frozen=True, omit_defaults=True, tag="tool_use"):
    """`tool_use`; `input` is an object."""

    id: str
    name: str
    input: Raw
    cache_control: CacheControl | None = None


class ToolReferenceBlock(Struct, frozen=True, tag="tool_reference"):
    """`tool_reference`: a deferred tool that is loaded now."""

    tool_name: str


class ToolResultBlock(Struct, frozen=True, tag="tool_result"):
    """`tool_result` as it is read."""

    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


ResultPart = TextBlock | ImageBlock | DocumentBlock


class ToolResultWritten(Struct, frozen=True, omit_defaults=True, tag="tool_result"):
    """`tool_result` as it is written."""

    tool_use_id: str
    content: list[ResultPart | Raw] | None = None
    is_error: bool = False
    cache_control: CacheControl | None = None


BlockWritten = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultWritten
    | Raw
)


class Message(Struct, frozen=True):
    """A message as it is read; `clear_at` and `output_config` stand on system messages only."""

    role: str
    content: str | list[Raw] = ""
    clear_at: str | None = None
    output_config: Raw = Raw()


class MessageWritten(Struct, frozen=True):
    """A message as it is written."""

    role: str
    content: list[BlockWritten]


class ToolWire(Struct, frozen=True, omit_defaults=True):
    """A tool the client runs; a `type` other than `custom` names one of the vendor's own."""

    name: str = ""
    description: str | None = None
    input_schema: Raw = Raw()
    strict: bool | None = None
    defer_loading: bool | None = None
    cache_control: CacheControl | None = None
    type: str | None = None


class ToolChoiceWire(Struct, frozen=True, omit_defaults=True):
    """`tool_choice`."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(Struct, frozen=True, omit_defaults=True):
    """`thinking`."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class JsonFormat(Struct, frozen=True):
    """`output_config.format`."""

    type: str
    schema: Raw = Raw()


class OutputConfig(Struct, frozen=True):
    """`output_config`."""

    effort: str | None = None
    format: JsonFormat | None = None


class Metadata(Struct, frozen=True):
    """`metadata`."""

    user_id: str | None = None


class MessagesRequest(Struct, frozen=True):
    """The members of a request that the hub has words for."""

    model: ModelName
    messages: list[Message]
    max_tokens: Count | None = None
    system: str | list[TextBlock] | None = None
    tools: list[ToolWire] | None = None
    tool_choice: ToolChoiceWire | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    metadata: Metadata | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stream: bool | None = None
    cache_control: CacheControl | None = None
