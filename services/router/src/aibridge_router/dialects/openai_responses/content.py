"""The parts of a message or of a tool's output, and the blocks they stand for."""

from msgspec import UNSET

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical import content as hub
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Capabilities
from aibridge_router.dialects.openai_responses import wire

_DIALECT = Dialect.OPENAI_RESPONSES
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
_PDF = "application/pdf"


def blocks_from_wire(content: str | list[wire.Part]) -> list[hub.Block]:
    """The blocks of a message. Raises `InvalidRequest` with the part's place."""
    if isinstance(content, str):
        return [hub.Text(text=content)]
    blocks: list[hub.Block] = []
    for index, part in enumerate(content):
        try:
            blocks.append(_block(part))
        except InvalidRequest as error:
            error.param = f"{index}.{error.param}"
            raise
    return blocks


def _block(part: wire.Part) -> hub.Block:
    match part:
        case wire.InputText(text=text, prompt_cache_breakpoint=breakpoint_):
            return hub.Text(text=text, cache=_mark(breakpoint_) if breakpoint_ else None)
        case wire.PlainText(text=text) | wire.OutputText(text=text):
            return hub.Text(text=text)
        case wire.RefusalText(refusal=text):
            return hub.Refusal(text=text)
        case wire.InputImage():
            return _image(part)
        case wire.InputFile():
            return _document(part)
        case _:
            return _audio(part.input_audio)


def _mark(breakpoint_: object) -> hub.CacheMark | None:
    if not isinstance(breakpoint_, wire.Breakpoint):
        return None
    return hub.CacheMark(lifetime="1h" if breakpoint_.ttl else "5m")


def _audio(sound: wire.Sound) -> hub.Audio:
    if sound.format not in _AUDIO_TYPES:
        raise InvalidRequest(
            f"input_audio: format must be mp3 or wav, not {sound.format!r}",
            param="input_audio.format",
        )
    media_type = _AUDIO_TYPES[sound.format]
    return hub.Audio(source=hub.Data(media_type=media_type, base64=sound.data))


def _image(part: wire.InputImage) -> hub.Image:
    detail = part.detail or None
    cache = _mark(part.prompt_cache_breakpoint)
    if part.file_id:
        source: hub.Source = hub.FileId(dialect=_DIALECT, id=part.file_id)
    elif part.image_url:
        source = _source(part.image_url, "image_url")
    else:
        raise InvalidRequest("input_image: image_url or file_id is needed", param="image_url")
    return hub.Image(source=source, detail=None if detail == "auto" else detail, cache=cache)


def _document(part: wire.InputFile) -> hub.Document:
    if part.file_id:
        source: hub.Source = hub.FileId(dialect=_DIALECT, id=part.file_id)
    elif part.file_url:
        source = hub.Url(url=part.file_url)
    elif part.file_data and part.file_data.startswith("data:"):
        source = _source(part.file_data, "file_data")
    elif part.file_data:
        source = hub.Data(media_type=_PDF, base64=part.file_data)
    else:
        raise InvalidRequest(
            "input_file: file_data, file_url or file_id is needed", param="file_data"
        )
    cache = _mark(part.prompt_cache_breakpoint)
    return hub.Document(source=source, title=part.filename or None, cache=cache)


def _source(url: str, field: str) -> hub.Source:
    if not url.startswith("data:"):
        return hub.Url(url=url)
    head, comma, data = url[5:].partition(",")
    media_type, marker, _ = head.partition(";base64")
    if not comma or not marker:
        raise InvalidRequest(f"{field}: a data URL must be base64", param=field)
    return hub.Data(media_type=media_type, base64=data)


def part_to_wire(
    block: hub.Text | hub.Image | hub.Document | hub.Audio,
    capabilities: Capabilities,
    losses: Losses,
) -> wire.Part:
    """The part of a user's message or of a tool's output. Raises `CannotSay`."""
    match block:
        case hub.Text(text=text):
            part: wire.Part = wire.InputText(text=text)
        case hub.Image():
            if not capabilities.vision:
                raise CannotSay("this model cannot see images")
            part = _image_to_wire(block)
        case hub.Document():
            part = _document_to_wire(block, capabilities)
        case _:
            return _audio_to_wire(block.source, capabilities)
    if block.cache is not None:
        losses.drop("cache_control")
    return part


def _audio_to_wire(source: hub.Data, capabilities: Capabilities) -> wire.InputAudio:
    if not capabilities.audio or source.media_type not in _AUDIO_FORMATS:
        raise CannotSay("this model cannot hear audio, or not of this format")
    sound = wire.Sound(data=source.base64, format=_AUDIO_FORMATS[source.media_type])
    return wire.InputAudio(input_audio=sound)


def _image_to_wire(block: hub.Image) -> wire.InputImage:
    detail = block.detail or "auto"
    match block.source:
        case hub.Data(media_type=media_type, base64=data):
            return wire.InputImage(image_url=f"data:{media_type};base64,{data}", detail=detail)
        case hub.Url(url=url):
            return wire.InputImage(image_url=url, detail=detail)
        case source:
            return wire.InputImage(file_id=_own_file(source), detail=detail)


def _document_to_wire(
    block: hub.Document, capabilities: Capabilities
) -> wire.InputFile | wire.InputText:
    if block.source is None:
        title = f"{block.title}\n\n" if block.title else ""
        return wire.InputText(text=title + (block.text or ""))
    if not capabilities.documents:
        raise CannotSay("this model cannot read documents")
    title = block.title or UNSET
    match block.source:
        case hub.Data(media_type=media_type, base64=data):
            # A file that comes as content must have a name.
            name = block.title or ("document.pdf" if media_type == _PDF else "document")
            return wire.InputFile(file_data=f"data:{media_type};base64,{data}", filename=name)
        case hub.Url(url=url):
            return wire.InputFile(file_url=url, filename=title)
        case source:
            return wire.InputFile(file_id=_own_file(source), filename=title)


def _own_file(source: hub.FileId) -> str:
    if source.dialect is not _DIALECT:
        raise CannotSay("the file lives at another provider; send its content instead")
    return source.id
