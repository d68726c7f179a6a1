"""The hub's blocks in this dialect."""

import base64
import binascii
import re

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Audio,
    Block,
    Data,
    Document,
    FileId,
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

    def write(self, block: Block, place: str) -> BlockWritten | None:
        """A block outside of tool results; None for one that is left out."""
        match block:
            case Text() | Image() | Document() | Opaque():
                return self._part(block, place)
            case ToolCall():
                return self._call(block, place)
            case ToolResult():
                return self._result(block, place)
            case Thinking():
                return self._thinking(block)
            case Refusal():
                return TextBlock(text=block.text) if block.text.strip() else None
            case Audio():
                raise CannotSay(f"{place}: audio is not supported on this model", param=place)

    def said_by_model(self, block: Block, place: str) -> BlockWritten | None:
        """A block of an assistant turn, where the vendor takes no pictures and no files."""
        if isinstance(block, Image) or (isinstance(block, Document) and block.text is None):
            raise CannotSay(f"{place}: an assistant turn has no images or files here", param=place)
        if isinstance(block, Document):
            return _inlined(block, self._markers.take(block.cache))
        return self.write(block, place)

    def _part(
        self, block: Text | Image | Document | Opaque, place: str
    ) -> TextBlock | ImageBlock | DocumentBlock | Raw | None:
        match block:
            case Text():
                # The vendor refuses blank text blocks.
                if not block.text.strip():
                    return None
                return TextBlock(text=block.text, cache_control=self._markers.take(block.cache))
            case Image():
                return self._image(block, place)
            case Document():
                return self._document(block, place)
            case Opaque():
                if block.dialect is Dialect.ANTHROPIC_MESSAGES:
                    return block.raw
                self._losses.drop("extras")
                return None

    def _call(self, block: ToolCall, place: str) -> ToolUseBlock:
        return ToolUseBlock(
            id=block.id,
            name=short_tool_name(block.name, TOOL_NAME_CHARACTERS_MAX),
            input=_input(block, place),
            cache_control=self._markers.take(block.cache),
        )

    def _result(self, block: ToolResult, place: str) -> ToolResultWritten:
        parts: list[ResultPart | Raw] = []
        for part in block.blocks:
            written = self._part(part, place)
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

    def _image(self, block: Image, place: str) -> ImageBlock:
        if not self._capabilities.vision:
            raise CannotSay(f"{place}: this model cannot see images", param=place)
        if block.detail not in _ANY_DETAIL:
            self._losses.drop("image_detail")
        source = _source(block.source, place)
        if isinstance(source, Base64Source) and source.media_type not in _IMAGE_TYPES:
            media_type = _IMAGE_TYPE_ALIASES.get(source.media_type.lower())
            if media_type is None:
                raise CannotSay(
                    f"{place}: {source.media_type} images are not supported", param=place
                )
            source = Base64Source(media_type=media_type, data=source.data)
        return ImageBlock(source=source, cache_control=self._markers.take(block.cache))

    def _document(self, block: Document, place: str) -> DocumentBlock | TextBlock:
        mark = self._markers.take(block.cache)
        readable = self._capabilities.documents
        if block.source is None:
            if not readable:
                return _inlined(block, mark)
            text = TextSource(data=block.text or "")
            return DocumentBlock(source=text, title=block.title, cache_control=mark)
        if isinstance(block.source, Data) and block.source.media_type.startswith("text/"):
            text = Document(text=_decoded(block.source, place), title=block.title)
            if not readable:
                return _inlined(text, mark)
            return DocumentBlock(
                source=TextSource(data=text.text or ""), title=block.title, cache_control=mark
            )
        if not readable:
            raise CannotSay(f"{place}: this model cannot read documents", param=place)
        source = _source(block.source, place)
        if isinstance(source, Base64Source) and source.media_type != "application/pdf":
            raise CannotSay(
                f"{place}: {source.media_type} documents are not supported", param=place
            )
        return DocumentBlock(source=source, title=block.title, cache_control=mark)


def _input(block: ToolCall, place: str) -> Raw:
    if block.custom:
        return Raw(_encode({"input": block.arguments}))
    arguments = block.arguments.strip() or "{}"
    try:
        _decode_object(arguments)
    except msgspec.DecodeError:
        raise CannotSay(
            f"{place}: the arguments of the call to {block.name} are not a JSON object", param=place
        ) from None
    return Raw(arguments.encode())


def _inlined(block: Document, mark: CacheControl | None) -> TextBlock:
    title = f"{block.title}\n\n" if block.title else ""
    return TextBlock(text=f"{title}{block.text or ''}", cache_control=mark)


def _decoded(source: Data, place: str) -> str:
    try:
        return base64.b64decode(source.base64).decode(errors="replace")
    except binascii.Error:
        raise CannotSay(f"{place}: the document is not base64", param=place) from None


def _source(source: Source, place: str) -> Base64Source | UrlSource | FileSource:
    match source:
        case Data():
            return Base64Source(media_type=source.media_type, data=source.base64)
        case Url():
            if not source.url.startswith(_FETCHED):
                raise CannotSay(f"{place}: only http(s) URLs can be fetched", param=place)
            return UrlSource(url=source.url)
        case FileId():
            if source.dialect is not Dialect.ANTHROPIC_MESSAGES:
                raise CannotSay(f"{place}: the file lives at another provider", param=place)
            return FileSource(file_id=source.id)
