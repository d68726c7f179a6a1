"""What strict mode refuses in a Chat Completions request."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.openai import wrong
from aibridge_sandbox.openai.chat.message_rules import check_message, check_results
from aibridge_sandbox.openai.chat.prompt import effort, segments
from aibridge_sandbox.openai.chat.tool_rules import check_tools
from aibridge_sandbox.openai.rules import (
    check_range,
    check_response_schema,
    check_sampling,
    known_model,
)
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.prompt_usage import count_prompt
from aibridge_sandbox.shape import as_dict, as_int, as_list, words
from aibridge_sandbox.world.catalogue import Model

FIELDS = words(
    "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens "
    "max_tokens messages metadata modalities model moderation n parallel_tool_calls prediction "
    "presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream "
    "stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    "web_search_options"
)
_STOPS_MAX = 4
_CHOICES_MAX = 128


def check_request(call: Call) -> None:
    """Raise the 400 or 404 the vendor would answer with; lenient mode only wants a model."""
    model = known_model(call)
    if not call.strict:
        return
    for name in call.body:
        if name not in FIELDS:
            raise Refusal(400, f"Unrecognized request argument supplied: {name}")
    check_messages(call)
    check_tools(call, model)
    _check_reasoning(call, model)
    check_sampling(call, model, effort(call))
    for name in ("presence_penalty", "frequency_penalty"):
        check_range(call.body, name, -2.0, 2.0)
    _check_caps(call, model)
    _check_stop(call.body, model)
    _check_format(call.body)
    _check_options(call)
    tokens = count_prompt(segments(call.body))
    if tokens > model.context_tokens:
        raise wrong.context_exceeded(model.context_tokens, tokens)


def check_messages(call: Call) -> None:
    """Each message by itself, then calls and their results."""
    messages = call.body.get("messages")
    if messages is None:
        raise wrong.missing("messages")
    if not isinstance(messages, list):
        raise wrong.wrong_type("messages", "an array of objects")
    if not messages:
        raise wrong.array_empty("messages")
    for index, message in enumerate(as_list(messages)):
        if not isinstance(message, dict):
            raise wrong.wrong_type(f"messages[{index}]", "an object")
        check_message(as_dict(message), index)
    check_results([as_dict(message) for message in as_list(messages)])


def _check_reasoning(call: Call, model: Model) -> None:
    asked = call.body.get("reasoning_effort")
    if asked is None:
        return
    if model.thinking != "effort":
        raise Refusal(400, "Unrecognized request argument supplied: reasoning_effort")
    if asked not in model.efforts:
        raise wrong.not_one_of("reasoning_effort", asked, model.efforts)


def _check_caps(call: Call, model: Model) -> None:
    body = call.body
    if body.get("max_tokens") is not None:
        if body.get("max_completion_tokens") is not None:
            raise wrong.invalid(
                "max_tokens",
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time "
                "is not supported.",
                "invalid_parameter_combination",
            )
        if model.thinking == "effort":
            instead = " Use 'max_completion_tokens' instead."
            raise wrong.unsupported_parameter("max_tokens", instead)
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is None:
            continue
        number = as_int(value)
        if number is None or number < 1:
            raise wrong.invalid(
                name,
                f"Invalid '{name}': integer below minimum value. "
                f"Expected a value >= 1, but got {value} instead.",
                "integer_below_min_value",
            )
        if number > model.output_tokens_max:
            raise wrong.invalid(
                name,
                f"{name} is too large: {number}. This model supports at most "
                f"{model.output_tokens_max} completion tokens, whereas you provided {number}.",
            )


def _check_stop(body: dict[str, Any], model: Model) -> None:
    stop = body.get("stop")
    if stop is None:
        return
    if not model.stop:
        raise wrong.unsupported_parameter("stop")
    if len(as_list(stop)) > _STOPS_MAX:
        raise wrong.array_too_long("stop", _STOPS_MAX, len(as_list(stop)))


def _check_format(body: dict[str, Any]) -> None:
    form = as_dict(body.get("response_format"))
    kind = form.get("type")
    if not form:
        return
    if kind not in ("text", "json_object", "json_schema"):
        words = ("json_object", "json_schema", "text")
        raise wrong.not_one_of("response_format.type", kind, words)
    if kind == "json_schema":
        check_response_schema(as_dict(form.get("json_schema")), "response_format.json_schema")
    if kind == "json_object" and "json" not in str(body.get("messages")).lower():
        raise wrong.invalid(
            "messages",
            "'messages' must contain the word 'json' in some form, to use 'response_format' "
            "of type 'json_object'.",
        )


def _check_options(call: Call) -> None:
    body = call.body
    if body.get("stream_options") is not None and not call.stream:
        raise wrong.invalid(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
    choices = body.get("n")
    if choices is not None and not 1 <= (as_int(choices) or 0) <= _CHOICES_MAX:
        raise wrong.out_of_range("n", as_int(choices) or 0, 1, _CHOICES_MAX)
    if body.get("top_logprobs") is not None and body.get("logprobs") is not True:
        raise wrong.invalid(
            "top_logprobs", "'logprobs' must be set to true if 'top_logprobs' is used."
        )
