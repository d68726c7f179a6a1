"""How much to think: the vendor's budgets and levels, and the hub's."""

from typing import get_args

from msgspec import Struct

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Effort, Reasoning
from aibridge_router.dialects.anthropic_messages.wire import ThinkingConfig

BUDGET_TOKENS_MIN = 1024
_LEVELS: dict[str, Effort] = {level: level for level in get_args(Effort)}
_BUDGETS: dict[Effort, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 65536,
}
"""Tokens that stand for a level; read upwards, the level that stands for a budget, where more than high is xhigh."""

_DEFAULT: Effort = "high"
"""The level at which adaptive models think when none is given."""

_WORDS = {"minimal": "low"}
"""The vendor's word for a level, where it is another."""

_SHOWN = {"summarized": True, "updates": True, "omitted": False}


class Thought(Struct, frozen=True, kw_only=True):
    """What a request says about thinking, and the output cap that makes room for it."""

    config: ThinkingConfig | None = None
    effort: str | None = None
    output_tokens_max: int

    @property
    def enabled(self) -> bool:
        """Whether the model is told to think."""
        return self.config is not None and self.config.type != "disabled"


def reasoning_from_wire(thinking: ThinkingConfig | None, effort: str | None) -> Reasoning | None:
    """Raises `InvalidRequest` for a level that is none. Thinking of an unknown type is taken for adaptive."""
    if effort is not None and effort not in _LEVELS:
        raise InvalidRequest(
            f"output_config.effort: {effort!r} is not a level", param="output_config.effort"
        )
    level = _LEVELS[effort] if effort is not None else None
    if thinking is None:
        return Reasoning(effort=level) if level is not None else None
    show = _SHOWN.get(thinking.display or "")
    if thinking.type == "disabled":
        return Reasoning(effort="off")
    if thinking.type == "enabled":
        if thinking.budget_tokens is None:
            raise InvalidRequest(
                "thinking.budget_tokens: Field required", param="thinking.budget_tokens"
            )
        return Reasoning(effort=level, budget_tokens=thinking.budget_tokens, show=show)
    return Reasoning(effort=level, adaptive=True, show=show)


def reasoning_to_wire(
    reasoning: Reasoning | None,
    profile: Profile,
    losses: Losses,
    output_tokens_max: int | None,
    *,
    possible: bool,
) -> Thought:
    """`possible` is False where the rest of the request rules thinking out."""
    limit = profile.max_output_tokens
    cap = min(output_tokens_max or limit, limit)
    if reasoning is None:
        return Thought(output_tokens_max=cap)
    means = profile.capabilities.reasoning
    if reasoning.effort == "off" or reasoning.budget_tokens == 0:
        told = means == "adaptive" and "off" in profile.capabilities.efforts
        return Thought(
            config=ThinkingConfig(type="disabled") if told else None, output_tokens_max=cap
        )
    if means == "budget":
        return _by_budget(reasoning, losses, cap, limit, possible=possible)
    if means not in {"adaptive", "effort"}:
        losses.drop("reasoning")
        return Thought(output_tokens_max=cap)
    if not possible:
        losses.drop("reasoning")
    display = None if reasoning.show is None else "summarized" if reasoning.show else "omitted"
    config = ThinkingConfig(type="adaptive", display=display)
    return Thought(
        config=config if possible and means == "adaptive" else None,
        effort=_word(_level(reasoning), profile.capabilities.efforts),
        output_tokens_max=cap,
    )


def _by_budget(
    reasoning: Reasoning, losses: Losses, cap: int, limit: int, *, possible: bool
) -> Thought:
    """A budget leaves room for the answer: an asked one stays below the cap, a level takes at most half of it."""
    if not possible or limit <= BUDGET_TOKENS_MIN:
        losses.drop("reasoning")
        return Thought(output_tokens_max=cap)
    if cap <= BUDGET_TOKENS_MIN:
        cap = min(BUDGET_TOKENS_MIN + cap, limit)
    if reasoning.budget_tokens is not None and reasoning.budget_tokens > 0:
        budget = min(reasoning.budget_tokens, cap - 1)
    else:
        budget = min(_BUDGETS[_level(reasoning) or _DEFAULT], cap // 2)
    config = ThinkingConfig(
        type="enabled",
        budget_tokens=max(budget, BUDGET_TOKENS_MIN),
        display="omitted" if reasoning.show is False else None,
    )
    return Thought(config=config, output_tokens_max=cap)


def _level(reasoning: Reasoning) -> Effort | None:
    if reasoning.effort is not None or reasoning.budget_tokens is None:
        return reasoning.effort
    if reasoning.budget_tokens < 0:
        return None  # Gemini's word for as much as the model likes
    for level, budget in _BUDGETS.items():
        if reasoning.budget_tokens <= budget and level != "max":
            return level
    return "xhigh"


def _word(level: Effort | None, efforts: tuple[str, ...]) -> str | None:
    """The nearest level below that the model has, else the lowest it has."""
    if level is None or not efforts:
        return None
    order = list(_LEVELS)
    known = [each for each in order if each in efforts and each != "off"]
    below = [each for each in known if order.index(each) <= order.index(level)]
    chosen = below[-1] if below else next(iter(known), None)
    return _WORDS.get(chosen, chosen) if chosen is not None else None
