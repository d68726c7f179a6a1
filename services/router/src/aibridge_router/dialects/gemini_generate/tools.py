"""Tools, and the choice among them."""

from typing import Any

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, ServerTool, Tool, ToolChoice
from aibridge_router.dialects.gemini_generate import wire
from aibridge_router.dialects.gemini_generate.arguments import FREE_TEXT
from aibridge_router.dialects.gemini_generate.schema import json_schema
from aibridge_router.dialects.gemini_generate.tool_names import tool_name
from aibridge_router.dialects.gemini_generate.wire import Wire, present

_MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE", "tool": "ANY"}
_DECLARATIONS = "functionDeclarations"


def tool_from_wire(declared: wire.FunctionDeclaration) -> Tool:
    """A declared function, its schema always as JSON Schema."""
    schema = present(declared.parameters_json_schema)
    if schema is None:
        older = present(declared.parameters)
        schema = json_schema(older) if older is not None else None
    return Tool(name=declared.name, description=declared.description, schema=schema)


def says_more(declared: wire.FunctionDeclaration) -> bool:
    """Whether a declaration has members that the hub has no word for."""
    return (
        declared.behavior is not None
        or present(declared.response) is not None
        or present(declared.response_json_schema) is not None
    )


def server_tools_from_wire(tools: list[dict[str, Raw]]) -> list[ServerTool]:
    """Google's own tools, each as the object that asks for it alone."""
    return [
        ServerTool(
            dialect=Dialect.GEMINI_GENERATE,
            kind=kind,
            raw=Raw(msgspec.json.encode({kind: raw})),
        )
        for tool in tools
        for kind, raw in tool.items()
        if kind != _DECLARATIONS and present(raw) is not None
    ]


def choice_from_wire(config: wire.FunctionCallingConfig) -> ToolChoice | None:
    """The mode in the hub's words. Raises `InvalidRequest` for an unknown one."""
    allowed = config.allowed_function_names or None
    match config.mode:
        case None | "MODE_UNSPECIFIED":
            return None if allowed is None else ToolChoice(mode="auto", allowed=allowed)
        case "AUTO" | "VALIDATED":
            return ToolChoice(mode="auto", allowed=allowed)
        case "ANY":
            if allowed is not None and len(allowed) == 1:
                return ToolChoice(mode="tool", name=allowed[0])
            return ToolChoice(mode="any", allowed=allowed)
        case "NONE":
            return ToolChoice(mode="none")
        case mode:
            place = "toolConfig.functionCallingConfig.mode"
            raise InvalidRequest(f"{place}: {mode!r} is not a mode", param=place)


def tools_to_wire(request: Request, profile: Profile, losses: Losses) -> Wire:
    """`tools` and `toolConfig`; nothing at all where no tool is left. Raises `CannotSay`."""
    own = [tool.raw for tool in request.server_tools if tool.dialect is Dialect.GEMINI_GENERATE]
    if len(own) < len(request.server_tools):
        if not request.tools:
            raise CannotSay(
                f"{profile.upstream_model} has no server tool {request.server_tools[0].kind}",
                param="server_tools",
            )
        losses.drop("server_tools")
    declared = [
        _tool_to_wire(tool, losses)
        for tool in request.tools
        if not (tool.deferred and tool.schema is None)
    ]
    if any(tool.deferred for tool in request.tools):
        losses.drop("deferred_tools")
    if declared and not profile.capabilities.tools:
        raise CannotSay(f"{profile.upstream_model} has no tools", param="tools")
    tools: list[Any] = [{_DECLARATIONS: declared}] if declared else []
    if not declared:
        return {"tools": own} if own else {}
    if request.parallel_tools is False:
        losses.drop("parallel_tool_calls")
    body: Wire = {"tools": tools + own}
    if request.tool_choice is not None:
        config = _choice_to_wire(request.tool_choice)
        body["toolConfig"] = {"functionCallingConfig": config}
    return body


def _tool_to_wire(tool: Tool, losses: Losses) -> Wire:
    if tool.cache is not None:
        losses.drop("cache_control")
    if tool.strict:
        losses.drop("strict")
    declared: Wire = {"name": tool_name(tool.name)}
    if tool.custom:
        declared["description"] = _custom_description(tool)
        declared["parametersJsonSchema"] = {
            "type": "object",
            "properties": {FREE_TEXT: {"type": "string"}},
            "required": [FREE_TEXT],
        }
        return declared
    if tool.description is not None:
        declared["description"] = tool.description
    if tool.schema is not None:
        declared["parametersJsonSchema"] = tool.schema
    return declared


def _custom_description(tool: Tool) -> str:
    """What the tool says of itself, and the grammar that its one argument must follow."""
    said = [tool.description] if tool.description else []
    grammar = present(tool.grammar) if tool.grammar is not None else None
    if grammar is not None:
        said.append(f"`{FREE_TEXT}` must follow this grammar: {bytes(grammar).decode()}")
    return "\n\n".join(said) or f"Takes free text in `{FREE_TEXT}`."


def _choice_to_wire(choice: ToolChoice) -> Wire:
    """Google narrows only where a call is forced or its form is checked: VALIDATED is the AUTO that does."""
    names = choice.allowed
    if choice.mode == "tool" and choice.name is not None:
        names = [choice.name]
    config: Wire = {"mode": _MODES[choice.mode]}
    if names and choice.mode != "none":
        if choice.mode == "auto":
            config["mode"] = "VALIDATED"
        config["allowedFunctionNames"] = [tool_name(name) for name in names]
    return config
