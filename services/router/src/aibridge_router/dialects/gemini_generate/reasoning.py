"""How much to think: a budget for Gemini 2.5, a level since Gemini 3."""

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Capabilities
from aibridge_router.canonical.request import Effort, Reasoning
from aibridge_router.dialects.gemini_generate.wire import ThinkingConfig, Wire

_PLACE = "generationConfig.thinkingConfig"
_DYNAMIC = -1
"""The model decides."""

_LEAST_BUDGET = 128
"""For models that cannot be told not to think."""

_BUDGETS: dict[Effort, int] = {
    "off": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": _DYNAMIC,
    "max": _DYNAMIC,
}
"""The figures of Google's own OpenAI endpoint."""

_EFFORTS: tuple[tuple[int, Effort], ...] = (
    (0, "off"),
    (1024, "minimal"),
    (2048, "low"),
    (8192, "medium"),
    (24576, "high"),
)
_LADDER: tuple[Effort, ...] = ("minimal", "low", "medium", "high", "xhigh")
_RUNGS: dict[Effort, int] = {
    "off": 0,
    "minimal": 0,
    "low": 1,
    "medium": 2,
    "high": 3,
    "xhigh": 4,
    "max": 4,
}
_LEVELS: dict[str, Effort | None] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
    "THINKING_LEVEL_UNSPECIFIED": None,
}


def reasoning_from_wire(config: ThinkingConfig) -> Reasoning:
    """Raises `InvalidRequest` for a level that is none, or given beside a budget."""
    effort: Effort | None = None
    if config.thinking_level is not None:
        if config.thinking_budget is not None:
            raise InvalidRequest(f"{_PLACE}: a budget or a level, not both", param=_PLACE)
        level = config.thinking_level.upper()
        if level not in _LEVELS:
            place = f"{_PLACE}.thinkingLevel"
            raise InvalidRequest(f"{place}: {level!r} is not a level", param=place)
        effort = _LEVELS[level]
    budget = config.thinking_budget
    if budget is not None and budget <= 0:
        is_dynamic = budget < 0
        return Reasoning(
            effort=None if is_dynamic else "off",
            adaptive=is_dynamic,
            show=config.include_thoughts,
        )
    return Reasoning(effort=effort, budget_tokens=budget, show=config.include_thoughts)


def reasoning_to_wire(
    reasoning: Reasoning | None, capabilities: Capabilities, losses: Losses
) -> Wire:
    """The members of `thinkingConfig`; empty where nothing is to be said."""
    if reasoning is None:
        return {}
    if capabilities.reasoning not in {"budget", "level"}:
        if reasoning.effort != "off":
            losses.drop("reasoning")
        return {}
    config: Wire = {}
    if capabilities.reasoning == "budget":
        budget = _budget(reasoning, capabilities)
        if budget is not None:
            config["thinkingBudget"] = budget
    else:
        level = _level(reasoning, capabilities)
        if level is not None:
            config["thinkingLevel"] = level
    if reasoning.show is not None:
        config["includeThoughts"] = reasoning.show
    return config


def _budget(reasoning: Reasoning, capabilities: Capabilities) -> int | None:
    if reasoning.effort == "off" and "off" not in capabilities.efforts:
        return _LEAST_BUDGET
    if reasoning.budget_tokens is not None:
        budget = reasoning.budget_tokens
        return budget if budget <= _BUDGETS["high"] else _DYNAMIC
    if reasoning.effort is not None:
        return _BUDGETS[reasoning.effort]
    return _DYNAMIC if reasoning.adaptive else None


def _level(reasoning: Reasoning, capabilities: Capabilities) -> str | None:
    """The wanted level, else the next one above that the model has, else the next one below."""
    wanted = reasoning.effort
    if wanted is None and reasoning.budget_tokens is not None:
        budget = reasoning.budget_tokens
        wanted = _effort_of(budget)
    if wanted is None:
        return None
    at = _RUNGS[wanted]
    candidates = [*_LADDER[at:], *reversed(_LADDER[:at])]
    return next((one.upper() for one in candidates if one in capabilities.efforts), None)


def _effort_of(budget_tokens: int) -> Effort:
    for limit, effort in _EFFORTS:
        if budget_tokens <= limit:
            return effort
    return "xhigh"
