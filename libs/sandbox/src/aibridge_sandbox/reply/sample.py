"""The least JSON that satisfies a JSON Schema."""

import re
from typing import Any

from aibridge_sandbox.shape import as_dict, as_int, as_list, as_number, as_str

_DEPTH_MAX = 24

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}

_CANDIDATES = (
    *_FORMATS.values(),
    *("a", "A", "ab", "AB", "abc", "ABC", "a1", "A1", "1", "12", "123", "1234", "0.0", "a-b"),
    *("a_b", "a.b", "a/b", "/", "/a", "#000000", "1.0.0", "true", ""),
)


def sample(schema: dict[str, Any], word: str = "sandbox") -> Any:
    """A value for `schema`; `word` stands wherever any string would do.

    Knows the keywords tool schemas use; `not`, `if` and `dependentSchemas` are not honoured.
    """
    return _value(schema, schema, word, 0)


def _value(schema: dict[str, Any], root: dict[str, Any], word: str, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if as_list(schema.get("enum")):
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf"):
        choices = as_list(schema.get(keyword))
        if choices:
            rest = {name: value for name, value in schema.items() if name != keyword}
            return _value({**rest, **as_dict(choices[0])}, root, word, depth + 1)
    return _typed(schema, root, word, depth)


def _typed(schema: dict[str, Any], root: dict[str, Any], word: str, depth: int) -> Any:
    value: Any = None
    match _kind(schema):
        case "object":
            value = _object(schema, root, word, depth)
        case "array":
            item = as_dict(schema.get("items"))
            count = as_int(schema.get("minItems")) or 0
            value = [_value(item, root, word, depth + 1) for _ in range(count)]
        case "string":
            value = _string(schema, word)
        case "integer":
            value = _number(schema, whole=True)
        case "number":
            value = _number(schema, whole=False)
        case "boolean":
            value = False
        case _:
            pass
    return value


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    reference = as_str(schema.get("$ref"))
    if reference.startswith("#"):
        target: Any = root
        for name in reference.lstrip("#/").split("/"):
            target = as_dict(target).get(name) if name else target
        schema = {**as_dict(target), **{k: v for k, v in schema.items() if k != "$ref"}}
    for part in as_list(schema.get("allOf")):
        part = _resolved(as_dict(part), root)  # noqa: PLW2901
        properties = {**as_dict(schema.get("properties")), **as_dict(part.get("properties"))}
        required = [*as_list(schema.get("required")), *as_list(part.get("required"))]
        schema = {**schema, **part}
        if properties:
            schema = {**schema, "properties": properties, "required": required}
    return schema


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _object(schema: dict[str, Any], root: dict[str, Any], word: str, depth: int) -> dict[str, Any]:
    properties = as_dict(schema.get("properties"))
    names = [name for name in as_list(schema.get("required")) if isinstance(name, str)]
    return {
        name: _value(as_dict(properties.get(name)), root, word, depth + 1)
        for name in dict.fromkeys(names)
    }


def _string(schema: dict[str, Any], word: str) -> str:
    form = as_str(schema.get("format"))
    pattern = as_str(schema.get("pattern"))
    text = _FORMATS.get(form, word)
    if pattern:
        return next((c for c in (text, *_CANDIDATES) if _matches(pattern, c)), text)
    shortest = as_int(schema.get("minLength")) or 0
    longest = as_int(schema.get("maxLength"))
    return text.ljust(shortest, "x")[: longest if longest is not None else None]


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    low = as_number(schema.get("minimum"))
    above = as_number(schema.get("exclusiveMinimum"))
    high = as_number(schema.get("maximum"))
    value: float = 1 if low is None else low
    if above is not None:
        value = above + 1
    if high is not None and value > high:
        value = high
    step = as_number(schema.get("multipleOf"))
    if step:
        value = -(-value // step) * step
    return int(-(-value // 1)) if whole else value
