"""Tools and tool choices of Chat."""

import msgspec
from msgspec import Raw

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import short_tool_name
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Tool, ToolChoice
from aibridge_router.dialects.openai_chat.content import Wire, cache_mark
from aibridge_router.dialects.openai_chat.conversation import TOOL_NAME_CHARACTERS_MAX
from aibridge_router.dialects.openai_chat.schema import fits_strict_mode, parameters_to_wire
from aibridge_router.dialects.openai_chat.wire import (
    AllowedTool,
    Grammar,
    ToolChoiceWire,
    ToolWire,
    present,
)

_MODES = {"auto": "auto", "required": "any", "none": "none", "any": "any"}
_WORDS = {"auto": "auto", "any": "required", "none": "none"}


def tool_from_wire(tool: ToolWire, place: str) -> Tool:
    """A declared tool. Raises `InvalidRequest` for a kind that Chat does not have."""
    mark = cache_mark(tool.cache_control)
    if tool.type == "function":
        inner = tool.function
        name = inner.name if inner is not None else tool.name
        if name is None:
            raise InvalidRequest(f"{place}.function: Field required", param=f"{place}.function")
        source = inner if inner is not None else tool
        return Tool(
            name=name,
            description=source.description,
            schema=schema_from_wire(source.parameters, f"{place}.function.parameters"),
            strict=source.strict,
            cache=mark,
        )
    if tool.type == "custom":
        custom = tool.custom
        name = custom.name if custom is not None else tool.name
        if name is None:
            raise InvalidRequest(f"{place}.custom: Field required", param=f"{place}.custom")
        source = custom if custom is not None else tool
        return Tool(
            name=name,
            description=source.description,
            grammar=_grammar_from_wire(source.format),
            custom=True,
            cache=mark,
        )
    raise InvalidRequest(
        f"{place}.type: {tool.type!r} is not a tool of Chat", param=f"{place}.type"
    )


def schema_from_wire(raw: Raw, place: str) -> Raw | None:
    """A JSON Schema, None where there is none. Raises `InvalidRequest` for what is no object."""
    schema = present(raw)
    if schema is not None and not bytes(schema).startswith(b"{"):
        raise InvalidRequest(f"{place}: a JSON Schema object is expected", param=place)
    return schema


def _grammar_from_wire(given: Grammar | None) -> Raw | None:
    if given is None:
        return None
    if given.definition is not None:
        flat = {"syntax": given.syntax or "lark", "definition": given.definition}
        return Raw(msgspec.json.encode(flat))
    return present(given.grammar)


def choice_from_wire(choice: str | ToolChoiceWire) -> ToolChoice:
    """A tool choice. Raises `InvalidRequest` for an unknown one."""
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            raise InvalidRequest(f"tool_choice: {choice!r} is not one", param="tool_choice")
        return msgspec.convert({"mode": mode}, ToolChoice)
    name = _name_of(choice)
    if choice.type in {"function", "custom"} and name is not None:
        return ToolChoice(mode="tool", name=name)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        names = [name for tool in allowed.tools if (name := _name_of(tool))]
        return ToolChoice(mode="any" if allowed.mode == "required" else "auto", allowed=names)
    raise InvalidRequest(f"tool_choice: {choice.type!r} is not one", param="tool_choice")


def _name_of(named: ToolChoiceWire | AllowedTool) -> str | None:
    inner = named.function or named.custom
    return inner.name if inner is not None else named.name


def tools_to_wire(request: Request, profile: Profile, losses: Losses) -> Wire:
    """`tools` and what goes with them; nothing at all where no tool is left. Raises `CannotSay`."""
    if request.server_tools:
        if not request.tools:
            raise CannotSay(f"{profile.upstream_model} has no such server tool", param="tools")
        losses.drop("server_tools")
    if not request.tools:
        return {}
    if not profile.capabilities.tools:
        raise CannotSay(f"{profile.upstream_model} has no tools", param="tools")
    try:
        tools = [wire for tool in request.tools if (wire := _tool_to_wire(tool, losses))]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # raw JSON, first looked at here
        raise InvalidRequest(f"tools: {error}", param="tools") from None
    if not tools:
        return {}
    body: Wire = {"tools": tools}
    if request.tool_choice is not None:
        body["tool_choice"] = _choice_to_wire(request)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools
    return body


def _tool_to_wire(tool: Tool, losses: Losses) -> Wire | None:
    if tool.cache is not None:
        losses.drop("cache_control")
    if tool.deferred:
        losses.drop("deferred_tools")
        if tool.schema is None and not tool.custom:
            return None  # it only stands for tools that are not loaded
    inner: Wire = {"name": short_tool_name(tool.name, TOOL_NAME_CHARACTERS_MAX)}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.custom:
        if tool.grammar is not None:
            inner["format"] = {"type": "grammar", "grammar": tool.grammar}
        return {"type": "custom", "custom": inner}
    parameters = inner["parameters"] = parameters_to_wire(tool.schema)
    if tool.strict is not None:
        if tool.strict and not fits_strict_mode(parameters):
            losses.drop("strict")
        else:
            inner["strict"] = tool.strict
    return {"type": "function", "function": inner}


def _choice_to_wire(request: Request) -> object:
    choice = request.tool_choice
    assert choice is not None
    custom = {tool.name for tool in request.tools if tool.custom}
    if choice.mode == "tool":
        return _named(choice.name or "", custom)
    if choice.allowed is not None:
        tools = [_named(name, custom) for name in choice.allowed]
        mode = "required" if choice.mode == "any" else "auto"
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    return _WORDS[choice.mode]


def _named(name: str, custom: set[str]) -> Wire:
    kind = "custom" if name in custom else "function"
    return {"type": kind, kind: {"name": short_tool_name(name, TOOL_NAME_CHARACTERS_MAX)}}
