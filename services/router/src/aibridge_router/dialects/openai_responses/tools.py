"""Tools, and which of them the model must use."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import ToolCall
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import short_tool_name
from aibridge_router.canonical.request import Request, ServerTool, Tool, ToolChoice
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.invalid import Malformed, invalid
from aibridge_router.dialects.openai_responses.schema import is_strict, parameters_to_wire

_DIALECT = Dialect.OPENAI_RESPONSES
_TOOL_SEARCH = "tool_search"
"""The server tool without which nothing may be deferred."""

NAME_CHARACTERS_MAX = 64

OutTool = wire.FunctionTool | wire.CustomTool | Raw


class Tools:
    """Collects the tools of a request, wherever in it they stand."""

    def __init__(self) -> None:
        self.client: list[Tool] = []
        self.server: list[ServerTool] = []

    def add(self, raws: Iterable[Raw], at: str, namespace: str = "") -> None:
        """Raises `InvalidRequest`."""
        for index, raw in enumerate(raws):
            place = f"{at}.{index}"
            try:
                tool = wire.decode_tool(raw)
            except Malformed as error:
                self._add_unknown(raw, place, error)
                continue
            if isinstance(tool, wire.NamespaceTool):
                self.add(tool.tools, f"{place}.tools", full_name(namespace, tool.name))
            else:
                self.client.append(_tool(tool, place, namespace))

    def _add_unknown(self, raw: Raw, at: str, error: Exception) -> None:
        try:
            kind = wire.decode_kind(raw).type
        except Malformed:
            kind = None
        if kind is None or kind in wire.TOOL_KINDS:
            raise invalid(error, at) from None
        self.server.append(ServerTool(dialect=_DIALECT, kind=kind, raw=raw))


def full_name(namespace: object, name: str) -> str:
    """One name for a tool in a namespace: no tool of a client has a dot in its own."""
    return f"{namespace}.{name}" if isinstance(namespace, str) and namespace else name


def call_of(item: wire.FunctionCall | wire.CustomToolCall) -> ToolCall:
    """The call that an item stands for."""
    name = full_name(item.namespace, item.name)
    if isinstance(item, wire.CustomToolCall):
        return ToolCall(id=item.call_id, name=name, arguments=item.input, custom=True)
    return ToolCall(id=item.call_id, name=name, arguments=item.arguments or "{}")


def _tool(tool: wire.FunctionTool | wire.CustomTool, at: str, namespace: str) -> Tool:
    name = full_name(namespace, tool.name)
    if isinstance(tool, wire.FunctionTool):
        return Tool(
            name=name,
            description=tool.description or None,
            schema=_schema(tool.parameters, at),
            strict=tool.strict if isinstance(tool.strict, bool) else None,
            deferred=tool.defer_loading is True,
        )
    return Tool(
        name=name,
        description=tool.description or None,
        custom=True,
        grammar=_grammar(tool.format),
        deferred=tool.defer_loading is True,
    )


def _schema(parameters: object, at: str) -> Raw | None:
    if not isinstance(parameters, Raw):
        return None
    first = bytes(parameters)[:1]
    if first == b"n":
        return None
    if first != b"{":
        raise InvalidRequest(
            "parameters: a JSON Schema object is expected", param=f"{at}.parameters"
        )
    return parameters


class _Grammar(Struct, frozen=True, kw_only=True):
    """How the hub keeps a grammar; `grammar` is where another dialect has the two."""

    syntax: str | UnsetType = UNSET
    definition: str | UnsetType = UNSET
    grammar: "_Grammar | UnsetType" = UNSET


def _grammar(given: object) -> Raw | None:
    if not isinstance(given, wire.Grammar) or given.type != "grammar":
        return None
    return Raw(wire.encode(_Grammar(syntax=given.syntax, definition=given.definition)))


_decode_grammar = msgspec.json.Decoder(_Grammar).decode


def tools_to_wire(request: Request, losses: Losses) -> list[OutTool]:
    """All tools. Raises `CannotSay` where only another vendor's server tools are asked for."""
    own = [tool for tool in request.server_tools if tool.dialect is _DIALECT]
    if len(own) < len(request.server_tools):
        if not request.tools and not own:
            raise CannotSay("this model has no such server tool", param="tools")
        losses.drop("server_tools")
    searched = any(tool.kind == _TOOL_SEARCH for tool in own)
    out: list[OutTool] = []
    for tool in request.tools:
        if tool.cache is not None:
            losses.drop("cache_control")
        if tool.deferred and not searched:
            losses.drop("deferred_tools")
            if tool.schema is None and not tool.custom:
                continue  # it only stands for tools that are not loaded
        defer = True if tool.deferred and searched else UNSET
        out.append(_custom(tool, defer) if tool.custom else _function(tool, defer, losses))
    out.extend(tool.raw for tool in own)
    return out


