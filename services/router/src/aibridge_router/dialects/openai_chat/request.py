"""Requests of OpenAI Chat to the hub and back."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Sampling
from aibridge_router.dialects.body import invalid_body
from aibridge_router.dialects.openai_chat.content import Wire
from aibridge_router.dialects.openai_chat.conversation import messages_to_wire, turns_from_wire
from aibridge_router.dialects.openai_chat.output_format import format_from_wire, format_to_wire
from aibridge_router.dialects.openai_chat.reasoning import reasoning_from_wire, reasoning_to_wire
from aibridge_router.dialects.openai_chat.tools import (
    choice_from_wire,
    tool_from_wire,
    tools_to_wire,
)
from aibridge_router.dialects.openai_chat.wire import ChatRequest

_decode = msgspec.json.Decoder(ChatRequest).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_KNOWN = frozenset(ChatRequest.__struct_fields__)

_NEEDS = frozenset({"audio", "modalities", "functions", "function_call", "web_search_options"})
"""Members whose loss would change what the answer is."""

_DROPS = {
    "logit_bias": "logit_bias",
    "metadata": "metadata",
    "store": "metadata",
    "prediction": "prediction",
    "service_tier": "service_tier",
}
_NAMED_BY_TOOL = frozenset({"tool", "function"})
_HARMLESS = {"modalities": b'["text"]'}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY_CHARACTERS_MAX = 64


def request_from_wire(body: bytes) -> Request:
    """Raises `InvalidRequest` naming the field that is wrong."""
    try:
        chat = _decode(body)
        members = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    if not chat.messages:
        raise InvalidRequest("messages: at least one is needed", param="messages")
    system, turns = turns_from_wire(chat.messages)
    unknown = {name: raw for name, raw in members.items() if name not in _KNOWN}
    options = chat.stream_options
    return Request(
        model=chat.model,
        system=system,
        turns=turns,
        tools=[
            tool_from_wire(tool, f"tools.{index}") for index, tool in enumerate(chat.tools or [])
        ],
        tool_choice=choice_from_wire(chat.tool_choice) if chat.tool_choice is not None else None,
        parallel_tools=chat.parallel_tool_calls,
        output_tokens_max=chat.max_completion_tokens or chat.max_tokens,
        sampling=Sampling(
            temperature=chat.temperature,
            top_p=chat.top_p,
            seed=chat.seed,
            presence_penalty=chat.presence_penalty or None,
            frequency_penalty=chat.frequency_penalty or None,
        ),
        stop=[chat.stop] if isinstance(chat.stop, str) else list(chat.stop or []),
        choices=chat.n or 1,
        logprobs=(chat.top_logprobs or 0) if chat.logprobs else None,
        reasoning=reasoning_from_wire(chat.reasoning_effort),
        output_format=format_from_wire(chat.response_format),
        verbosity=chat.verbosity,
        stream=bool(chat.stream),
        usage_asked=not chat.stream or bool(options and options.include_usage),
        user=chat.safety_identifier or chat.user,
        session=chat.prompt_cache_key,
        extras={Dialect.OPENAI_CHAT: unknown} if unknown else {},
        needs=[
            name
            for name, raw in unknown.items()
            if name in _NEEDS and bytes(raw) not in {b"null", _HARMLESS.get(name)}
        ],
        drops=_drops(chat, unknown),
    )


def _drops(chat: ChatRequest, unknown: dict[str, Raw]) -> list[str]:
    drops = [_DROPS[name] for name in unknown if name in _DROPS]
    if any(message.name and message.role not in _NAMED_BY_TOOL for message in chat.messages):
        drops.append("name")
    return list(dict.fromkeys(drops))


def request_to_wire(request: Request, profile: Profile, losses: Losses) -> bytes:
    """The request for a model behind Chat. Raises `CannotSay` naming the field that it cannot say."""
    own = Dialect.OPENAI_CHAT in request.extras
    if request.needs and not own:
        raise CannotSay(
            f"{request.needs[0]} is not supported on this model", param=request.needs[0]
        )
    body: dict[str, Any] = {"model": profile.upstream_model}
    instruction, wanted = format_to_wire(request, profile, losses)
    system = [*request.system, *([Text(text=instruction)] if instruction else [])]
    body["messages"] = messages_to_wire(system, request.turns, profile, losses)
    body |= tools_to_wire(request, profile, losses)
    body |= _limits_to_wire(request, profile)
    body |= _sampling_to_wire(request, profile, losses)
    body |= reasoning_to_wire(request.reasoning, profile, losses)
    if wanted is not None:
        body["response_format"] = wanted
    if request.verbosity is not None:
        body["verbosity"] = request.verbosity
    if request.user:
        body["safety_identifier"] = _identifier(request.user)
    if request.session:
        body["prompt_cache_key"] = _cache_key(request.session)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if own:
        body |= request.extras[Dialect.OPENAI_CHAT]
    else:
        for name in request.drops:
            losses.drop(name)
        if any(request.extras.values()):
            losses.drop("extras")
    return msgspec.json.encode(body)


def _limits_to_wire(request: Request, profile: Profile) -> Wire:
    body: Wire = {}
    if request.output_tokens_max is not None:
        name = (
            "max_completion_tokens" if profile.capabilities.reasoning == "effort" else "max_tokens"
        )
        body[name] = min(request.output_tokens_max, profile.max_output_tokens)
    if request.stop:
        most = profile.capabilities.stop_max
        if len(request.stop) > most:
            raise CannotSay(f"stop: at most {most} sequences", param="stop")
        body["stop"] = request.stop
    if request.choices > 1:
        body["n"] = request.choices
    if request.logprobs is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    return body


def _sampling_to_wire(request: Request, profile: Profile, losses: Losses) -> Wire:
    sampling = request.sampling
    body: Wire = {}
    if profile.capabilities.sampling:
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
            value = getattr(sampling, name)
            if value is not None:
                body[name] = value
    else:
        if sampling.temperature is not None or sampling.top_p is not None:
            losses.drop("sampling")
        if sampling.presence_penalty or sampling.frequency_penalty:
            losses.drop("penalties")
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.top_k is not None:
        losses.drop("top_k")
    return body


def _identifier(user: str) -> str:
    """End users' ids are never passed on as they are; a digest is no longer one."""
    if _DIGEST.fullmatch(user) is not None:
        return user
    return hashlib.sha256(user.encode()).hexdigest()


def _cache_key(session: str) -> str:
    if len(session) <= _KEY_CHARACTERS_MAX:
        return session
    return hashlib.sha256(session.encode()).hexdigest()
