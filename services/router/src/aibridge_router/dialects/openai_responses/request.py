"""Requests: from a client of this dialect, and to a vendor that speaks it."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Sampling
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.invalid import Malformed, invalid
from aibridge_router.dialects.openai_responses.items_in import Conversation
from aibridge_router.dialects.openai_responses.items_out import Items, OutItem, spoken
from aibridge_router.dialects.openai_responses.output_format import (
    format_from_wire,
    format_to_wire,
)
from aibridge_router.dialects.openai_responses.reasoning import (
    reasoning_from_wire,
    reasoning_to_wire,
)
from aibridge_router.dialects.openai_responses.tools import (
    Tools,
    choice_from_wire,
    choice_to_wire,
    tools_to_wire,
)

_DIALECT = Dialect.OPENAI_RESPONSES
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
_OUTPUT_TOKENS_MIN = 16
"""Fewer are refused by the vendor."""
_KEY_CHARACTERS_MAX = 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Body(Struct, frozen=True, kw_only=True):
    """The members that the hub has words for."""

    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = Raw(b"null")
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    reasoning: wire.ReasoningConfig | None = None
    text: wire.TextConfig | None = None
    include: list[str] | None = None
    stream: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


_FIELDS = {
    field.name: msgspec.json.Decoder(field.type).decode for field in msgspec.structs.fields(_Body)
}

_NEEDS = frozenset({"background", "conversation", "previous_response_id", "prompt"})
"""Members that only the vendor's own memory can honour."""

_DROPS: dict[str, str | None] = {
    "client_metadata": "metadata",
    "context_management": "context_management",
    "metadata": "metadata",
    "prompt_cache_options": "cache_control",
    "prompt_cache_retention": "cache_control",
    "service_tier": "service_tier",
    "store": None,  # nothing is stored where an answer is converted
    "stream_options": "stream_options",
    "truncation": "context_management",
}
"""Members that another dialect leaves out, and as what; those not named here are `extras`."""

_SAYS_NOTHING = frozenset({b"null", b"false", b"{}", b"[]", b'"auto"', b'"disabled"'})


def request_from_wire(body: bytes) -> Request:
    """Raises `InvalidRequest` naming the field that is wrong."""
    wanted, extras = _read(body)
    tools = Tools()
    tools.add(wanted.tools or (), "tools")
    conversation = Conversation(tools)
    if wanted.instructions:
        conversation.system.append(Text(text=wanted.instructions))
    if isinstance(wanted.input, str):
        conversation.say(wanted.input)
    else:
        conversation.add(wanted.input or [])
    needs, drops = conversation.needs, conversation.drops
    _note_extras(extras, needs, drops)
    include = wanted.include or []
    choice = None
    if bytes(wanted.tool_choice) != b"null":
        choice = choice_from_wire(wanted.tool_choice)
        if choice is None:
            needs.append("tool_choice")
            extras["tool_choice"] = wanted.tool_choice
    reasoning, text = _configured(wanted, conversation.updates)
    rest = [name for name in include if name not in {_LOGPROBS, _ENCRYPTED}]
    if rest:
        extras["include"] = Raw(wire.encode(rest))
    logprobs = (wanted.top_logprobs or 0) if _LOGPROBS in include else wanted.top_logprobs or None
    return Request(
        model=wanted.model,
        turns=conversation.turns,
        system=conversation.system,
        tools=tools.client,
        server_tools=tools.server,
        tool_choice=choice,
        parallel_tools=wanted.parallel_tool_calls,
        output_tokens_max=wanted.max_output_tokens,
        sampling=Sampling(temperature=wanted.temperature, top_p=wanted.top_p),
        logprobs=logprobs,
        reasoning=None if reasoning is None else reasoning_from_wire(reasoning),
        output_format=format_from_wire(text.format) if text and text.format else None,
        verbosity=(text.verbosity or None) if text else None,
        stream=bool(wanted.stream),
        user=wanted.safety_identifier or wanted.user,
        session=wanted.prompt_cache_key,
        extras={_DIALECT: extras} if extras else {},
        needs=needs,
        drops=list(dict.fromkeys(drops)),
    )


def _read(body: bytes) -> tuple[_Body, dict[str, Raw]]:
    """The members that are known, and those that are not."""
    try:
        members = wire.decode_members(body)
    except Malformed as error:
        raise invalid(error) from None
    known: dict[str, Any] = {}
    extras: dict[str, Raw] = {}
    for name, raw in members.items():
        decode = _FIELDS.get(name)
        if decode is None:
            extras[name] = raw
            continue
        try:
            known[name] = decode(raw)
        except Malformed as error:
            raise invalid(error, name) from None
    if "model" not in known:
        raise InvalidRequest("model: Field required", param="model")
    return _Body(**known), extras


def _note_extras(extras: dict[str, Raw], needs: list[str], drops: list[str]) -> None:
    for name, raw in extras.items():
        if bytes(raw) in _SAYS_NOTHING:
            continue
        if name in _NEEDS:
            needs.append(name)
        elif (drop := _DROPS.get(name, "extras")) is not None:
            drops.append(drop)


def _configured(
    wanted: _Body, updates: list[wire.ConfigurationUpdate]
) -> tuple[wire.ReasoningConfig | None, wire.TextConfig | None]:
    """The settings in force at the end of the conversation: a later update replaces an earlier one."""
    reasoning, text = wanted.reasoning, wanted.text
    for update in updates:
        if update.reasoning:
            summary = reasoning.summary if reasoning else UNSET
            reasoning = msgspec.structs.replace(update.reasoning, summary=summary)
        if update.text:
            verbosity = text.verbosity if text else UNSET
            text = msgspec.structs.replace(update.text, verbosity=verbosity)
    return reasoning, text


class _Out(Struct, frozen=True, kw_only=True):
    """A request as we write it: nothing of it is kept by the vendor."""

    model: str
    instructions: str | UnsetType = UNSET
    input: list[OutItem]
    tools: list[wire.Tool | Raw] | UnsetType = UNSET
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
    extras = request.extras.get(_DIALECT)
    if extras is None:
        _refuse_foreign(request, losses)
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
        include=[_ENCRYPTED] if reasons else UNSET,
        stream=request.stream or UNSET,
        safety_identifier=_identifier(request.user),
        prompt_cache_key=_cache_key(request.session),
    )
    return _with_extras(wire.encode(out), extras, reasons=reasons)


def _refuse_foreign(request: Request, losses: Losses) -> None:
    if request.needs:
        name = request.needs[0]
        raise CannotSay(f"{name} is not supported on this model", param=name)
    if request.choices > 1:
        raise CannotSay("this model gives one answer at a time", param="n")
    for drop in request.drops:
        losses.drop(drop)


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
    if sampling.temperature is not None or sampling.top_p is not None:
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
    extras = {name: raw for name, raw in extras.items() if name != "store"}
    if "include" in extras:
        asked = msgspec.json.decode(extras["include"], type=list[str])
        extras["include"] = Raw(wire.encode([*asked, _ENCRYPTED] if reasons else asked))
    members = wire.decode_members(body) | extras
    return wire.encode(members)
