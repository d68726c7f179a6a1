"""Google reads its fields in camelCase and in snake_case; the rest of this room reads camelCase."""

import re

import msgspec
from msgspec import Raw

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode

_CLIENTS_OWN = frozenset(
    {
        *("args", "labels", "parameters", "parametersJsonSchema", "partMetadata", "response"),
        *("responseJsonSchema", "responseSchema"),
    }
)
"""Members whose insides belong to the client; the two schemas of Google's own are read by `schema`."""

_SNAKE = re.compile(
    rb"_(?:budget|call|config|content|count|data|declarations|id|instruction|k|level|logprobs|"
    rb"metadata|mode|modalities|name|names|p|penalty|resolution|response|schema|sequences|"
    rb'settings|signature|thoughts|tier|tokens|type|uri)"\s*:'
)
"""How Google's names of several words end; a client's own name may end so too, which only costs time."""


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`; camelCase stays."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name


def camelled(body: bytes) -> bytes:
    """`body` with Google's names in camelCase; what belongs to the client stays byte for byte."""
    return _camelled(body) if _SNAKE.search(body) is not None else body


def _camelled(value: bytes) -> bytes:
    first = value.lstrip()[:1]
    if first == b"{":
        members = {camel(name): inner for name, inner in _decode_members(value).items()}
        return msgspec.json.encode(
            {
                name: inner if name in _CLIENTS_OWN else Raw(_camelled(bytes(inner)))
                for name, inner in members.items()
            }
        )
    if first == b"[":
        return msgspec.json.encode([Raw(_camelled(bytes(item))) for item in _decode_items(value)])
    return value
