"""Reads a Messages body; tolerant, for the checks come after."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.reply.ask import ANY_TOOL, Ask, Tool
from aibridge_sandbox.script import find_directives
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_str, dicts, text_of
from aibridge_sandbox.world.prefixes import Segment

_FORCING = frozenset({"any", "tool"})


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """Content as blocks; a string is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return dicts(content)


def tail(body: dict[str, Any]) -> str:
    """The text in which a directive counts."""
    results = _last_results(body)
    return _last_user_text(body) if results is None else results


def segments(body: dict[str, Any]) -> list[Segment]:
    """The prompt in the vendor's cache order: tools, system, messages."""
    found = [_segment("tools", tool) for tool in dicts(body.get("tools"))]
    found.extend(_segment("system", block) for block in blocks_of(body.get("system")))
    for message in dicts(body.get("messages")):
        role = as_str(message.get("role"))
        found.extend(_segment(role, block) for block in blocks_of(message.get("content")))
    form = as_dict(body.get("output_config")).get("format")
    if form is not None:
        found.append(Segment(value=["format", form]))
    automatic = as_dict(body.get("cache_control"))
    if automatic and found:
        found[-1] = Segment(value=found[-1].value, ttl=as_str(automatic.get("ttl")) or "5m")
    return found


def _segment(place: str, block: dict[str, Any]) -> Segment:
    marker = as_dict(block.get("cache_control"))
    bare = {name: value for name, value in block.items() if name != "cache_control"}
    return Segment(value=[place, bare], ttl=(as_str(marker.get("ttl")) or "5m") if marker else None)


def thinks(call: Call) -> bool:
    """Whether the client asked for thinking, in either way."""
    return as_dict(call.body.get("thinking")).get("type") in ("enabled", "adaptive")


def shows_thinking(call: Call) -> bool:
    """Whether thinking comes as text or as a bare signature."""
    return as_dict(call.body.get("thinking")).get("display") != "omitted"


def read_ask(call: Call) -> Ask:
    """What the body asks for, in no vendor's words."""
    body = call.body
    form = as_dict(as_dict(body.get("output_config")).get("format")) or as_dict(
        body.get("output_format")
    )
    choice = as_dict(body.get("tool_choice"))
    results = _last_results(body)
    return Ask(
        model=call.model_id,
        vendor_name="Anthropic",
        text=find_directives(_last_user_text(body))[1],
        tools=tuple(_tools(body)),
        force=(as_str(choice.get("name")) or ANY_TOOL)
        if as_str(choice.get("type")) in _FORCING
        else None,
        parallel=choice.get("disable_parallel_tool_use") is not True,
        result=None if results is None else find_directives(results)[1],
        schema=as_dict(form.get("schema")) if form.get("type") == "json_schema" else None,
        tokens_max=as_int(body.get("max_tokens")),
        thinks=thinks(call),
        stops=tuple(as_str(stop) for stop in as_list(body.get("stop_sequences"))),
    )


def _tools(body: dict[str, Any]) -> list[Tool]:
    """The client's own tools; server tools and deferred ones are never called."""
    return [
        Tool(name=as_str(tool.get("name")), schema=as_dict(tool.get("input_schema")))
        for tool in dicts(body.get("tools"))
        if tool.get("type") in (None, "custom") and tool.get("defer_loading") is not True
    ]


def _users(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    messages = dicts(body.get("messages"))
    return [blocks_of(m.get("content")) for m in reversed(messages) if m.get("role") == "user"]


def _last_results(body: dict[str, Any]) -> str | None:
    """What the tools answered, if the last user turn brings results."""
    turns = _users(body)
    results = [block for block in (turns[0] if turns else []) if block.get("type") == "tool_result"]
    if not results:
        return None
    return "\n".join(text_of(block.get("content")) for block in results)


def _last_user_text(body: dict[str, Any]) -> str:
    for blocks in _users(body):
        text = text_of(blocks)
        if text:
            return text
    return ""
