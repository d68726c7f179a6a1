"""Requests of the hub to Anthropic Messages."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import structs

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request
from aibridge_router.dialects.anthropic_messages.caching import EPHEMERAL, Markers
from aibridge_router.dialects.anthropic_messages.conversation import messages_to_wire
from aibridge_router.dialects.anthropic_messages.reasoning import Thought, reasoning_to_wire
from aibridge_router.dialects.anthropic_messages.states import NATIVE_PROVIDER
from aibridge_router.dialects.anthropic_messages.structured import Emulation, format_to_wire
from aibridge_router.dialects.anthropic_messages.tools import (
    called_tools,
    choice_to_wire,
    tools_to_wire,
)
from aibridge_router.dialects.anthropic_messages.wire import (
    MessageWritten,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolChoiceWire,
    ToolResultWritten,
)

BILLING_HEADER = "x-anthropic-billing-header:"
"""Claude Code's first system block. It differs between conversations, so elsewhere it would spoil every cache."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOP_P_WHILE_THINKING_MIN = 0.95
_NO_TOOL = ToolChoiceWire(type="none")

Wire = dict[str, Any]


def request_to_wire(request: Request, profile: Profile, losses: Losses) -> bytes:
    """The request for a model behind Messages. Raises `CannotSay` naming the field that it cannot say."""
    own = request.extras.get(Dialect.ANTHROPIC_MESSAGES, {})
    _refuse(request, foreign=not own)
    _drop(request, losses, foreign=not own)
    markers = Markers(request)
    emulation = format_to_wire(request.output_format, profile)
    body: Wire = {"model": profile.upstream_model, "max_tokens": 0}
    tools, choice = _tools(request, profile, losses, markers, emulation)
    system = _system(request.system, profile, markers, emulation.instruction)
    if system:
        body["system"] = system
    messages = messages_to_wire(request.turns, profile, losses, markers)
    body["messages"] = messages
    if tools:
        body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice
    thought = reasoning_to_wire(
        request.reasoning,
        profile,
        losses,
        request.output_tokens_max,
        possible=_may_think(messages, choice, profile),
    )
    body["max_tokens"] = thought.output_tokens_max
    if thought.config is not None:
        body["thinking"] = thought.config
    output = {"effort": thought.effort, "format": emulation.format}
    if any(output.values()):
        body["output_config"] = {name: value for name, value in output.items() if value}
    body |= _sampling(request, profile, losses, thought)
    stop = _stop(request, profile, losses)
    if stop:
        body["stop_sequences"] = stop
    if request.user:
        body["metadata"] = {"user_id": _digest(request.user)}
    if request.stream:
        body["stream"] = True
    return msgspec.json.encode(body | own)


def _refuse(request: Request, *, foreign: bool) -> None:
    if request.choices > 1:
        raise CannotSay("n: this model gives one choice", param="n")
    if request.logprobs is not None:
        raise CannotSay("logprobs: this model gives none", param="logprobs")
    if request.needs and foreign:
        name = request.needs[0]
        raise CannotSay(f"{name} is not supported on this model", param=name)


def _drop(request: Request, losses: Losses, *, foreign: bool) -> None:
    if foreign:
        for name in request.drops:
            losses.drop(name)
    if any(
        members
        for dialect, members in request.extras.items()
        if dialect is not Dialect.ANTHROPIC_MESSAGES
    ):
        losses.drop("extras")
    if request.verbosity is not None:
        losses.drop("verbosity")


def _tools(
    request: Request, profile: Profile, losses: Losses, markers: Markers, emulation: Emulation
) -> tuple[list[Any], ToolChoiceWire | None]:
    tools = tools_to_wire(request, profile, losses, markers)
    if tools or emulation.tool is not None:
        choice = choice_to_wire(request, emulation.tool, alternatives=bool(tools))
        return [*tools, emulation.tool] if emulation.tool is not None else tools, choice
    called = called_tools(request)
    return called, _NO_TOOL if called else None


def _system(
    system: list[Text], profile: Profile, markers: Markers, instruction: str | None
) -> list[TextBlock]:
    keeps_header = profile.provider == NATIVE_PROVIDER
    blocks = [
        TextBlock(text=text.text, cache_control=markers.take(text.cache))
        for text in system
        if text.text.strip() and (keeps_header or not text.text.startswith(BILLING_HEADER))
    ]
    if markers.automatic and blocks:
        blocks[-1] = structs.replace(blocks[-1], cache_control=EPHEMERAL)
    if instruction is not None:
        blocks.append(TextBlock(text=instruction))
    return blocks


def _may_think(
    messages: list[MessageWritten], choice: ToolChoiceWire | None, profile: Profile
) -> bool:
    """The vendor refuses thinking with a forced tool, with a prefill, and with a budget in a loop begun without it."""
    if choice is not None and choice.type in {"any", "tool"}:
        return False
    if messages[-1].role == "assistant":
        return False
    if profile.capabilities.reasoning != "budget":
        return True
    spoken = [message for message in messages if message.role != "system"]
    in_loop = any(isinstance(block, ToolResultWritten) for block in spoken[-1].content)
    if not in_loop:
        return True
    return isinstance(spoken[-2].content[0], ThinkingBlock | RedactedThinkingBlock)


def _sampling(request: Request, profile: Profile, losses: Losses, thought: Thought) -> Wire:
    """The vendor takes temperature or top_p, not both, and leaves little choice while it thinks."""
    sampling = request.sampling
    if sampling.seed is not None:
        losses.drop("seed")
    if sampling.presence_penalty or sampling.frequency_penalty:
        losses.drop("penalties")
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    takes = profile.capabilities.sampling
    body: Wire = {}
    if temperature is not None and takes and (not thought.enabled or temperature >= 1):
        body["temperature"] = min(temperature, 1.0)
    elif temperature not in {None, 1.0}:
        losses.drop("sampling")
    top_p_min = _TOP_P_WHILE_THINKING_MIN if thought.enabled else 0.0
    if top_p is not None and takes and temperature is None and top_p >= top_p_min:
        body["top_p"] = top_p
    elif top_p not in {None, 1.0}:
        losses.drop("sampling")
    if top_k is not None and takes and not thought.enabled:
        body["top_k"] = top_k
    elif top_k is not None:
        losses.drop("sampling")
    return body


def _stop(request: Request, profile: Profile, losses: Losses) -> list[str]:
    """Sequences of white space only are refused by the vendor."""
    stop = [sequence for sequence in request.stop if sequence.strip()]
    limit = profile.capabilities.stop_max
    if len(stop) < len(request.stop) or (stop and limit == 0):
        losses.drop("stop")
    if limit == 0:
        return []
    if len(stop) > limit:
        raise CannotSay(f"stop: at most {limit} sequences", param="stop")
    return stop


def _digest(user: str) -> str:
    """Who asks, unreadably: end users' names are nothing to tell a vendor."""
    if _DIGEST.fullmatch(user) is not None:
        return user
    return hashlib.sha256(user.encode()).hexdigest()
