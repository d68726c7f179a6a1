"""What OpenAI demands of the tools of a chat request."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.openai import wrong
from aibridge_sandbox.openai.chat.prompt import effort
from aibridge_sandbox.openai.rules import check_parameters, check_tool_name
from aibridge_sandbox.shape import as_dict, as_list, as_str
from aibridge_sandbox.world.catalogue import Model


def check_tools(call: Call, model: Model) -> None:
    """Tools, the choice between them, and the models that want them on /responses."""
    tools = call.body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if call.body.get(name) not in (None, "none"):
                raise wrong.invalid(
                    name,
                    f"Invalid value for '{name}': '{name}' is only allowed "
                    "when 'tools' are specified.",
                )
        return
    if not as_list(tools):
        raise wrong.array_empty("tools")
    for index, tool in enumerate(as_list(tools)):
        _check_tool(as_dict(tool), f"tools[{index}]")
    if not model.chat_tools and effort(call) != "none":
        raise wrong.invalid(
            "reasoning_effort",
            f"Function tools with reasoning_effort are not supported for {model.id} in "
            "/v1/chat/completions. Please use /v1/responses instead.",
        )
    choice = as_dict(as_dict(call.body.get("tool_choice")).get("function"))
    names = [as_dict(as_dict(tool).get("function")).get("name") for tool in as_list(tools)]
    if choice and choice.get("name") not in names:
        raise wrong.invalid(
            "tool_choice",
            f"Invalid value for 'tool_choice': function '{choice.get('name')}' "
            "is not one of the 'tools'.",
        )


def _check_tool(tool: dict[str, Any], param: str) -> None:
    kind = tool.get("type")
    if kind is None:
        raise wrong.missing(f"{param}.type")
    if kind not in ("function", "custom"):
        raise wrong.not_one_of(f"{param}.type", kind, ("function", "custom"))
    for name in tool:
        if name not in {"type", kind}:
            raise wrong.unknown(f"{param}.{name}")
    inner = tool.get(as_str(kind))
    if not isinstance(inner, dict):
        raise wrong.missing(f"{param}.{kind}")
    known = {"name", "description", "parameters", "strict", "format"}
    for name in inner:
        if name not in known:
            raise wrong.unknown(f"{param}.{kind}.{name}")
    check_tool_name(inner.get("name"), f"{param}.{kind}.name")
    check_parameters(as_dict(inner), f"{param}.{kind}")
