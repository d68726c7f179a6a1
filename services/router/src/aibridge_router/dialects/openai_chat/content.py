"""Content parts of Chat and the hub's blocks."""

import re
from collections.abc import Sequence

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    Block,
    CacheMark,
    Data,
    Document,
    FileId,
    Image,
    Opaque,
    Refusal,
    Source,
    Text,
    Url,
)
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.dialects.openai_chat.wire import CacheControl, Part

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,(.*)", re.DOTALL)
_PDF = "application/pdf"
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}

Wire = dict[str, object]


def cache_mark(control: CacheControl | None) -> CacheMark | None:
    """Anthropic's marker in a chat body."""
    if control is None:
        return None
    return CacheMark(lifetime="1h" if control.ttl == "1h" else "5m")


def source_of(url: str) -> Source:
    """A data URL's bytes, or the address."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        return Url(url=url)
    return Data(media_type=match[1] or "application/octet-stream", base64=match[2])


def part_from_wire(part: Part, place: str) -> Block:
    """A content part as a block. Raises `InvalidRequest` naming the member that is missing or unknown."""
    mark = cache_mark(part.cache_control)
    if part.type in {"text", "input_text", "output_text"} and part.text is not None:
        return Text(text=part.text, cache=mark)
    if part.type == "refusal" and part.refusal is not None:
        return Refusal(text=part.refusal)
    if part.type in {"image_url", "input_image"} and part.image_url is not None:
        image = part.image_url
        url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
        return Image(source=source_of(url), detail=detail, cache=mark)
    if part.type == "file" and part.file is not None:
        return _file_from_wire(part, place)
    if part.type == "input_audio" and part.input_audio is not None:
        audio = part.input_audio
        media_type = "audio/mpeg" if audio.format == "mp3" else f"audio/{audio.format}"
        return Audio(source=Data(media_type=media_type, base64=audio.data))
    raise InvalidRequest(
        f"{place}: {part.type!r} is not a content part, or lacks its content", param=place
    )


def _file_from_wire(part: Part, place: str) -> Block:
    file = part.file
    assert file is not None
    mark = cache_mark(part.cache_control)
    if file.file_data is not None:
        return Document(source=source_of(file.file_data), title=file.filename, cache=mark)
    if file.file_id is not None:
        source = FileId(dialect=Dialect.OPENAI_CHAT, id=file.file_id)
        return Document(source=source, title=file.filename, cache=mark)
    raise InvalidRequest(f"{place}.file: file_data or file_id is needed", param=f"{place}.file")


def parts_to_wire(
    blocks: Sequence[Block], profile: Profile, losses: Losses, place: str
) -> str | list[Wire]:
    """Blocks as `content`: a plain string where there is one text only. Raises `CannotSay`."""
    parts = [part for block in blocks if (part := _part_to_wire(block, profile, losses, place))]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part_to_wire(block: Block, profile: Profile, losses: Losses, place: str) -> Wire | None:
    if isinstance(block, Text | Image | Document) and block.cache is not None:
        losses.drop("cache_control")
    match block:
        case Text():
            return {"type": "text", "text": block.text} if block.text else None
        case Image():
            return {"type": "image_url", "image_url": _image_to_wire(block, profile, place)}
        case Document():
            return _document_to_wire(block, profile, place)
        case Audio():
            return _audio_to_wire(block, profile, place)
        case Refusal():
            return {"type": "text", "text": block.text}
        case Opaque():
            losses.drop("extras")
            return None
        case _:
            return None


def _image_to_wire(image: Image, profile: Profile, place: str) -> Wire:
    if not profile.capabilities.vision:
        raise CannotSay(f"{profile.upstream_model} cannot see images", param=place)
    if isinstance(image.source, FileId):
        raise CannotSay("a file of another provider cannot be sent", param=place)
    wire: Wire = {"url": _url_of(image.source)}
    if image.detail is not None:
        wire["detail"] = image.detail
    return wire


def text_of(block: Text | Document) -> str:
    """What a text or a text document says."""
    title = f"{block.title}\n\n" if isinstance(block, Document) and block.title else ""
    return title + (block.text or "")


def _document_to_wire(document: Document, profile: Profile, place: str) -> Wire:
    source = document.source
    if source is None:
        return {"type": "text", "text": text_of(document)}
    if not profile.capabilities.documents:
        raise CannotSay(f"{profile.upstream_model} cannot read documents", param=place)
    if isinstance(source, FileId):
        if source.dialect is not Dialect.OPENAI_CHAT:
            raise CannotSay("a file of another provider cannot be sent", param=place)
        return {"type": "file", "file": {"file_id": source.id}}
    if isinstance(source, Url):
        raise CannotSay("a document can be sent by content only, not by URL", param=place)
    name = document.title or ("document.pdf" if source.media_type == _PDF else "document")
    return {"type": "file", "file": {"filename": name, "file_data": _url_of(source)}}


def _audio_to_wire(audio: Audio, profile: Profile, place: str) -> Wire:
    media_type = audio.source.media_type
    if not profile.capabilities.audio:
        raise CannotSay(f"{profile.upstream_model} cannot hear audio", param=place)
    kind = _AUDIO_FORMATS.get(media_type)
    if kind is None:
        raise CannotSay(f"{media_type} cannot be sent, only WAV and MP3", param=place)
    return {"type": "input_audio", "input_audio": {"data": audio.source.base64, "format": kind}}


def _url_of(source: Data | Url) -> str:
    if isinstance(source, Url):
        return source.url
    return f"data:{source.media_type};base64,{source.base64}"
