"""Requests for a vendor."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Sampling
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.invalid import Malformed, invalid
from aibridge_router.dialects.openai_responses.items_out import Items, OutItem, spoken
from aibridge_router.dialects.openai_responses.output_format import format_to_wire
from aibridge_router.dialects.openai_responses.reasoning import ENCRYPTED, reasoning_to_wire
from aibridge_router.dialects.openai_responses.tools import OutTool, choice_to_wire, tools_to_wire

_DIALECT = Dialect.OPENAI_RESPONSES
_OUTPUT_TOKENS_MIN = 16
"""Fewer are refused by the vendor."""
_KEY_CHARACTERS_MAX = 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Out(Struct, frozen=True, kw_only=True):
    """A request as we write it: nothing of it is kept by the vendor."""

    model: str
    instructions: str | UnsetType = UNSET
    input: list[OutItem]
    tools: list[OutTool] | UnsetType = UNSET
    tool_choice: Any = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    reasoning: wire.ReasoningConfig | UnsetType = UNSET
    text: wire.TextConfig | UnsetType = UNSET
    include: list[str] | UnsetType = UNSET
    stream: bool | UnsetType = UNSET
    store: bool = False
    safety_identifier: str | UnsetType = UNSET
    prompt_cache_key: str | UnsetType = UNSET


def request_to_wire(request: Request, profile: Profile, losses: Losses) -> bytes:
    """The request for a model. Raises `CannotSay` naming the field that this target cannot say."""
    try:
        return _written(request, profile, losses)
    except Malformed as error:  # what came as raw JSON is looked at here for the first time
        raise invalid(error, "tools") from None


def _written(request: Request, profile: Profile, losses: Losses) -> bytes:
    extras = request.extras.get(_DIALECT)
    if extras is None:
        _refuse_foreign(request, losses)
    if request.choices > 1:
        raise CannotSay("this model gives one answer at a time", param="n")
    if request.logprobs is not None:
        raise CannotSay("log probabilities are not converted", param="logprobs")
    capabilities = profile.capabilities
    tools = tools_to_wire(request, losses)
    if tools and not capabilities.tools:
        raise CannotSay("this model has no tools", param="tools")
    instruction, text = format_to_wire(request, capabilities, losses)
    system = spoken(request.system)
    if any(part.cache for part in request.system):
        losses.drop("cache_control")
    items = Items(request, profile, losses)
    if len(system) > 1:
        items.say_developer(system)
    if instruction:
        items.say_developer([Text(text=instruction)])
    items.add(request.turns)
    sampling = _sampling(request, profile, losses)
    reasons = capabilities.reasoning != "none"
    choice = request.tool_choice if tools else None
    out = _Out(
        model=profile.upstream_model,
        instructions=system[0].text if len(system) == 1 else UNSET,
        input=items.items,
        tools=tools or UNSET,
        tool_choice=UNSET if choice is None else choice_to_wire(choice, request.tools),
        parallel_tool_calls=_given(request.parallel_tools) if tools else UNSET,
        max_output_tokens=_cap(request.output_tokens_max, profile),
        temperature=_given(sampling.temperature),
        top_p=_given(sampling.top_p),
        reasoning=_given(reasoning_to_wire(request.reasoning, capabilities, losses)),
        text=_given(text),
        include=[ENCRYPTED] if reasons else UNSET,
        stream=request.stream or UNSET,
        safety_identifier=_identifier(request.user),
        prompt_cache_key=_cache_key(request.session),
    )
    return _with_extras(wire.encode(out), extras, reasons=reasons)


def _refuse_foreign(request: Request, losses: Losses) -> None:
    if request.needs:
        name = request.needs[0]
        raise CannotSay(f"{name} is not supported on this model", param=name)
    for drop in request.drops:
        losses.drop(drop)
    if any(request.extras.values()):
        losses.drop("extras")


def _given(value: Any) -> Any:
    return UNSET if value is None else value


def _cap(tokens: int | None, profile: Profile) -> int | UnsetType:
    if tokens is None:
        return UNSET
    return min(max(tokens, _OUTPUT_TOKENS_MIN), profile.max_output_tokens)


def _sampling(request: Request, profile: Profile, losses: Losses) -> Sampling:
    sampling = request.sampling
    for name, given in (
        ("seed", sampling.seed is not None),
        ("top_k", sampling.top_k is not None),
        ("penalties", bool(sampling.presence_penalty or sampling.frequency_penalty)),
        ("stop", bool(request.stop)),
    ):
        if given:
            losses.drop(name)
    if profile.capabilities.sampling:
        return sampling
    if (sampling.temperature, sampling.top_p) != (None, None):
        losses.drop("sampling")
    return Sampling()


def _identifier(user: str | None) -> str | UnsetType:
    """End users' ids are never passed on as they are; a digest is no longer one."""
    if not user:
        return UNSET
    if _DIGEST.fullmatch(user) is not None:
        return user
    return hashlib.sha256(user.encode()).hexdigest()


def _cache_key(session: str | None) -> str | UnsetType:
    if not session:
        return UNSET
    if len(session) <= _KEY_CHARACTERS_MAX:
        return session
    return hashlib.sha256(session.encode()).hexdigest()


def _with_extras(body: bytes, extras: dict[str, Raw] | None, *, reasons: bool) -> bytes:
    """`body` with the members that came in this dialect."""
    if not extras:
        return body
    if "include" in extras:
        asked = msgspec.json.decode(extras["include"], type=list[str])
        asked = [*asked, ENCRYPTED] if reasons else asked
        extras = extras | {"include": Raw(wire.encode(asked))}
    members = wire.decode_members(body) | extras
    return wire.encode(members)
