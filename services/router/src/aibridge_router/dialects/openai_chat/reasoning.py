"""How much to reason, by level."""

import bisect
from collections.abc import Sequence
from typing import get_args

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Effort, Reasoning
from aibridge_router.dialects.openai_chat.content import Wire

_EFFORTS: tuple[Effort, ...] = get_args(Effort)
_FROM_WIRE: dict[str, Effort] = {**{effort: effort for effort in _EFFORTS}, "none": "off"}
_BUDGETS = (0, 1024, 2048, 8192, 24576)
"""Tokens up to which a budget is off, minimal, low, medium, high; beyond is xhigh."""


def reasoning_from_wire(effort: str | None) -> Reasoning | None:
    """Raises `InvalidRequest` for a level that nobody knows."""
    if effort is None:
        return None
    if effort not in _FROM_WIRE:
        raise InvalidRequest(
            f"reasoning_effort: {effort!r} is not a level", param="reasoning_effort"
        )
    return Reasoning(effort=_FROM_WIRE[effort])


def reasoning_to_wire(reasoning: Reasoning | None, profile: Profile, losses: Losses) -> Wire:
    """`reasoning_effort`, where the model takes one and something is to be said."""
    wanted = _wanted(reasoning)
    if profile.capabilities.reasoning != "effort":
        if reasoning is not None and wanted != "off":
            losses.drop("reasoning")
        return {}
    word = _word(wanted, profile.capabilities.efforts, losses) if wanted is not None else None
    return {} if word is None else {"reasoning_effort": word}


def _wanted(reasoning: Reasoning | None) -> Effort | None:
    if reasoning is None or reasoning.effort is not None:
        return reasoning.effort if reasoning is not None else None
    budget = reasoning.budget_tokens
    if budget is None or budget < 0:  # Gemini's word for as much as the model likes
        return None
    return _EFFORTS[bisect.bisect_left(_BUDGETS, budget)]


def _word(wanted: Effort, allowed: Sequence[str], losses: Losses) -> str | None:
    """The nearest level below that the model has, else the lowest it has."""
    known: list[Effort] = [
        effort for effort in _EFFORTS if effort in allowed or _said(effort) in allowed
    ]
    if not known:
        losses.drop("reasoning")
        return None
    weaker: list[Effort] = [
        effort for effort in known if _EFFORTS.index(effort) <= _EFFORTS.index(wanted)
    ]
    nearest: Effort = weaker[-1] if weaker else known[0]
    if wanted == "off" and nearest != "off":
        losses.drop("reasoning")
    return _said(nearest)


def _said(effort: Effort) -> str:
    return "none" if effort == "off" else effort
