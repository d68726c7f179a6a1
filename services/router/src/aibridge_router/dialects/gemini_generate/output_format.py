"""JSON as the form of the answer.

Google forces the form by a mime type and a schema. Models before Gemini 3 refuse both beside tools; then, and where a
model cannot be forced, the form is asked for in words.
"""

from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Capabilities
from aibridge_router.canonical.request import OutputFormat
from aibridge_router.dialects.gemini_generate.schema import json_schema
from aibridge_router.dialects.gemini_generate.wire import GenerationConfig, Wire, present

_JSON = "application/json"
_PLAIN = frozenset({None, "", "text/plain", _JSON})


def format_from_wire(config: GenerationConfig) -> OutputFormat | None:
    """The wanted form, None for plain text."""
    schema = present(config.response_json_schema)
    if schema is None:
        older = present(config.response_schema)
        schema = json_schema(older) if older is not None else None
    if schema is None and config.response_mime_type != _JSON:
        return None
    return OutputFormat(schema=schema)


def is_unknown_form(config: GenerationConfig) -> bool:
    """Whether the answer must have a form that only Google has (`text/x.enum`)."""
    return config.response_mime_type not in _PLAIN


def format_to_wire(
    wanted: OutputFormat | None, capabilities: Capabilities, losses: Losses, *, has_tools: bool
) -> tuple[Wire, str | None]:
    """Members of `generationConfig`, and what must be asked for in words."""
    if wanted is None:
        return {}, None
    can_force = not has_tools or capabilities.reasoning == "level"
    config: Wire = {"responseMimeType": _JSON} if can_force else {}
    if can_force and wanted.schema is None:
        return config, None
    if can_force and capabilities.structured == "native":
        config["responseJsonSchema"] = wanted.schema
        return config, None
    losses.drop("output_format")
    words = "Answer with one JSON value and nothing else, no code fence around it."
    if wanted.schema is not None:
        words += f" It must fit this JSON Schema: {bytes(wanted.schema).decode()}"
    return config, words
