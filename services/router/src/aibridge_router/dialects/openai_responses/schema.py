"""What OpenAI takes for a schema, and what it takes for a strict one."""

from typing import Any

import msgspec
from msgspec import Raw

_UNIONS = ("oneOf", "anyOf", "allOf")
_NOT_AT_THE_TOP = ("enum", "not")
_REFUSED = frozenset({*_UNIONS, *_NOT_AT_THE_TOP})
_NESTED_MAPS = ("properties", "$defs", "definitions")
_NESTED_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")

_OBJECT = Raw(b'"object"')
EMPTY_OBJECT = Raw(b'{"type":"object","properties":{}}')
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def is_strict(schema: Raw) -> bool:
    """Whether every object in `schema` closes itself and requires all of its properties."""
    return _strict(msgspec.json.decode(schema))


def _strict(node: Any) -> bool:
    if not isinstance(node, dict):
        return isinstance(node, bool)
    names = _as(dict, node.get("properties"))
    if names or _is_object(node.get("type")):
        required = _as(list, node.get("required"))
        if node.get("additionalProperties") is not False:
            return False
        if not all(name in required for name in names):
            return False
    children = [child for key in _NESTED_MAPS for child in _as(dict, node.get(key)).values()]
    children += [child for key in _NESTED_LISTS for child in _as(list, node.get(key))]
    if "items" in node:
        children.append(node["items"])
    return all(_strict(child) for child in children)


def _as(kind: type[Any], value: Any) -> Any:
    return value if isinstance(value, kind) else kind()


def _is_object(kind: Any) -> bool:
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def parameters_to_wire(schema: Raw | None) -> Raw:
    """`schema` as an object without alternatives at its top, which would be refused.

    The properties of the alternatives are kept and none of them is required; what is inside a property stays as it is.
    """
    if schema is None:
        return EMPTY_OBJECT
    members = _decode_members(schema)
    if _is_plain_object(members):
        return schema
    for key in _NOT_AT_THE_TOP:
        members.pop(key, None)
    properties: dict[str, Raw] = {}
    for key in _UNIONS:
        properties |= _properties_of(members.pop(key, None))
    properties |= _object(members.get("properties"))
    members["type"] = _OBJECT
    members["properties"] = Raw(msgspec.json.encode(properties))
    return Raw(msgspec.json.encode(members))


def _is_plain_object(members: dict[str, Raw]) -> bool:
    return (
        members.get("type") == _OBJECT
        and "properties" in members
        and members.keys().isdisjoint(_REFUSED)
    )


def _properties_of(alternatives: Raw | None) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    try:
        branches = msgspec.json.decode(alternatives or b"[]", type=list[dict[str, Raw]])
    except msgspec.DecodeError:
        return found
    for branch in branches:
        found |= _object(branch.get("properties"))
    return found


def _object(raw: Raw | None) -> dict[str, Raw]:
    try:
        return _decode_members(raw or b"{}")
    except msgspec.DecodeError:
        return {}
