"""How much to reason, and the state that stands for reasoning between turns."""

import bisect
from collections.abc import Sequence
from typing import Literal, get_args

from msgspec import UNSET

from aibridge_router.canonical.content import State
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Capabilities
from aibridge_router.canonical.request import Effort, Reasoning
from aibridge_router.canonical.state import pack, unpack
from aibridge_router.dialects.openai_responses import wire

NATIVE_PROVIDER = "openai"
"""Whose `encrypted_content` comes bare; that of every other provider is packed."""

ENCRYPTED = "reasoning.encrypted_content"
"""What `include` must hold for state to come back where the vendor stores nothing."""

Mark = Literal["", "call", "redacted"]
"""What packed state belongs to: a reasoning item, the tool call before it, or reasoning that is hidden."""

_EFFORTS: tuple[Effort, ...] = get_args(Effort)
_FROM_WIRE: dict[str, Effort] = {**{effort: effort for effort in _EFFORTS[1:]}, "none": "off"}
_BUDGETS: tuple[int, ...] = (0, 1024, 2048, 8192, 24576)
"""Tokens up to which a budget is off, minimal, low, medium, high; beyond is xhigh."""


def reasoning_from_wire(config: wire.ReasoningConfig | None) -> Reasoning | None:
    """An effort that nobody knows leaves the choice to the model."""
    if config is None:
        return None
    effort = _FROM_WIRE.get(config.effort or "")
    shows = bool(config.summary or config.generate_summary)
    if effort is None and not shows:
        return None
    return Reasoning(effort=effort, show=True if shows else None)


def reasoning_to_wire(
    reasoning: Reasoning | None, capabilities: Capabilities, losses: Losses
) -> wire.ReasoningConfig | None:
    """What the model takes of it; None where nothing is to be said."""
    if reasoning is None:
        return None
    if capabilities.reasoning == "none":
        if reasoning.effort != "off" and reasoning.budget_tokens != 0:
            losses.drop("reasoning")
        return None
    effort = _effort(reasoning, capabilities.efforts, losses)
    summary = "auto" if reasoning.show else None
    if effort is None and summary is None:
        return None
    return wire.ReasoningConfig(effort=effort or UNSET, summary=summary or UNSET)


def _effort(reasoning: Reasoning, allowed: Sequence[str], losses: Losses) -> str | None:
    wanted = reasoning.effort
    if wanted is None and reasoning.budget_tokens is not None and reasoning.budget_tokens >= 0:
        wanted = _EFFORTS[bisect.bisect_left(_BUDGETS, reasoning.budget_tokens)]
    if wanted is None:
        return None
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


def slot_for(state: State, mark: Mark = "") -> str:
    """`encrypted_content` that brings `state` back with the client's next request."""
    if state.provider == NATIVE_PROVIDER and not mark:
        return state.data
    return f"{pack(state)}.{mark}" if mark else pack(state)


def read_slot(text: str) -> tuple[State, Mark]:
    """The inverse of `slot_for`."""
    if "." not in text:
        return State(provider=NATIVE_PROVIDER, data=text), ""
    for mark in ("call", "redacted"):
        packed = text.removesuffix(f".{mark}")
        state = unpack(packed) if packed != text else None
        if state is not None:
            return state, mark
    return unpack(text) or State(provider=NATIVE_PROVIDER, data=text), ""


def text_of(item: wire.ReasoningItem) -> str:
    """What can be read of the reasoning."""
    pieces = [*(item.content or ()), *(item.summary or ())]
    if not pieces:
        return ""
    return "\n\n".join(piece.text for piece in pieces if piece.text)
