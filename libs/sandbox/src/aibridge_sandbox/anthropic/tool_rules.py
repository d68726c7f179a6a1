"""What Anthropic demands of declared tools and of the choice between them."""

import re
from typing import Any

from aibridge_sandbox.anthropic.words import extra, required, wrong
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.shape import as_dict, as_list, as_str, dicts, words

_FIELDS = words(
    "allowed_callers cache_control defer_loading description eager_input_streaming "
    "input_examples input_schema name strict type"
)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES = ("auto", "any", "tool", "none")


def check_tools(body: dict[str, Any]) -> None:
    """Names, uniqueness and schemas; server tools only need a unique name."""
    names: set[str] = set()
    for index, tool in enumerate(dicts(body.get("tools"))):
        where = f"tools.{index}"
        if tool.get("type") in (None, "custom"):
            _check_custom(tool, f"{where}.custom")
        name = as_str(tool.get("name"))
        if name and name in names:
            raise wrong("tools", "Tool names must be unique.")
        names.add(name)


def _check_custom(tool: dict[str, Any], where: str) -> None:
    for name in tool:
        if name not in _FIELDS:
            raise extra(f"{where}.{name}")
    if not isinstance(tool.get("name"), str):
        raise required(f"{where}.name")
    if not _NAME.fullmatch(tool["name"]):
        raise wrong(f"{where}.name", "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        raise required(f"{where}.input_schema")
    if as_dict(schema).get("type") is None:
        raise required(f"{where}.input_schema.type")
    if as_dict(schema).get("type") != "object":
        raise wrong(f"{where}.input_schema.type", "Input should be 'object'")
    if any(keyword in schema for keyword in ("oneOf", "allOf", "anyOf")):
        raise wrong(
            f"{where}.input_schema",
            "input_schema does not support oneOf, allOf, or anyOf at the top level",
        )


def check_choice(body: dict[str, Any]) -> None:
    """A choice needs tools to choose from."""
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = as_dict(choice).get("type")
    if kind not in _CHOICES:
        words = ", ".join(f"'{word}'" for word in _CHOICES)
        raise wrong(
            "tool_choice", f"Input tag '{kind}' does not match any of the expected tags: {words}"
        )
    if not as_list(body.get("tools")) and not body.get("mcp_servers"):
        raise wrong("tool_choice", "tool_choice may only be specified while providing tools")
    names = {as_str(tool.get("name")) for tool in dicts(body.get("tools"))}
    if kind == "tool" and as_dict(choice).get("name") not in names:
        raise Refusal(400, f"Tool '{as_dict(choice).get('name')}' not found in provided tools")
