"""Reads a Responses body; tolerant, for the checks come after."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.reply.ask import ANY_TOOL, Ask, Tool
from aibridge_sandbox.script import find_directives
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_str, dicts, text_of
from aibridge_sandbox.world.prefixes import Segment

_TEXT_PARTS = ("input_text", "output_text", "text")
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
_SILENT = frozenset({"reasoning", "additional_tools", "configuration_update"})
"""Items that may follow the last thing said without saying anything."""


def input_items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """A string is one user message."""
    told = body.get("input")
    if isinstance(told, str):
        return [{"type": "message", "role": "user", "content": told}]
    return dicts(told)


def kind_of(item: dict[str, Any]) -> str:
    """A message may leave its type out."""
    return as_str(item.get("type")) or ("message" if "role" in item else "")


def tail(body: dict[str, Any]) -> str:
    """The text in which a directive counts."""
    items = input_items(body)
    results = _trailing_results(items)
    return _last_user_text(items) if results is None else results


def segments(body: dict[str, Any], items: list[dict[str, Any]]) -> list[Segment]:
    """The prompt, from its most to its least stable part."""
    names = ("instructions", "tools", "text")
    head = [Segment(value=body[name]) for name in names if body.get(name)]
    return [*head, *(Segment(value=item) for item in items)]


def declared_tools(body: dict[str, Any]) -> list[Tool]:
    """Functions and custom tools, those inside namespaces and `additional_tools` included."""
    found = _tools(as_list(body.get("tools")), None)
    for item in input_items(body):
        if kind_of(item) == "additional_tools":
            found.extend(_tools(as_list(item.get("tools")), None))
    return found


def _tools(declared: list[Any], namespace: str | None) -> list[Tool]:
    found: list[Tool] = []
    for tool in dicts(declared):
        name = as_str(tool.get("name"))
        match tool.get("type"):
            case "function":
                schema = as_dict(tool.get("parameters"))
                found.append(Tool(name=name, schema=schema, namespace=namespace))
            case "custom":
                found.append(Tool(name=name, schema={}, kind="custom", namespace=namespace))
            case "namespace":
                found.extend(_tools(as_list(tool.get("tools")), name))
            case _:
                continue
    return found


def effort(call: Call) -> str:
    """The reasoning effort asked for, or the model's own; empty if it has none."""
    model = call.model
    if model is None or model.thinking == "none":
        return ""
    return as_str(as_dict(call.body.get("reasoning")).get("effort")) or model.effort_default


def read_ask(call: Call) -> Ask:
    """What the body asks for, in no vendor's words."""
    body = call.body
    items = input_items(body)
    form = as_dict(as_dict(body.get("text")).get("format"))
    results = _trailing_results(items)
    return Ask(
        model=call.model_id,
        vendor_name="OpenAI",
        text=find_directives(_last_user_text(items))[1],
        tools=tuple(declared_tools(body)),
        force=_force(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        result=None if results is None else find_directives(results)[1],
        schema=as_dict(form.get("schema")) if form.get("type") == "json_schema" else None,
        json_only=form.get("type") == "json_object",
        tokens_max=as_int(body.get("max_output_tokens")),
        thinks=effort(call) not in ("", "none"),
    )


def _trailing_results(items: list[dict[str, Any]]) -> str | None:
    texts: list[str] = []
    for item in reversed(items):
        if kind_of(item) in _RESULTS:
            texts.insert(0, text_of(item.get("output"), kinds=_TEXT_PARTS))
        elif kind_of(item) not in _SILENT:
            break
    return "\n".join(texts) if texts else None


def _last_user_text(items: list[dict[str, Any]]) -> str:
    for item in reversed(items):
        if kind_of(item) == "message" and item.get("role") == "user":
            return text_of(item.get("content"), kinds=_TEXT_PARTS)
    return ""


def _force(choice: Any) -> str | None:
    if choice == "required":
        return ANY_TOOL
    named = as_dict(choice)
    if named.get("type") == "allowed_tools":
        return ANY_TOOL if named.get("mode") == "required" else None
    return as_str(named.get("name")) or None
