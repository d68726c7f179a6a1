"""POST /embeddings: unit vectors that depend on the text alone."""

import base64
import hashlib
import math
import struct
from typing import Any

import msgspec

from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.openai import wrong
from aibridge_sandbox.openai.envelope import openai_headers
from aibridge_sandbox.openai.rules import known_model
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.shape import as_int, as_list
from aibridge_sandbox.tokens import count_tokens
from aibridge_sandbox.world.usage import Usage

_FIELDS = frozenset({"input", "model", "encoding_format", "dimensions", "user"})
_DIMENSIONS = 1_536
_INPUTS_MAX = 2_048


def _inputs(value: Any) -> list[Any]:
    """A string, strings, one list of tokens, or lists of tokens: always a list of inputs."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return as_list(value)
    return [value]


def _tail(body: dict[str, Any]) -> str:
    return "\n".join(text for text in _inputs(body.get("input")) if isinstance(text, str))


def _tokens(item: Any) -> int:
    return max(1, count_tokens(item)) if isinstance(item, str) else len(as_list(item))


def _vector(item: Any, dimensions: int) -> list[float]:
    digest = hashlib.shake_128(repr(item).encode()).digest(dimensions * 2)
    raw = [number / 32_768 for number in struct.unpack(f"<{dimensions}h", digest)]
    length = math.sqrt(sum(number * number for number in raw)) or 1.0
    return [number / length for number in raw]


def _check(call: Call, inputs: list[Any]) -> None:
    for name in call.body:
        if name not in _FIELDS:
            raise wrong.unknown(name)
    if call.body.get("input") is None:
        raise wrong.missing("input")
    if len(inputs) > _INPUTS_MAX:
        raise wrong.array_too_long("input", _INPUTS_MAX, len(inputs))
    if any(item in ("", [], None) for item in inputs):
        raise wrong.invalid("input", "'$.input' is invalid: input cannot be an empty string.")


def _reply(call: Call) -> Reply:
    known_model(call, embedding=True)
    inputs = _inputs(call.body.get("input"))
    if call.strict:
        _check(call, inputs)
    dimensions = as_int(call.body.get("dimensions")) or _DIMENSIONS
    packed = call.body.get("encoding_format") == "base64"
    data: list[dict[str, Any]] = []
    for index, item in enumerate(inputs):
        vector = _vector(item, dimensions)
        packed_text = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append(
            {"object": "embedding", "index": index, "embedding": packed_text if packed else vector}
        )
    tokens = sum(_tokens(item) for item in inputs)
    body = {
        "object": "list",
        "data": data,
        "model": call.model_id,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    if call.script.usage == "missing":
        del body["usage"]
    return whole(
        msgspec.json.encode(body),
        prompt=Usage(input=tokens),
        reports="usage" in body,
        headers=openai_headers(call.mint),
    )


EMBEDDINGS = Endpoint(name="embeddings", reply=_reply, tail=_tail)
