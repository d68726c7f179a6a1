"""What OpenAI takes for a schema, and what it takes for a strict one."""

from typing import Any

import msgspec
from msgspec import Raw

_UNIONS = ("oneOf", "anyOf", "allOf")
_REFUSED_AT_THE_TOP = frozenset({*_UNIONS, "enum", "not"})
_NESTED_MAPS = ("properties", "$defs", "definitions")
_NESTED_LISTS = (*_UNIONS, "prefixItems")
_NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def fits_strict_mode(schema: Raw) -> bool:
    """Whether every object of a schema forbids further members and requires all it has, as strict mode demands."""
    return _is_strict(msgspec.json.decode(schema))


def _is_strict(node: Any) -> bool:
    if not isinstance(node, dict):
        return isinstance(node, bool)
    names, kind = _as(dict, node.get("properties")), node.get("type")
    if names or kind == "object" or "object" in _as(list, kind):
        required = _as(list, node.get("required"))
        if node.get("additionalProperties") is not False:
            return False
        if not all(name in required for name in names):
            return False
    children = [child for key in _NESTED_MAPS for child in _as(dict, node.get(key)).values()]
    children += [child for key in _NESTED_LISTS for child in _as(list, node.get(key))]
    if "items" in node:
        children.append(node["items"])
    return all(_is_strict(child) for child in children)


def parameters_to_wire(schema: Raw | None) -> Raw:
    """`schema` as an object without alternatives at its top, which OpenAI refuses.

    The properties of the alternatives are kept and none of them is required; what is inside a property stays as it is.
    """
    if schema is None:
        return _NO_ARGUMENTS
    members = _decode_members(schema)
    if bytes(members.get("type", b"")) == b'"object"' and members.keys().isdisjoint(
        _REFUSED_AT_THE_TOP
    ):
        return schema
    properties: dict[str, Raw] = {}
    for name in _UNIONS:
        properties |= _properties_of(members.get(name))
    properties |= _object(members.get("properties"))
    kept = {name: raw for name, raw in members.items() if name not in _REFUSED_AT_THE_TOP}
    return Raw(msgspec.json.encode(kept | {"type": "object", "properties": properties}))


def _properties_of(alternatives: Raw | None) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    try:
        branches = msgspec.json.decode(alternatives or b"[]", type=list[Raw])
    except msgspec.DecodeError:
        return found
    for branch in branches:
        found |= _object(_object(branch).get("properties"))
    return found


def _object(raw: Raw | None) -> dict[str, Raw]:
    try:
        return _decode_members(raw or b"{}")
    except msgspec.DecodeError:
        return {}


def _as(kind: type[Any], value: Any) -> Any:
    return value if isinstance(value, kind) else kind()
