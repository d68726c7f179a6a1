"""What Google demands of function declarations and their two kinds of schema."""

import re
from typing import Any

from aibridge_sandbox.google.names import camel
from aibridge_sandbox.google.prompt import declarations
from aibridge_sandbox.google.words import unknown_name, wrong, wrong_field
from aibridge_sandbox.shape import as_dict, as_list, as_str, dicts, words

_TOOLS = words(
    "codeExecution computerUse enterpriseWebSearch fileSearch functionDeclarations googleMaps "
    "googleSearch googleSearchRetrieval mcpServers retrieval urlContext"
)
_DECLARATION = words(
    "behavior description name parameters parametersJsonSchema response responseJsonSchema"
)
_SCHEMA = words(
    "anyOf default description enum example format items maxItems maxLength maxProperties maximum "
    "minItems minLength minProperties minimum nullable pattern properties propertyOrdering "
    "required title type"
)
"""All that the older `parameters` schema knows."""

_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,127}")


def check_tools(body: dict[str, Any]) -> None:
    """Tools, their declarations, and the mode of calling them."""
    names: set[str] = set()
    for index, tool in enumerate(dicts(body.get("tools"))):
        for name in tool:
            if name not in _TOOLS:
                raise unknown_name(name, f"tools[{index}]")
        for number, declared in enumerate(dicts(tool.get("functionDeclarations"))):
            where = f"tools[{index}].function_declarations[{number}]"
            _check_declaration(declared, where)
            if declared["name"] in names:
                raise wrong(f"Duplicate function declaration found: {declared['name']}")
            names.add(declared["name"])
    _check_choice(body)


def _check_declaration(declared: dict[str, Any], where: str) -> None:
    for name in declared:
        if name not in _DECLARATION:
            raise unknown_name(name, where)
    if not _NAME.fullmatch(as_str(declared.get("name"))):
        raise wrong_field(
            f"{where}.name",
            "Invalid function name. Must start with a letter or an underscore. Must be "
            "alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), "
            "with a maximum length of 128.",
        )
    if "parameters" in declared and "parametersJsonSchema" in declared:
        raise wrong(f"Only one of parameters and parameters_json_schema may be set at '{where}'.")
    _check_schema(as_dict(declared.get("parameters")), f"{where}.parameters")


def _check_schema(schema: dict[str, Any], where: str) -> None:
    for name in schema:
        if camel(name) not in _SCHEMA:
            raise unknown_name(name, where)
    if isinstance(schema.get("type"), list):
        raise wrong(f"Invalid value at '{where}.type': Proto field is not repeating.")
    for name, inner in as_dict(schema.get("properties")).items():
        _check_schema(as_dict(inner), f"{where}.properties[{name}]")
    if "items" in schema:
        _check_schema(as_dict(schema["items"]), f"{where}.items")
    for number, inner in enumerate(as_list(schema.get("anyOf"))):
        _check_schema(as_dict(inner), f"{where}.any_of[{number}]")


def _check_choice(body: dict[str, Any]) -> None:
    config = as_dict(as_dict(body.get("toolConfig")).get("functionCallingConfig"))
    mode = config.get("mode")
    if mode not in (None, "AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"):
        raise wrong(f"Invalid value at 'tool_config.function_calling_config.mode', \"{mode}\"")
    if mode == "ANY" and not declarations(body):
        raise wrong("Function calling config is set without function_declarations.")
    allowed = as_list(config.get("allowedFunctionNames"))
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise wrong("allowed_function_names should only be set when mode is ANY.")
    known = [declared.get("name") for declared in declarations(body)]
    if any(name not in known for name in allowed):
        raise wrong("allowed_function_names contains a function that is not declared.")
