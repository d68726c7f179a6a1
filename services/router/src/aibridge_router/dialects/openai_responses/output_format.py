"""JSON answers: said natively where the model can, asked for in words where it cannot."""

import msgspec
from msgspec import UNSET, Raw

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Capabilities
from aibridge_router.canonical.request import OutputFormat, Request
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.schema import is_strict

_JSON_ONLY = "Answer with one JSON value and nothing else."
_BY_SCHEMA = "Answer with one JSON value that fits this JSON Schema, and nothing else:\n"


def format_from_wire(given: wire.Format) -> OutputFormat | None:
    """None for plain text. Raises `InvalidRequest`."""
    match given.type:
        case "text":
            return None
        case "json_object":
            return OutputFormat()
        case "json_schema" if isinstance(given.schema, Raw) and bytes(given.schema)[:1] == b"{":
            return OutputFormat(
                schema=given.schema,
                name=given.name or None,
                strict=given.strict if isinstance(given.strict, bool) else None,
                description=given.description or None,
            )
        case "json_schema":
            raise InvalidRequest("text.format: schema is missing", param="text.format.schema")
        case _:
            raise InvalidRequest(
                "text.format: text, json_object or json_schema is expected",
                param="text.format.type",
            )


def format_to_wire(
    request: Request, capabilities: Capabilities, losses: Losses
) -> tuple[str | None, wire.TextConfig | None]:
    """An instruction to add, and `text`."""
    verbosity = request.verbosity or UNSET
    wanted = request.output_format
    if wanted is None:
        return None, wire.TextConfig(verbosity=verbosity) if verbosity else None
    if wanted.schema is not None and capabilities.structured == "native":
        return None, wire.TextConfig(format=_by_schema(wanted, losses), verbosity=verbosity)
    text = wire.TextConfig(format=wire.Format(type="json_object"), verbosity=verbosity)
    if wanted.schema is not None:
        losses.drop("output_format")
        return _BY_SCHEMA + bytes(wanted.schema).decode(), text
    # The vendor refuses this format where no message speaks of JSON.
    return None if _speaks_of_json(request) else _JSON_ONLY, text


def _by_schema(wanted: OutputFormat, losses: Losses) -> wire.Format:
    assert wanted.schema is not None
    strict: bool | msgspec.UnsetType = is_strict(wanted.schema) or UNSET
    if wanted.strict is not None:
        if wanted.strict and not strict:
            losses.drop("strict")
        strict = wanted.strict and bool(strict)
    return wire.Format(
        type="json_schema",
        name=wanted.name or "response",
        description=wanted.description or UNSET,
        schema=wanted.schema,
        strict=strict,
    )


def _speaks_of_json(request: Request) -> bool:
    return any(
        isinstance(block, Text) and "json" in block.text.lower()
        for turn in request.turns
        for block in turn.blocks
    )
