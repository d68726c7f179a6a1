"""The response object around the output."""

from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.clock import unix_s
from aibridge_sandbox.openai.responses.prompt import effort
from aibridge_sandbox.openai.usage import responses_usage
from aibridge_sandbox.reply.answer import Answer
from aibridge_sandbox.shape import as_dict
from aibridge_sandbox.world.usage import Usage

_ECHOED = (
    *("instructions", "max_output_tokens", "max_tool_calls", "previous_response_id"),
    *("prompt_cache_key", "safety_identifier", "user"),
)


def response_id(call: Call) -> str:
    """What `previous_response_id` names later."""
    return f"resp_{call.mint}"


def response_object(
    call: Call,
    *,
    status: str,
    output: list[dict[str, Any]],
    usage: Usage | None,
    reason: str | None = None,
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The response as it stands; `usage` None leaves it null."""
    body = call.body
    reasoning = as_dict(body.get("reasoning"))
    text = as_dict(body.get("text"))
    return {
        "id": response_id(call),
        "object": "response",
        "created_at": unix_s(),
        "status": status,
        "background": False,
        "error": error,
        "incomplete_details": None if reason is None else {"reason": reason},
        **{name: body.get(name) for name in _ECHOED},
        "model": call.model_id,
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "reasoning": {"effort": effort(call) or None, "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **text},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": None if usage is None else responses_usage(usage),
        "metadata": body.get("metadata") or {},
    }


def final_status(answer: Answer) -> tuple[str, str | None]:
    """The status, and why it is incomplete if it is."""
    if answer.stop_word is not None:
        return "incomplete", answer.stop_word
    if answer.stop == "length":
        return "incomplete", "max_output_tokens"
    return "completed", None
