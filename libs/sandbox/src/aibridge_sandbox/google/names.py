"""Google reads field names in camelCase and in snake_case; the sandbox reads camelCase."""

from typing import Any

_OPAQUE = frozenset(
    {
        *("args", "response", "parameters", "parametersJsonSchema", "responseSchema"),
        *("responseJsonSchema", "labels", "partMetadata"),
    }
)
"""Fields whose insides belong to the client."""


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`; camelCase stays."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def normalised(value: Any) -> Any:
    """The body in camelCase, except where its fields are the client's own."""
    if isinstance(value, list):
        return [normalised(item) for item in value]
    if isinstance(value, dict):
        fields = {camel(str(name)): inner for name, inner in value.items()}
        return {
            name: inner if name in _OPAQUE else normalised(inner) for name, inner in fields.items()
        }
    return value
