"""Pictures, documents and sound."""

import base64
import binascii

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Audio, Data, Document, FileId, Image, Url
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.dialects.gemini_generate.places import Misfit
from aibridge_router.dialects.gemini_generate.signature import standard_base64
from aibridge_router.dialects.gemini_generate.wire import Blob, FileData, Wire

Media = Image | Document | Audio

_PDF = "application/pdf"
_OWN_HOSTS = ("https://generativelanguage.googleapis.com/", "https://www.youtube.com/")


def _blob_from_wire(blob: Blob) -> Media | None:
    """Bytes as a block; None for a kind that the hub has no word for (video). Raises `Misfit`."""
    kind = blob.mime_type or ""
    if not kind or blob.data is None:
        raise Misfit("data" if kind else "mimeType", "Field required")
    family = kind.partition("/")[0]
    if family == "text":
        return Document(text=_text_of(blob.data), title=blob.display_name)
    source = Data(media_type=kind, base64=standard_base64(blob.data))
    if family == "image":
        return Image(source=source)
    if family == "audio":
        return Audio(source=source)
    if kind == _PDF:
        return Document(source=source, title=blob.display_name)
    return None


def _file_from_wire(file: FileData) -> Media | None:
    """A public address as a block; None for a file that lives at Google, or of a kind we have no word for."""
    uri = file.file_uri
    if not uri:
        raise Misfit("fileUri", "Field required")
    if not uri.startswith(("https://", "http://")) or uri.startswith(_OWN_HOSTS):
        return None
    kind = file.mime_type or ""
    if kind.startswith("image/"):
        return Image(source=Url(url=uri))
    return Document(source=Url(url=uri)) if kind == _PDF else None


def media_from_wire(blob: Blob | None, file: FileData | None) -> Media | None:
    """Either of the two ways that media come. Raises `Misfit`."""
    try:
        if blob is not None:
            return _blob_from_wire(blob)
    except Misfit as misfit:
        raise misfit.within("inlineData") from None
    try:
        return _file_from_wire(file) if file is not None else None
    except Misfit as misfit:
        raise misfit.within("fileData") from None


def media_to_wire(media: Media, profile: Profile, losses: Losses) -> Wire | None:
    """A block as a part. Raises `CannotSay` for what this model or this dialect cannot take."""
    match media:
        case Image():
            if not profile.capabilities.vision:
                raise CannotSay(f"{profile.upstream_model} cannot see images", param="vision")
            if media.detail is not None:
                losses.drop("image_detail")
            return _source_to_wire(media.source, "image_url")
        case Audio():
            if not profile.capabilities.audio:
                raise CannotSay(f"{profile.upstream_model} cannot hear audio", param="audio")
            return _source_to_wire(media.source, "audio")
        case Document():
            if media.source is None:
                title = f"{media.title}\n\n" if media.title else ""
                text = title + (media.text or "")
                return {"text": text} if text else None
            if not profile.capabilities.documents:
                raise CannotSay(
                    f"{profile.upstream_model} cannot read documents", param="documents"
                )
            return _source_to_wire(media.source, "file")


def _source_to_wire(source: Data | Url | FileId, refusal: str) -> Wire:
    match source:
        case Data():
            return {"inlineData": {"mimeType": source.media_type, "data": source.base64}}
        case Url():
            raise CannotSay("a URL cannot be sent to this model, only content", param=refusal)
        case FileId(dialect=Dialect.GEMINI_GENERATE):
            return {"fileData": {"fileUri": source.id}}
        case FileId():
            raise CannotSay("a file of another provider cannot be sent", param="file")


def _text_of(data: str) -> str:
    try:
        return base64.b64decode(standard_base64(data), validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise Misfit("data", "not a text in base64") from None
