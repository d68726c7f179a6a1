"""What tools answered: `functionResponse`.

Google takes an object: `output` is the result and `error` the failure; any other object is the result as a whole. Text
goes out under these two names. Pictures and documents stand inside the response for models of the third generation;
older ones refuse that, so theirs follow the responses.
"""

import msgspec
from msgspec import Raw, Struct

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Document, Image, Opaque, Text, ToolResult
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.dialects.gemini_generate.media import media_from_wire, media_to_wire
from aibridge_router.dialects.gemini_generate.places import Misfit
from aibridge_router.dialects.gemini_generate.wire import (
    FunctionResponse,
    FunctionResponsePart,
    Wire,
    present,
)

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


class _Output(Struct, frozen=True, forbid_unknown_fields=True):
    output: str


_decode_output = msgspec.json.Decoder(_Output).decode
"""What most responses are."""

_NAMES = {"output": False, "result": False, "error": True}
"""Where the text of a response stands alone, and whether it is an error."""

NO_OUTPUT = "[no output]"


class _ToolReference(Struct, frozen=True):
    tool_name: str


_decode_reference = msgspec.json.Decoder(_ToolReference).decode


def result_from_wire(response: FunctionResponse, call_id: str) -> ToolResult:
    """Raises `Misfit` naming what is no object, or no picture or document."""
    text, is_error = _text_of(response.response)
    blocks: list[Text | Image | Document | Opaque] = [Text(text=text)] if text else []
    for index, part in enumerate(response.parts or ()):
        try:
            blocks.append(_media_of(part))
        except Misfit as misfit:
            raise misfit.within(f"parts.{index}") from None
    return ToolResult(call_id=call_id, blocks=blocks, is_error=is_error)


def result_to_wire(
    result: ToolResult | None, call_id: str, name: str, profile: Profile, losses: Losses
) -> tuple[Wire, list[Wire]]:
    """The part, and the parts that must follow it; a call without result (None) is answered all the same."""
    response: Wire = {"name": name, "response": {"output": NO_OUTPUT}, "id": call_id}
    if result is None:
        return {"functionResponse": response}, []
    texts: list[str] = []
    media: list[Wire] = []
    for block in result.blocks:
        if isinstance(block, Text):
            texts.append(block.text)
        elif isinstance(block, Opaque):
            texts += _opaque_text(block, losses)
        else:
            part = media_to_wire(block, profile, losses) or {"text": ""}
            if "text" in part:
                texts.append(str(part["text"]))
            else:
                media.append(part)
    if _is_marked(result):
        losses.drop("cache_control")
    response["response"] = {"error" if result.is_error else "output": "\n".join(texts)}
    if media and profile.capabilities.reasoning == "level":
        response["parts"] = media
        media = []
    return {"functionResponse": response}, media


def _is_marked(result: ToolResult) -> bool:
    marks = (block.cache for block in result.blocks if not isinstance(block, Opaque))
    return result.cache is not None or any(mark is not None for mark in marks)


def _text_of(response: Raw) -> tuple[str, bool]:
    given = present(response)
    if given is None:
        return "", False
    try:
        return _decode_output(given).output, False
    except msgspec.DecodeError:
        pass
    try:
        members = _decode_members(given)
    except msgspec.DecodeError:
        raise Misfit("response", "Expected `object`") from None
    if len(members) == 1:
        name, value = next(iter(members.items()))
        if name in _NAMES:
            is_text = bytes(value).startswith(b'"')
            text = msgspec.json.decode(value, type=str) if is_text else bytes(value).decode()
            return text, _NAMES[name]
    return bytes(given).decode() if members else "", False


def _media_of(part: FunctionResponsePart) -> Image | Document:
    media = media_from_wire(part.inline_data, part.file_data)
    if not isinstance(media, Image | Document):
        raise Misfit("", "a picture or a document is expected")
    return media


def _opaque_text(block: Opaque, losses: Losses) -> list[str]:
    """A loaded tool is named, since the tool itself is sent; anything else is left out."""
    if block.dialect is Dialect.ANTHROPIC_MESSAGES and block.kind == "tool_reference":
        try:
            return [f"Tool loaded: {_decode_reference(block.raw).tool_name}"]
        except msgspec.DecodeError:
            pass
    losses.drop("extras")
    return []
