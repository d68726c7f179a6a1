"""What the vendor asks of JSON Schemas."""

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct, UnsetType

_EMPTY = Raw(b'{"type":"object","properties":{}}')
_ALTERNATIVES = ("allOf", "anyOf", "oneOf")
_BEYOND_STRICT = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "not",
        "if",
        "oneOf",
        "$ref",
    }
)
"""Keywords that constrained decoding does not know: the vendor refuses a strict schema that has one."""

_SCHEMAS_BY_NAME = frozenset({"properties", "$defs", "definitions"})


class _Top(Struct, frozen=True):
    type: Any | UnsetType = msgspec.UNSET
    allOf: Any | UnsetType = msgspec.UNSET  # noqa: N815 - the schema's own word
    anyOf: Any | UnsetType = msgspec.UNSET  # noqa: N815
    oneOf: Any | UnsetType = msgspec.UNSET  # noqa: N815


_decode_top = msgspec.json.Decoder(_Top).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.encode


def object_schema(schema: Raw | None) -> Raw:
    """A schema that the vendor takes for a tool: an object, without alternatives at the top.

    Properties of the alternatives become properties of the whole; only what all of them require stays required.
    """
    if schema is None or not bytes(schema):
        return _EMPTY
    try:
        top = _decode_top(schema)
        plain = top.type == "object" and top.allOf is top.anyOf is top.oneOf is msgspec.UNSET
        return schema if plain else Raw(_encode(_flattened(_decode(schema))))
    except msgspec.DecodeError:
        return _EMPTY


def describes_object(schema: Raw) -> bool:
    """Whether a schema can be that of a tool's arguments without changing what it allows."""
    try:
        top = _decode_top(schema)
    except msgspec.DecodeError:
        return False
    return top.type == "object" and top.allOf is top.anyOf is top.oneOf is msgspec.UNSET


def fits_strict_mode(schema: Raw | None) -> bool:
    """Whether the vendor can constrain decoding to a schema: closed objects and none of the keywords it refuses."""
    if schema is None:
        return False
    try:
        return _fits(_decode(schema))
    except msgspec.DecodeError:
        return False


def _flattened(schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = _names(schema)
    for keyword in _ALTERNATIVES:
        alternatives = [
            cast("dict[str, Any]", each)
            for each in _listed(schema.get(keyword))
            if isinstance(each, dict)
        ]
        for each in alternatives:
            if isinstance(each.get("properties"), dict):
                properties |= each["properties"]
        sets = [set(_names(each)) for each in alternatives]
        if sets:
            shared = set.union(*sets) if keyword == "allOf" else set.intersection(*sets)
            required += sorted(shared - set(required))
    own = schema.get("properties")
    flat = {name: value for name, value in schema.items() if name not in _ALTERNATIVES}
    flat["type"] = "object"
    flat["properties"] = properties | (own if isinstance(own, dict) else {})
    if required:
        flat["required"] = required
    return flat


def _names(schema: dict[str, Any]) -> list[str]:
    return [name for name in _listed(schema.get("required")) if isinstance(name, str)]


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _fits(schema: object) -> bool:
    if not isinstance(schema, dict):
        return True  # `true` and `false` are schemas too
    members = cast("dict[str, Any]", schema)
    if not _BEYOND_STRICT.isdisjoint(members) or members.get("minItems", 0) not in (0, 1):
        return False
    kinds = members.get("type")
    is_object = kinds == "object" or "object" in _listed(kinds) or "properties" in members
    if is_object and members.get("additionalProperties") is not False:
        return False
    for name, value in members.items():
        if name in _SCHEMAS_BY_NAME and isinstance(value, dict):
            inner = list(cast("dict[str, Any]", value).values())
        elif name in {"anyOf", "allOf"}:
            inner = _listed(value)
        elif name == "items":
            inner = [value]
        else:
            continue
        if not all(_fits(each) for each in inner):
            return False
    return True