def _function(tool: Tool, defer: bool | UnsetType, losses: Losses) -> wire.FunctionTool:
    parameters = parameters_to_wire(tool.schema)
    strict = bool(tool.strict)
    if strict and not is_strict(parameters):
        losses.drop("strict")
        strict = False
    return wire.FunctionTool(
        name=short_tool_name(tool.name, NAME_CHARACTERS_MAX),
        description=tool.description or UNSET,
        parameters=parameters,
        # Left out, it would be tried strictly: optional arguments would become required ones.
        strict=strict,
        defer_loading=defer,
    )


def _custom(tool: Tool, defer: bool | UnsetType) -> wire.CustomTool:
    given = _Grammar() if tool.grammar is None else _decode_grammar(tool.grammar)
    given = given.grammar or given
    grammar = wire.Grammar(syntax=given.syntax, definition=given.definition)
    return wire.CustomTool(
        name=short_tool_name(tool.name, NAME_CHARACTERS_MAX),
        description=tool.description or UNSET,
        format=grammar if given.definition else UNSET,
        defer_loading=defer,
    )


class _Named(Struct, frozen=True, kw_only=True):
    """A tool in a choice; `name` is missing where the vendor runs it."""

    type: str
    name: str | None = None
    namespace: str | None = None


class _Choice(Struct, frozen=True, kw_only=True):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[_Named] | None = None


_decode_choice = msgspec.json.Decoder(str | _Choice).decode
_MODES: dict[str, Literal["auto", "any", "none"]] = {
    "auto": "auto",
    "required": "any",
    "none": "none",
}
_SAID = {"auto": "auto", "any": "required", "none": "none"}


def choice_from_wire(raw: Raw) -> ToolChoice | None:
    """None for a choice of a tool that the vendor runs. Raises `InvalidRequest`."""
    try:
        choice = _decode_choice(raw)
    except Malformed as error:
        raise invalid(error, "tool_choice") from None
    if isinstance(choice, str):
        return ToolChoice(mode=_mode(choice))
    if choice.type == "allowed_tools":
        names = [full_name(tool.namespace, tool.name) for tool in choice.tools or [] if tool.name]
        return ToolChoice(mode=_mode(choice.mode or "auto"), allowed=names)
    if choice.name is not None and choice.type in {"function", "custom"}:
        return ToolChoice(mode="tool", name=full_name(choice.namespace, choice.name))
    return None


def _mode(text: str) -> Literal["auto", "any", "none"]:
    if text not in _MODES:
        raise InvalidRequest(
            "tool_choice: auto, required, none or a tool is expected", param="tool_choice"
        )
    return _MODES[text]


def choice_to_wire(choice: ToolChoice, tools: list[Tool]) -> object:
    """The choice as this dialect says it: a word, or an object that names tools."""
    kinds = {tool.name: "custom" if tool.custom else "function" for tool in tools}
    if choice.mode == "tool" and choice.name is not None:
        return _named(choice.name, kinds)
    if choice.allowed is not None:
        mode = "auto" if choice.mode == "auto" else "required"
        named = [_named(name, kinds) for name in choice.allowed]
        return _AllowedOut(mode=mode, tools=named)
    return _SAID.get(choice.mode, "required")


class _NamedOut(Struct, frozen=True, kw_only=True):
    type: str
    name: str


class _AllowedOut(Struct, frozen=True, kw_only=True):
    type: str = "allowed_tools"
    mode: str
    tools: list[_NamedOut]


def _named(name: str, kinds: dict[str, str]) -> _NamedOut:
    short = short_tool_name(name, NAME_CHARACTERS_MAX)
    return _NamedOut(type=kinds.get(name, "function"), name=short)
