"""Tools and the choice among them."""

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import ToolCall
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import short_tool_name
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, ServerTool, Tool, ToolChoice
from aibridge_router.dialects.anthropic_messages.block_from_wire import mark_from_wire
from aibridge_router.dialects.anthropic_messages.block_to_wire import TOOL_NAME_CHARACTERS_MAX
from aibridge_router.dialects.anthropic_messages.caching import EPHEMERAL, Markers
from aibridge_router.dialects.anthropic_messages.places import invalid_at
from aibridge_router.dialects.anthropic_messages.schema import fits_strict_mode, object_schema
from aibridge_router.dialects.anthropic_messages.wire import ToolChoiceWire, ToolWire

PLACEHOLDER = "DeferredToolPlaceholder"
"""Claude Code declares it so that the list of deferred tools is never empty; nobody can call it."""

_TOOL_SEARCH = "tool_search_tool"
_FREE_TEXT = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],'
    b'"additionalProperties":false}'
)
_ANYTHING = Raw(b'{"type":"object"}')
_decode_raws = msgspec.json.Decoder(list[Raw]).decode


def tools_from_wire(tools: list[ToolWire], raw: Raw) -> tuple[list[Tool], list[ServerTool]]:
    """The client's tools and the vendor's own; `raw` is the member they stand in."""
    ours: list[Tool] = []
    theirs: list[ServerTool] = []
    for index, tool in enumerate(tools):
        if tool.type not in {None, "custom"}:
            theirs.append(
                ServerTool(
                    dialect=Dialect.ANTHROPIC_MESSAGES,
                    kind=str(tool.type),
                    raw=_decode_raws(raw)[index],
                )
            )
        elif not tool.name:
            raise invalid_at(f"tools.{index}.name", "Field required")
        elif tool.name != PLACEHOLDER:
            ours.append(_tool_from_wire(tool, index))
    return ours, theirs


def choice_from_wire(choice: ToolChoiceWire) -> ToolChoice:
    """Raises `InvalidRequest` for a choice that is not one."""
    match choice.type:
        case "auto" | "any" | "none":
            return ToolChoice(mode=choice.type)
        case "tool" if choice.name:
            return ToolChoice(mode="tool", name=choice.name)
        case "tool":
            raise invalid_at("tool_choice.name", "Field required")
        case _:
            raise invalid_at("tool_choice.type", f"{choice.type!r} is not a choice")


def tools_to_wire(
    request: Request, profile: Profile, losses: Losses, markers: Markers
) -> list[ToolWire | Raw]:
    """All tools the model is told of. Raises `CannotSay` where it takes none, or none is left."""
    allowed = request.tool_choice.allowed if request.tool_choice is not None else None
    asked = [tool for tool in request.tools if allowed is None or tool.name in allowed]
    if request.tools and not profile.capabilities.tools:
        raise CannotSay("tools: this model has none", param="tools")
    own = _server_tools(request, losses)
    searchable = any(
        tool.dialect is Dialect.ANTHROPIC_MESSAGES and tool.kind.startswith(_TOOL_SEARCH)
        for tool in request.server_tools
    )
    tools: list[ToolWire | Raw] = [
        _tool_to_wire(tool, profile, losses, markers, searchable=searchable) for tool in asked
    ]
    if markers.automatic and tools and isinstance(last := tools[-1], ToolWire):
        tools[-1] = msgspec.structs.replace(last, cache_control=EPHEMERAL)
    return tools + own


def called_tools(request: Request) -> list[ToolWire | Raw]:
    """Declarations of the tools that history called: the vendor refuses such a history without any tools."""
    names = dict.fromkeys(
        short_tool_name(block.name, TOOL_NAME_CHARACTERS_MAX)
        for turn in request.turns
        for block in turn.blocks
        if isinstance(block, ToolCall)
    )
    return [ToolWire(name=name, input_schema=_ANYTHING) for name in names]


def choice_to_wire(
    request: Request, answer_tool: ToolWire | None, *, alternatives: bool
) -> ToolChoiceWire | None:
    """Which tool to use; with an `answer_tool` some tool must be used, since the answer is one.

    `alternatives` says whether there are other tools beside it.
    """
    choice = request.tool_choice
    alone = True if request.parallel_tools is False else None
    if answer_tool is not None:
        return _choice_with_answer(choice, answer_tool, alone=alone, alternatives=alternatives)
    if choice is None:
        return ToolChoiceWire(type="auto", disable_parallel_tool_use=True) if alone else None
    if choice.mode == "none":
        return ToolChoiceWire(type="none")
    if choice.mode == "tool":
        return _forced(choice.name or "", alone)
    return ToolChoiceWire(type=choice.mode, disable_parallel_tool_use=alone)


def _choice_with_answer(
    choice: ToolChoice | None,
    answer_tool: ToolWire,
    *,
    alone: bool | None,
    alternatives: bool,
) -> ToolChoiceWire:
    if choice is not None and choice.mode == "tool":
        return _forced(choice.name or "", alone)
    if alternatives and (choice is None or choice.mode != "none"):
        return ToolChoiceWire(type="any", disable_parallel_tool_use=alone)
    return _forced(answer_tool.name, alone=True)


def _forced(name: str, alone: bool | None) -> ToolChoiceWire:
    short = short_tool_name(name, TOOL_NAME_CHARACTERS_MAX)
    return ToolChoiceWire(type="tool", name=short, disable_parallel_tool_use=alone)


def _server_tools(request: Request, losses: Losses) -> list[ToolWire | Raw]:
    own: list[ToolWire | Raw] = [
        tool.raw for tool in request.server_tools if tool.dialect is Dialect.ANTHROPIC_MESSAGES
    ]
    if len(own) < len(request.server_tools):
        if not own and not request.tools:
            kind = request.server_tools[0].kind
            raise CannotSay(f"tools: {kind} is not available on this model", param="tools")
        losses.drop("server_tools")
    return own


def _tool_from_wire(tool: ToolWire, index: int) -> Tool:
    schema = bytes(tool.input_schema)
    if schema and not schema.startswith(b"{"):
        raise invalid_at(f"tools.{index}.input_schema", "Expected `object`")
    return Tool(
        name=tool.name,
        description=tool.description,
        schema=tool.input_schema if schema else None,
        strict=tool.strict,
        deferred=bool(tool.defer_loading),
        cache=mark_from_wire(tool.cache_control),
    )


def _tool_to_wire(
    tool: Tool, profile: Profile, losses: Losses, markers: Markers, *, searchable: bool
) -> ToolWire:
    strict = None
    if tool.strict:
        if profile.capabilities.structured == "native" and fits_strict_mode(tool.schema):
            strict = True
        else:
            losses.drop("strict")
    if tool.deferred and not searchable:
        losses.drop("deferred_tools")
    return ToolWire(
        name=short_tool_name(tool.name, TOOL_NAME_CHARACTERS_MAX),
        description=_described(tool),
        input_schema=_FREE_TEXT if tool.custom else object_schema(tool.schema),
        strict=strict,
        defer_loading=True if tool.deferred and searchable else None,
        cache_control=markers.take(tool.cache),
    )


def _described(tool: Tool) -> str | None:
    if tool.grammar is None or not bytes(tool.grammar):
        return tool.description
    grammar = f"The input must follow this grammar:\n{bytes(tool.grammar).decode()}"
    return f"{tool.description}\n\n{grammar}" if tool.description else grammar
