"""Structured output: the vendor's own where the model has it, else one forced tool, else words.

The tool has a reserved name, by which answers are read back: its arguments are the text that the client asked for.
"""

from msgspec import Raw, Struct

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import OutputFormat
from aibridge_router.dialects.anthropic_messages.schema import describes_object, fits_strict_mode
from aibridge_router.dialects.anthropic_messages.wire import JsonFormat, ToolWire

ANSWER_TOOL = "aibridge_json_answer"

_ONE_OBJECT = "Answer with one JSON object and nothing else: no prose, no code fence."
_BY_SCHEMA = (
    "Answer with one JSON value and nothing else: no prose, no code fence. It must fit this schema:"
)


class Emulation(Struct, frozen=True, kw_only=True):
    """How the wanted format is asked for; one of them is set, or none where none is wanted."""

    format: JsonFormat | None = None
    tool: ToolWire | None = None
    instruction: str | None = None


def format_from_wire(wanted: JsonFormat, place: str) -> OutputFormat:
    """Raises `InvalidRequest` for a format that is not one."""
    if wanted.type != "json_schema":
        raise InvalidRequest(
            f"{place}.type: {wanted.type!r} is not a format", param=f"{place}.type"
        )
    if not bytes(wanted.schema).startswith(b"{"):
        raise InvalidRequest(f"{place}.schema: Field required", param=f"{place}.schema")
    return OutputFormat(schema=wanted.schema)


def format_to_wire(wanted: OutputFormat | None, profile: Profile) -> Emulation:
    """The best that the model has for a format."""
    if wanted is None:
        return Emulation()
    if wanted.schema is None:
        return Emulation(instruction=_ONE_OBJECT)
    means = profile.capabilities.structured
    if means == "native" and fits_strict_mode(wanted.schema):
        return Emulation(format=JsonFormat(type="json_schema", schema=wanted.schema))
    if means != "json_only" and profile.capabilities.tools and describes_object(wanted.schema):
        return Emulation(tool=_answer_tool(wanted.schema, wanted.description))
    return Emulation(instruction=f"{_BY_SCHEMA}\n{bytes(wanted.schema).decode()}")


def _answer_tool(schema: Raw, description: str | None) -> ToolWire:
    told = description or "Give the final answer to the user through this tool."
    return ToolWire(name=ANSWER_TOOL, description=told, input_schema=schema)
