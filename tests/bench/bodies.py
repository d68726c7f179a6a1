"""Request bodies, always the same: a small chat, and what a coding agent sends."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

SMALL_BYTES = 1_000
AGENT_BYTES = 37_000
AGENT_SYSTEM_BYTES = 8_000
AGENT_TURNS = 17
AGENT_TOOLS = 18

WORDS = (
    *("branch", "build", "cache", "call", "check", "class", "client", "commit", "config", "error"),
    *("event", "file", "function", "gateway", "handler", "index", "key", "line", "list", "method"),
    *("model", "module", "name", "object", "option", "parse", "path", "process", "query", "queue"),
    *("read", "request", "response", "result", "return", "route", "schema", "server", "session"),
    *("state", "stream", "table", "test", "token", "update", "value", "write"),
)

Body = dict[str, Any]
BodyOf = Callable[[int], Body]


def small_chat(*, model: str, stream: bool) -> bytes:
    """A chat of 1 KB: a system prompt and one question."""

    def of(filler_bytes: int) -> Body:
        messages = [
            {"role": "system", "content": _prose(Random(1), 240)},
            {"role": "user", "content": _prose(Random(2), filler_bytes)},
        ]
        return _chat(model=model, stream=stream, max_tokens=256, messages=messages)

    return _fitted(of, SMALL_BYTES)


def agent_chat(*, model: str, stream: bool) -> bytes:
    """A coding agent's 37 KB: long instructions, 17 turns with tool calls between, 18 tools."""

    def of(filler_bytes: int) -> Body:
        messages = [
            {"role": "system", "content": _prose(Random(3), AGENT_SYSTEM_BYTES)},
            *_agent_turns(Random(4), AGENT_TURNS - 1),
            {"role": "user", "content": _prose(Random(5), filler_bytes)},
        ]
        tools = [_tool(Random(100 + index), index) for index in range(AGENT_TOOLS)]
        body = _chat(model=model, stream=stream, max_tokens=1024, messages=messages)
        return body | {"tools": tools, "tool_choice": "auto"}

    return _fitted(of, AGENT_BYTES)


def _chat(*, model: str, stream: bool, max_tokens: int, messages: list[Body]) -> Body:
    body: Body = {
        "model": model,
        "max_tokens": max_tokens,
        "temperature": 0.2,
        "messages": messages,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _agent_turns(random: Random, count: int) -> list[Body]:
    """Question, tool call, tool result, conclusion, and again."""
    kinds = ("user", "call", "result", "assistant")
    return [_agent_turn(random, kinds[index % len(kinds)], index) for index in range(count)]


def _agent_turn(random: Random, kind: str, index: int) -> Body:
    if kind == "call":
        arguments = json.dumps({"path": f"src/module_{index}.py", "query": _prose(random, 120)})
        function = {"name": f"tool_{index % AGENT_TOOLS}", "arguments": arguments}
        call = {"id": f"call_{index:04d}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "result":
        return {
            "role": "tool",
            "tool_call_id": f"call_{index - 1:04d}",
            "content": _code(random, 40),
        }
    return {"role": kind, "content": _prose(random, 500)}


def _tool(random: Random, index: int) -> Body:
    properties = {
        f"{name}_{position}": {"type": "string", "description": _prose(random, 70)}
        for position, name in enumerate(random.choices(WORDS, k=4))
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties)[:2],
        "additionalProperties": False,
    }
    function = {
        "name": f"tool_{index}",
        "description": _prose(random, 180),
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


def _code(random: Random, lines: int) -> str:
    """Source-like text: JSON has to escape its line breaks and quotes."""
    return "\n".join(
        f'    {target} = {callee}({argument}, "{text}")'
        for target, callee, argument, text in (random.choices(WORDS, k=4) for _ in range(lines))
    )


def _prose(random: Random, length: int) -> str:
    words = " ".join(random.choices(WORDS, k=length // 4 + 1))
    return words[:length].ljust(length, ".")


def _fitted(of: BodyOf, size_bytes: int) -> bytes:
    filler_bytes = size_bytes - len(_encode(of(0)))
    return _encode(of(filler_bytes))


def _encode(body: Body) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
