"""What strict mode refuses in a Responses request."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.openai import wrong
from aibridge_sandbox.openai.responses.item_rules import check_item, check_outputs
from aibridge_sandbox.openai.responses.prompt import declared_tools, effort, segments
from aibridge_sandbox.openai.rules import (
    check_parameters,
    check_response_schema,
    check_sampling,
    check_tool_name,
    known_model,
)
from aibridge_sandbox.reply.prompt_usage import count_prompt
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_str, words
from aibridge_sandbox.world.catalogue import Model

_FIELDS = words(
    "access_programs background background_options client_metadata context_management "
    "conversation image include input instructions max_output_tokens max_tool_calls metadata "
    "model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key "
    "prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store "
    "stream stream_options temperature text tool_choice tools top_logprobs top_p truncation "
    "user"
)
_REASONING_FIELDS = frozenset({"effort", "summary", "generate_summary", "context"})
_OUTPUT_TOKENS_MIN = 16


def check_request(call: Call, items: list[dict[str, Any]]) -> None:
    """Raise the 400 or 404 the vendor would answer with; `items` include earlier turns."""
    model = known_model(call)
    if not call.strict:
        return
    for name in call.body:
        if name not in _FIELDS:
            raise wrong.unknown(name)
    _check_input(call.body)
    for index, item in enumerate(items):
        check_item(item, index)
    check_outputs(items)
    _check_tools(call)
    _check_reasoning(call, model)
    check_sampling(call, model, effort(call))
    _check_cap(call.body, model)
    form = as_dict(as_dict(call.body.get("text")).get("format"))
    if form.get("type") == "json_schema":
        check_response_schema(form, "text.format")
    if call.body.get("stream_options") is not None and not call.stream:
        raise wrong.invalid(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
    tokens = count_prompt(segments(call.body, items))
    if tokens > model.context_tokens:
        raise wrong.context_exceeded(model.context_tokens, tokens)


def _check_input(body: dict[str, Any]) -> None:
    told = body.get("input")
    if told is None:
        if body.get("previous_response_id") or body.get("prompt"):
            return
        raise wrong.missing("input")
    if not isinstance(told, str | list):
        raise wrong.wrong_type("input", "one of a string or an array of input items")
    for index, item in enumerate(as_list(told)):
        if not isinstance(item, dict):
            raise wrong.wrong_type(f"input[{index}]", "an object")


def _check_tools(call: Call) -> None:
    for index, tool in enumerate(as_list(call.body.get("tools"))):
        declared = as_dict(tool)
        if not as_str(declared.get("type")):
            raise wrong.missing(f"tools[{index}].type")
        if declared["type"] in ("function", "custom"):
            check_tool_name(declared.get("name"), f"tools[{index}].name")
        if declared["type"] == "function":
            check_parameters(declared, f"tools[{index}]")
    choice = call.body.get("tool_choice")
    tools = declared_tools(call.body)
    if choice == "required" and not tools and not call.body.get("tools"):
        raise wrong.invalid(
            "tool_choice", "Tool choice 'required' must be specified with 'tools' parameter."
        )
    named = as_dict(choice)
    if named.get("type") in ("function", "custom") and named.get("name") not in {
        tool.name for tool in tools
    }:
        raise wrong.invalid(
            "tool_choice", f"Tool choice '{named['type']}' not found in 'tools' parameter."
        )


def _check_reasoning(call: Call, model: Model) -> None:
    reasoning = as_dict(call.body.get("reasoning"))
    for name in reasoning:
        if name not in _REASONING_FIELDS:
            raise wrong.unknown(f"reasoning.{name}")
    asked = reasoning.get("effort")
    if asked is None:
        return
    if model.thinking != "effort":
        raise wrong.unsupported_parameter("reasoning.effort")
    if asked not in model.efforts:
        raise wrong.not_one_of("reasoning.effort", asked, model.efforts)


def _check_cap(body: dict[str, Any], model: Model) -> None:
    value = body.get("max_output_tokens")
    if value is None:
        return
    number = as_int(value)
    if number is None or number < _OUTPUT_TOKENS_MIN:
        raise wrong.invalid(
            "max_output_tokens",
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {_OUTPUT_TOKENS_MIN}, but got {value} instead.",
            "integer_below_min_value",
        )
    if number > model.output_tokens_max:
        raise wrong.invalid(
            "max_output_tokens",
            f"max_output_tokens is too large: {number}. This model supports at most "
            f"{model.output_tokens_max} output tokens, whereas you provided {number}.",
        )
