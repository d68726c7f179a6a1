"""Blocks of this dialect as the hub's."""

import msgspec
from msgspec import Raw, structs

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Block,
    CacheMark,
    Data,
    Document,
    FileId,
    Image,
    Opaque,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.dialects.anthropic_messages.answer_wire import KindOnly
from aibridge_router.dialects.anthropic_messages.places import invalid_at, invalid_within
from aibridge_router.dialects.anthropic_messages.states import (
    NATIVE_PROVIDER,
    call_state_from_wire,
    state_from_wire,
)
from aibridge_router.dialects.anthropic_messages.wire import (
    ABSENT,
    Base64Source,
    CacheControl,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
)

KnownBlock = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolReferenceBlock
    | ToolResultBlock
)


_decode = msgspec.json.Decoder(KnownBlock).decode
_decode_kind = msgspec.json.Decoder(KindOnly).decode
_KINDS = frozenset(str(kind.__struct_config__.tag) for kind in KnownBlock.__args__)


class BlockReader:
    """Reads the blocks of one body and remembers what the hub's blocks have no room for, in `drops`.

    State that we did not pack is `provider`'s.
    """

    def __init__(self, provider: str = NATIVE_PROVIDER) -> None:
        self._provider = provider
        self.drops: dict[str, None] = {}

    def read(self, content: str | list[Raw], place: str) -> list[Block]:
        """The blocks of one message at `place`. Raises `InvalidRequest` naming the member that is wrong."""
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        blocks: list[Block] = []
        states: dict[str, State] = {}
        for index, raw in enumerate(content):
            try:
                block = _decode(raw)
            except msgspec.DecodeError as error:
                blocks.append(_opaque(raw, f"{place}.{index}", error))
                continue
            of_call = (
                call_state_from_wire(block.signature) if type(block) is ThinkingBlock else None
            )
            if of_call is not None:
                states[of_call[0]] = of_call[1]
            else:
                blocks += self._blocks(block, f"{place}.{index}")
        return _with_states(blocks, states) if states else blocks

    def _result(self, block: ToolResultBlock, place: str) -> ToolResult:
        parts: list[Text | Image | Document | Opaque] = []
        for part in self.read(block.content or "", f"{place}.content"):
            if not isinstance(part, Text | Image | Document | Opaque):
                raise invalid_at(f"{place}.content", "a tool result has texts, images, documents")
            parts.append(part)
        return ToolResult(
            call_id=block.tool_use_id,
            blocks=parts,
            is_error=bool(block.is_error),
            cache=mark_from_wire(block.cache_control),
        )

    def _blocks(self, block: KnownBlock, place: str) -> list[Block]:
        match block:
            case TextBlock():
                self._note_citations(block)
                mark = mark_from_wire(block.cache_control)
                return [Text(text=block.text, cache=mark)] if block.text else []
            case ToolUseBlock():
                return [_call(block, place)]
            case ToolResultBlock():
                return [self._result(block, place)]
            case ThinkingBlock():
                state = state_from_wire(block.signature, self._provider)
                return [Thinking(text=block.thinking, state=state)]
            case RedactedThinkingBlock():
                state = state_from_wire(block.data, self._provider)
                return [Thinking(redacted=True, state=state)]
            case ImageBlock():
                mark = mark_from_wire(block.cache_control)
                return [Image(source=_source(block.source), cache=mark)]
            case DocumentBlock():
                return self._document(block, place)
            case SearchResultBlock():
                self.drops["citations"] = None
                found = "\n\n".join(part.text for part in block.content)
                text = f"{block.title}\n{block.source}\n\n{found}"
                return [Text(text=text, cache=mark_from_wire(block.cache_control))]
            case _:
                return [Text(text=f"Tool loaded: {block.tool_name}")]

    def _document(self, block: DocumentBlock, place: str) -> list[Block]:
        if block.citations is not None and block.citations.enabled:
            self.drops["citations"] = None
        mark = mark_from_wire(block.cache_control)
        blocks: list[Block] = [Text(text=block.context)] if block.context else []
        match block.source:
            case TextSource(data=text):
                blocks.append(Document(text=text, title=block.title, cache=mark))
            case ContentSource(content=content):
                parts = self.read(content, f"{place}.source.content")
                text = "\n\n".join(part.text for part in parts if isinstance(part, Text))
                blocks += [part for part in parts if isinstance(part, Image | Opaque)]
                blocks.append(Document(text=text, title=block.title, cache=mark))
            case source:
                blocks.append(Document(source=_source(source), title=block.title, cache=mark))
        return blocks

    def _note_citations(self, block: TextBlock) -> None:
        citations = bytes(block.citations)
        if citations and citations not in ABSENT:
            self.drops["citations"] = None


def mark_from_wire(control: CacheControl | None) -> CacheMark | None:
    """A cache marker."""
    if control is None:
        return None
    return CacheMark(lifetime="1h" if control.ttl == "1h" else "5m")


def _source(source: Base64Source | UrlSource | FileSource) -> Data | Url | FileId:
    match source:
        case Base64Source():
            return Data(media_type=source.media_type, base64=source.data)
        case UrlSource():
            return Url(url=source.url)
        case _:
            return FileId(dialect=Dialect.ANTHROPIC_MESSAGES, id=source.file_id)


def _call(block: ToolUseBlock, place: str) -> ToolCall:
    arguments = bytes(block.input)
    if not arguments.startswith(b"{"):
        raise invalid_at(f"{place}.input", "Expected `object`")
    return ToolCall(
        id=block.id,
        name=block.name,
        arguments=arguments.decode(),
        cache=mark_from_wire(block.cache_control),
    )


def _opaque(raw: Raw, place: str, error: msgspec.DecodeError) -> Opaque:
    """A block of a type that we do not know; a known one that is wrong is refused."""
    try:
        kind = _decode_kind(raw).type
    except msgspec.DecodeError as unreadable:
        raise invalid_within(place, unreadable) from None
    if kind in _KINDS:
        raise invalid_within(place, error) from None
    return Opaque(dialect=Dialect.ANTHROPIC_MESSAGES, kind=kind, raw=raw)


def _with_states(blocks: list[Block], states: dict[str, State]) -> list[Block]:
    return [
        structs.replace(block, state=states[block.id])
        if isinstance(block, ToolCall) and block.id in states
        else block
        for block in blocks
    ]
