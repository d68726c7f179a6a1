"""Reads a Chat Completions body; tolerant, for the checks come after."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.reply.ask import ANY_TOOL, Ask, Tool
from aibridge_sandbox.script import find_directives
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_str, dicts, text_of
from aibridge_sandbox.world.prefixes import Segment

_VENDOR_NAMES = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google"}


def tail(body: dict[str, Any]) -> str:
    """The text in which a directive counts."""
    results = _trailing_results(body)
    return _last_user_text(body) if results is None else results


def segments(body: dict[str, Any]) -> list[Segment]:
    """The prompt, from its most to its least stable part."""
    head = [Segment(value=body[name]) for name in ("tools", "response_format") if body.get(name)]
    return [*head, *(Segment(value=message) for message in dicts(body.get("messages")))]


def read_ask(call: Call) -> Ask:
    """What the body asks for, in no vendor's words."""
    body = call.body
    form = as_dict(body.get("response_format"))
    return Ask(
        model=call.model_id,
        vendor_name=_VENDOR_NAMES[call.vendor],
        text=find_directives(_last_user_text(body))[1],
        tools=tuple(_tool(tool) for tool in dicts(body.get("tools"))),
        force=_force(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        result=_result(body),
        schema=as_dict(as_dict(form.get("json_schema")).get("schema"))
        if form.get("type") == "json_schema"
        else None,
        json_only=form.get("type") == "json_object",
        tokens_max=as_int(body.get("max_completion_tokens")) or as_int(body.get("max_tokens")),
        thinks=effort(call) not in ("", "none"),
        stops=_stops(body.get("stop")),
    )


def effort(call: Call) -> str:
    """The reasoning effort asked for, or the model's own; empty if it has none."""
    model = call.model
    if model is None or model.thinking == "none":
        return ""
    return as_str(call.body.get("reasoning_effort")) or model.effort_default


def _trailing_results(body: dict[str, Any]) -> str | None:
    texts: list[str] = []
    for message in reversed(dicts(body.get("messages"))):
        if message.get("role") != "tool":
            break
        texts.insert(0, text_of(message.get("content")))
    return "\n".join(texts) if texts else None


def _result(body: dict[str, Any]) -> str | None:
    results = _trailing_results(body)
    return None if results is None else find_directives(results)[1]


def _last_user_text(body: dict[str, Any]) -> str:
    for message in reversed(dicts(body.get("messages"))):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def _tool(tool: dict[str, Any]) -> Tool:
    if tool.get("type") == "custom":
        return Tool(name=as_str(as_dict(tool.get("custom")).get("name")), schema={}, kind="custom")
    function = as_dict(tool.get("function"))
    return Tool(name=as_str(function.get("name")), schema=as_dict(function.get("parameters")))


def _force(choice: Any) -> str | None:
    if choice == "required":
        return ANY_TOOL
    named = as_dict(choice)
    if named.get("type") == "allowed_tools":
        return ANY_TOOL if as_dict(named.get("allowed_tools")).get("mode") == "required" else None
    inner = as_dict(named.get("function")) or as_dict(named.get("custom"))
    return as_str(inner.get("name")) or None


def _stops(stop: Any) -> tuple[str, ...]:
    if isinstance(stop, str):
        return (stop,)
    return tuple(word for word in as_list(stop) if isinstance(word, str))
