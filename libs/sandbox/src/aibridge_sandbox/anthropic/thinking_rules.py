"""What Anthropic demands of `thinking`."""

from typing import Any

from aibridge_sandbox.anthropic.words import required, wrong
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.shape import as_dict, as_int
from aibridge_sandbox.world.catalogue import Model

_BUDGET_TOKENS_MIN = 1_024


def check_thinking(body: dict[str, Any], model: Model) -> None:
    """Which kind of thinking the model knows, and its budget."""
    thinking = as_dict(body.get("thinking"))
    kind = thinking.get("type")
    if not thinking or kind == "disabled":
        return
    if kind == "adaptive":
        if model.thinking != "adaptive":
            raise wrong("thinking.type", "adaptive is not supported on this model")
        return
    if kind != "enabled":
        raise wrong("thinking", f"Input tag '{kind}' does not match any of the expected tags")
    if model.thinking == "adaptive":
        raise Refusal(
            400,
            '"thinking.type.enabled" is not supported for this model. Use '
            '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.',
        )
    if model.thinking == "none":
        raise wrong("thinking", "extended thinking is not supported on this model")
    _check_budget(body, thinking)


def _check_budget(body: dict[str, Any], thinking: dict[str, Any]) -> None:
    budget = as_int(thinking.get("budget_tokens"))
    if budget is None:
        raise required("thinking.enabled.budget_tokens")
    if budget < _BUDGET_TOKENS_MIN:
        raise wrong(
            "thinking.enabled.budget_tokens",
            f"Input should be greater than or equal to {_BUDGET_TOKENS_MIN}",
        )
    if budget >= (as_int(body.get("max_tokens")) or 0):
        raise Refusal(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1):
        raise Refusal(400, "`temperature` may only be set to 1 when thinking is enabled.")
    if as_dict(body.get("tool_choice")).get("type") in ("any", "tool"):
        raise Refusal(400, "Thinking may not be enabled when tool_choice forces tool use.")
