"""The hub's blocks in this dialect."""

import base64
import binascii
import re

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Block,
    Data,
    Document,
    Image,
    Opaque,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import short_tool_name
from aibridge_router.canonical.profile import Profile
from aibridge_router.dialects.anthropic_messages.caching import Markers
from aibridge_router.dialects.anthropic_messages.wire import (
    Base64Source,
    BlockWritten,
    CacheControl,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RedactedThinkingBlock,
    ResultPart,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolResultWritten,
    ToolUseBlock,
    UrlSource,
)

TOOL_NAME_CHARACTERS_MAX = 128
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
CALL_ID_PREFIX = "tc_"

_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_IMAGE_TYPE_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
_FETCHED = ("https://", "http://")
_ANY_DETAIL = frozenset({None, "auto", "original"})
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.encode


class BlockWriter:
    """Writes blocks for one model. Raises `CannotSay` naming the turn whose block it cannot say."""

    def __init__(self, profile: Profile, losses: Losses, markers: Markers) -> None:
        self._provider = profile.provider
        self._capabilities = profile.capabilities
        self._losses = losses
        self._markers = markers

    def write(self, block: Block, turn: int) -> BlockWritten | None:
        """A block outside of tool results; None for one that is left out."""
        match block:
            case Text():
                return self._text(block)
            case ToolCall():
                return self._call(block, turn)
            case ToolResult():
                return self._result(block, turn)
            case Image() | Document() | Opaque():
                return self._part(block, turn)
            case Thinking():
                return self._thinking(block)
            case Refusal():
                return TextBlock(text=block.text) if block.text.strip() else None
            case _:
                raise _cannot_say(turn, "audio is not supported on this model")

    def said_by_model(self, block: Block, turn: int) -> BlockWritten | None:
        """A block of an assistant turn, where the vendor takes no pictures and no files."""
        if isinstance(block, Image) or (isinstance(block, Document) and block.text is None):
            raise _cannot_say(turn, "an assistant turn has no images or files here")
        if isinstance(block, Document):
            return _inlined(block, self._markers.take(block.cache))
        return self.write(block, turn)

    def _text(self, block: Text) -> TextBlock | None:
        """The vendor refuses blank ones."""
        if not block.text or block.text.isspace():
            return None
        return TextBlock(text=block.text, cache_control=self._markers.take(block.cache))

    def _part(
        self, block: Text | Image | Document | Opaque, turn: int
    ) -> TextBlock | ImageBlock | DocumentBlock | Raw | None:
        match block:
            case Text():
                return self._text(block)
            case Image():
                return self._image(block, turn)
            case Document():
                return self._document(block, turn)
            case _:
                if block.dialect is Dialect.ANTHROPIC_MESSAGES:
                    return block.raw
                self._losses.drop("extras")
                return None

    def _call(self, block: ToolCall, turn: int) -> ToolUseBlock:
        return ToolUseBlock(
            id=block.id,
            name=short_tool_name(block.name, TOOL_NAME_CHARACTERS_MAX),
            input=_input(block, turn),
            cache_control=self._markers.take(block.cache),
        )

    def _result(self, block: ToolResult, turn: int) -> ToolResultWritten:
        parts: list[ResultPart | Raw] = []
        for part in block.blocks:
            written = self._part(part, turn)
            if written is not None:
                parts.append(written)
        return ToolResultWritten(
            tool_use_id=block.call_id,
            content=parts or None,
            is_error=block.is_error,
            cache_control=self._markers.take(block.cache),
        )

    def _thinking(self, block: Thinking) -> ThinkingBlock | RedactedThinkingBlock | None:
        if block.state is None or block.state.provider != self._provider:
            self._losses.drop("thinking")
            return None
        if block.redacted:
            return RedactedThinkingBlock(data=block.state.data)
        return ThinkingBlock(thinking=block.text, signature=block.state.data)

    def _image(self, block: Image, turn: int) -> ImageBlock:
        if not self._capabilities.vision:
            raise _cannot_say(turn, "this model cannot see images")
        if block.detail not in _ANY_DETAIL:
            self._losses.drop("image_detail")
        source = _source(block.source, turn)
        if isinstance(source, Base64Source) and source.media_type not in _IMAGE_TYPES:
            media_type = _IMAGE_TYPE_ALIASES.get(source.media_type.lower())
            if media_type is None:
                raise _cannot_say(turn, f"{source.media_type} images are not supported")
            source = Base64Source(media_type=media_type, data=source.data)
        return ImageBlock(source=source, cache_control=self._markers.take(block.cache))

    def _document(self, block: Document, turn: int) -> DocumentBlock | TextBlock:
        mark = self._markers.take(block.cache)
        source = block.source
        if source is None or (isinstance(source, Data) and source.media_type.startswith("text/")):
            text = _decoded(source, turn) if isinstance(source, Data) else block.text or ""
            if not self._capabilities.documents:
                return _inlined(Document(text=text, title=block.title), mark)
            return DocumentBlock(
                source=TextSource(data=text), title=block.title, cache_control=mark
            )
        if not self._capabilities.documents:
            raise _cannot_say(turn, "this model cannot read documents")
        if isinstance(source, Data) and source.media_type != "application/pdf":
            raise _cannot_say(turn, f"{source.media_type} documents are not supported")
        return DocumentBlock(source=_source(source, turn), title=block.title, cache_control=mark)


def _cannot_say(turn: int, reason: str) -> CannotSay:
    place = f"messages.{turn}"
    return CannotSay(f"{place}: {reason}", param=place)


def _input(block: ToolCall, turn: int) -> Raw:
    if block.custom:
        return Raw(_encode({"input": block.arguments}))
    arguments = block.arguments.strip() or "{}"
    try:
        _decode_object(arguments)
    except msgspec.DecodeError:
        raise _cannot_say(
            turn, f"the arguments of the call to {block.name} are not a JSON object"
        ) from None
    return Raw(arguments.encode())


def _inlined(block: Document, mark: CacheControl | None) -> TextBlock:
    title = f"{block.title}\n\n" if block.title else ""
    return TextBlock(text=f"{title}{block.text or ''}", cache_control=mark)


def _decoded(source: Data, turn: int) -> str:
    try:
        return base64.b64decode(source.base64).decode(errors="replace")
    except binascii.Error:
        raise _cannot_say(turn, "the document is not base64") from None


def _source(source: Source, turn: int) -> Base64Source | UrlSource | FileSource:
    match source:
        case Data():
            return Base64Source(media_type=source.media_type, data=source.base64)
        case Url():
            if not source.url.startswith(_FETCHED):
                raise _cannot_say(turn, "only http(s) URLs can be fetched")
            return UrlSource(url=source.url)
        case _:
            if source.dialect is not Dialect.ANTHROPIC_MESSAGES:
                raise _cannot_say(turn, "the file lives at another provider")
            return FileSource(file_id=source.id)
