"""Arguments of calls: JSON text in the hub, an object at Google."""

import msgspec
from msgspec import Raw

from aibridge_router.canonical.content import ToolCall
from aibridge_router.dialects.gemini_generate.wire import Wire, present

FREE_TEXT = "input"
"""The one argument of a tool that takes free text."""

NO_ARGUMENTS = "{}"


class NoObject(ValueError):
    """The arguments are no JSON object: a model wrote nonsense."""


def arguments_from_wire(args: Raw) -> str:
    """The object as it came."""
    given = present(args)
    return bytes(given).decode() if given is not None else NO_ARGUMENTS


def arguments_to_wire(call: ToolCall) -> Wire | Raw:
    """One line of JSON. Raises `NoObject`."""
    if call.custom:
        return {FREE_TEXT: call.arguments}
    text = call.arguments.strip() or NO_ARGUMENTS
    if not text.startswith("{"):
        raise NoObject(call.name)
    try:
        return Raw(msgspec.json.format(text.encode(), indent=-1))
    except (msgspec.DecodeError, UnicodeError):
        raise NoObject(call.name) from None
