"""Google's older schema as JSON Schema, which every other dialect speaks; we ourselves write JSON Schema only.

The older form is that of OpenAPI 3.0: types in capitals, `nullable` instead of a null type, counts as strings.
"""

from typing import Any

import msgspec
from msgspec import Raw

from aibridge_router.dialects.gemini_generate.names import camel

_COUNTS = frozenset(
    {"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"}
)
_LEFT_OUT = frozenset({"nullable", "propertyOrdering"})


def json_schema(schema: Raw) -> Raw:
    """The same schema in JSON Schema's words."""
    return Raw(msgspec.json.encode(_converted(msgspec.json.decode(schema))))


def _converted(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    fields = {camel(str(name)): value for name, value in schema.items()}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _LEFT_OUT or (name, value) == ("type", "TYPE_UNSPECIFIED"):
            continue
        if name == "example":
            found["examples"] = [value]
        else:
            found[name] = _member(name, value)
    return _nullable(found) if fields.get("nullable") is True else found


def _member(name: str, value: Any) -> Any:
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name == "properties" and isinstance(value, dict):
        return {key: _converted(inner) for key, inner in value.items()}
    if name == "anyOf" and isinstance(value, list):
        return [_converted(inner) for inner in value]
    if name == "items":
        return _converted(value)
    if name in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
    return schema
