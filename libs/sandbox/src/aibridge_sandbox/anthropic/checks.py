"""What strict mode refuses in a Messages request."""

from typing import Any

from aibridge_sandbox.anthropic.message_rules import check_messages, check_turns
from aibridge_sandbox.anthropic.prompt import blocks_of, segments
from aibridge_sandbox.anthropic.thinking_rules import check_thinking
from aibridge_sandbox.anthropic.tool_rules import check_choice, check_tools
from aibridge_sandbox.anthropic.words import extra, required, wrong
from aibridge_sandbox.call import Call
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.prompt_usage import count_prompt
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_number, as_str, dicts, words
from aibridge_sandbox.world.catalogue import Model

_FIELDS = words(
    "billing_policy cache_control compaction container diagnostics fallback_credit_token "
    "fallbacks inference_geo max_tokens mcp_servers messages metadata model output_config "
    "output_format safeguards service_tier speed stop_sequences stream system temperature "
    "thinking thread tool_choice tools top_k top_p user_profile_id workspace_id"
)
_COUNT_FIELDS = words(
    "cache_control container context_management mcp_servers messages model output_config "
    "output_format speed system thinking tool_choice tools user_profile_id workspace_id"
)
_BETA_FIELDS = {"context_management": "context-management"}
"""Fields that exist only with a beta of that name."""

_SAMPLING = ("temperature", "top_p", "top_k")
_CLOSED_VERSION = "2026-10-21"
_MARKERS_MAX = 4


def known_model(call: Call) -> Model:
    """The model; in lenient mode any id is one."""
    if not call.model_id:
        raise required("model")
    if call.model is not None:
        return call.model
    if call.strict:
        raise Refusal(404, f"model: {call.model_id}")
    return Model(id=call.model_id, vendor="anthropic")


def check_request(call: Call) -> None:
    """Raise the 400 or 404 the vendor would answer with; lenient mode only wants a model."""
    if call.strict:
        _check_fields(call, _FIELDS)
        for name in ("max_tokens", "messages"):
            if call.body.get(name) is None:
                raise required(name)
    model = known_model(call)
    if not call.strict:
        return
    _check_prompt(call, model)
    _check_cap(call.body, model)
    _check_sampling(call, model)
    check_thinking(call.body, model)
    _check_output(call.body, model)
    for index, stop in enumerate(as_list(call.body.get("stop_sequences"))):
        if not as_str(stop).strip():
            raise wrong(f"stop_sequences.{index}", "each stop sequence must contain non-whitespace")


def check_count(call: Call) -> None:
    """The same for token counting, which knows fewer fields."""
    if call.strict:
        _check_fields(call, _COUNT_FIELDS)
        if call.body.get("messages") is None:
            raise required("messages")
    model = known_model(call)
    if call.strict:
        _check_prompt(call, model)


def _check_fields(call: Call, fields: frozenset[str]) -> None:
    betas = call.request.header("anthropic-beta")
    for name in call.body:
        if name in _BETA_FIELDS:
            if _BETA_FIELDS[name] not in betas:
                raise extra(name)
        elif name not in fields:
            raise extra(name)


def _check_prompt(call: Call, model: Model) -> None:
    body = call.body
    check_messages(call, model)
    check_turns(dicts(body.get("messages")))
    for block in blocks_of(body.get("system")):
        if not as_str(block.get("text")):
            raise wrong("system", "text content blocks must be non-empty")
    check_tools(body)
    check_choice(body)
    _check_markers(body)
    tokens = count_prompt(segments(body))
    if tokens > model.context_tokens:
        raise Refusal(400, f"prompt is too long: {tokens} tokens > {model.context_tokens} maximum")


def _check_markers(body: dict[str, Any]) -> None:
    ttls = [segment.ttl for segment in segments(body) if segment.ttl is not None]
    if len(ttls) > _MARKERS_MAX:
        raise Refusal(
            400,
            f"A maximum of {_MARKERS_MAX} blocks with cache_control may be provided. "
            f"Found {len(ttls)}.",
        )
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        raise Refusal(
            400,
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block",
        )


def _check_cap(body: dict[str, Any], model: Model) -> None:
    cap = as_int(body.get("max_tokens"))
    if cap is None:
        raise wrong("max_tokens", "Input should be a valid integer")
    if cap < 1:
        raise wrong("max_tokens", "Input should be greater than or equal to 1")
    if cap > model.output_tokens_max:
        raise wrong(
            "max_tokens",
            f"{cap} > {model.output_tokens_max}, which is the maximum allowed number of output "
            f"tokens for {model.id}",
        )


def _check_sampling(call: Call, model: Model) -> None:
    for name in _SAMPLING:
        value = call.body.get(name)
        if value is None:
            continue
        if call.request.header("anthropic-version") == _CLOSED_VERSION:
            raise extra(name)
        if not model.sampling:
            raise Refusal(400, f"`{name}` is deprecated for this model.")
        number = as_number(value)
        if number is None:
            raise wrong(name, "Input should be a valid number")
        if number < 0:
            raise wrong(name, "Input should be greater than or equal to 0")
        if number > 1 and name != "top_k":
            raise wrong(name, "Input should be less than or equal to 1")


def _check_output(body: dict[str, Any], model: Model) -> None:
    output = as_dict(body.get("output_config"))
    for name in output:
        if name not in ("effort", "format", "task_budget"):
            raise extra(f"output_config.{name}")
    effort = output.get("effort")
    if effort is not None and not model.efforts:
        raise extra("output_config.effort")
    if effort is not None and effort not in model.efforts:
        words = ", ".join(f"'{word}'" for word in model.efforts)
        raise wrong("output_config.effort", f"Input should be {words}")
    form = as_dict(output.get("format")) or as_dict(body.get("output_format"))
    if form and not model.structured:
        raise wrong("output_config.format", f"'{model.id}' does not support output format.")
    if form and not isinstance(form.get("schema"), dict):
        raise required("output_config.format.schema")
