"""JSON answers: said natively where the model can, asked for in words where it cannot."""

import msgspec

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import OutputFormat, Request
from aibridge_router.dialects.openai_chat.content import Wire
from aibridge_router.dialects.openai_chat.schema import fits_strict_mode
from aibridge_router.dialects.openai_chat.tools import schema_from_wire
from aibridge_router.dialects.openai_chat.wire import ResponseFormat

_JSON_ONLY = "Answer with one JSON object and nothing else."
_BY_SCHEMA = "Answer with one JSON value that fits this JSON Schema, and nothing else:\n"


def format_from_wire(wanted: ResponseFormat | None) -> OutputFormat | None:
    """None for plain text. Raises `InvalidRequest`."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat()
    if wanted.type == "json_schema" and wanted.json_schema is not None:
        given = wanted.json_schema
        schema = schema_from_wire(given.schema, "response_format.json_schema.schema")
        return OutputFormat(
            schema=schema if schema is not None else msgspec.Raw(b"{}"),
            name=given.name,
            strict=given.strict,
            description=given.description,
        )
    raise InvalidRequest(
        f"response_format: {wanted.type!r} is not one, or lacks its schema", param="response_format"
    )


def format_to_wire(
    request: Request, profile: Profile, losses: Losses
) -> tuple[str | None, Wire | None]:
    """An instruction to add, and `response_format`."""
    wanted = request.output_format
    if wanted is None:
        return None, None
    if wanted.schema is None:
        # OpenAI refuses this format where no message speaks of JSON.
        return None if _speaks_of_json(request) else _JSON_ONLY, {"type": "json_object"}
    if profile.capabilities.structured == "native":
        return None, {"type": "json_schema", "json_schema": _by_schema(wanted, losses)}
    losses.drop("output_format")
    return _BY_SCHEMA + bytes(wanted.schema).decode(), {"type": "json_object"}


def _by_schema(wanted: OutputFormat, losses: Losses) -> Wire:
    assert wanted.schema is not None
    schema: Wire = {"name": wanted.name or "response", "schema": wanted.schema}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        try:
            fits = fits_strict_mode(wanted.schema)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"response_format: {error}"
            raise InvalidRequest(message, param="response_format") from None
        if wanted.strict and not fits:
            losses.drop("strict")
        else:
            schema["strict"] = wanted.strict
    return schema


def _speaks_of_json(request: Request) -> bool:
    said = [*request.system, *(block for turn in request.turns for block in turn.blocks)]
    return any(isinstance(block, Text) and "json" in block.text.lower() for block in said)
