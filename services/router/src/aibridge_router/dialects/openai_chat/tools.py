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
from aibridge_router.dialects.openai_chat.wire import ToolChoiceWire, ToolWire, present

_MODES = {"auto": "auto", "required": "any", "none": "none", "any": "any"}
_WORDS = {"auto": "auto", "any": "required", "none": "none"}
_NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')


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
            schema=present(source.parameters),
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
            grammar=present(source.format.grammar) if source.format is not None else None,
            custom=True,
            cache=mark,
        )
    raise InvalidRequest(
        f"{place}.type: {tool.type!r} is not a tool of Chat", param=f"{place}.type"
    )


def choice_from_wire(choice: str | ToolChoiceWire) -> ToolChoice:
    """A tool choice. Raises `InvalidRequest` for an unknown one."""
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            raise InvalidRequest(f"tool_choice: {choice!r} is not one", param="tool_choice")
        return msgspec.convert({"mode": mode}, ToolChoice)
    named = choice.function or choice.custom
    if choice.type in {"function", "custom"} and named is not None:
        return ToolChoice(mode="tool", name=named.name)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        names = [inner.name for tool in allowed.tools if (inner := tool.function or tool.custom)]
        return ToolChoice(mode="any" if allowed.mode == "required" else "auto", allowed=names)
    raise InvalidRequest(f"tool_choice: {choice.type!r} is not one", param="tool_choice")


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
    body: Wire = {"tools": [_tool_to_wire(tool, losses) for tool in request.tools]}
    if request.tool_choice is not None:
        body["tool_choice"] = _choice_to_wire(request)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools
    return body


def _tool_to_wire(tool: Tool, losses: Losses) -> Wire:
    if tool.cache is not None:
        losses.drop("cache_control")
    if tool.deferred:
        losses.drop("deferred_tools")
    inner: Wire = {"name": short_tool_name(tool.name, TOOL_NAME_CHARACTERS_MAX)}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.custom:
        if tool.grammar is not None:
            inner["format"] = {"type": "grammar", "grammar": tool.grammar}
        return {"type": "custom", "custom": inner}
    inner["parameters"] = tool.schema if tool.schema is not None else _NO_ARGUMENTS
    if tool.strict is not None:
        if tool.strict and not fits_strict_mode(tool.schema):
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


def fits_strict_mode(schema: Raw | None) -> bool:
    """Whether every object of a schema forbids further members and requires all it has, as strict mode demands."""
    if schema is None:
        return False
    return _is_strict(msgspec.json.decode(schema))


def _is_strict(schema: object) -> bool:
    if isinstance(schema, list):
        return all(_is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if set(required) != set(properties):
            return False
        if not all(_is_strict(member) for member in properties.values()):
            return False
    elif schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    nested = [schema.get(name) for name in ("items", "anyOf", "allOf", "oneOf")]
    for name in ("$defs", "definitions"):
        defined = schema.get(name)
        if isinstance(defined, dict):
            nested += defined.values()
    return all(_is_strict(member) for member in nested)
