"""Requests of OpenAI Chat to the hub and back."""

import hashlib
from typing import Any

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
)
from aibridge_router.dialects.body import invalid_body
from aibridge_router.dialects.openai_chat.content import Wire
from aibridge_router.dialects.openai_chat.conversation import messages_to_wire, turns_from_wire
from aibridge_router.dialects.openai_chat.tools import (
    choice_from_wire,
    fits_strict_mode,
    tool_from_wire,
    tools_to_wire,
)
from aibridge_router.dialects.openai_chat.wire import ChatRequest, ResponseFormat, present

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
_HARMLESS = {"modalities": b'["text"]'}
_EFFORTS: dict[str, str] = {"none": "off"}
_STOP_MAX = 4


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
        reasoning=_reasoning_from_wire(chat.reasoning_effort),
        output_format=_format_from_wire(chat.response_format),
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
        drops=list(dict.fromkeys(_DROPS[name] for name in unknown if name in _DROPS)),
    )


def request_to_wire(request: Request, profile: Profile, losses: Losses) -> bytes:
    """The request for a model behind Chat. Raises `CannotSay` naming the field that it cannot say."""
    own = Dialect.OPENAI_CHAT in request.extras
    if request.needs and not own:
        raise CannotSay(
            f"{request.needs[0]} is not supported on this model", param=request.needs[0]
        )
    body: dict[str, Any] = {"model": profile.upstream_model}
    body["messages"] = messages_to_wire(request.system, request.turns, profile, losses)
    body |= tools_to_wire(request, profile, losses)
    body |= _limits_to_wire(request, profile)
    body |= _sampling_to_wire(request, profile, losses)
    body |= _reasoning_to_wire(request, profile, losses)
    if request.output_format is not None:
        body["response_format"] = _format_to_wire(request.output_format, profile, losses)
    if request.verbosity is not None:
        body["verbosity"] = request.verbosity
    if request.user is not None:
        body["safety_identifier"] = hashlib.sha256(request.user.encode()).hexdigest()
    if request.session is not None:
        body["prompt_cache_key"] = request.session
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


def _reasoning_from_wire(effort: str | None) -> Reasoning | None:
    if effort is None:
        return None
    try:
        return msgspec.convert({"effort": _EFFORTS.get(effort, effort)}, Reasoning)
    except msgspec.ValidationError:
        raise InvalidRequest(
            f"reasoning_effort: {effort!r} is not a level", param="reasoning_effort"
        ) from None


def _format_from_wire(wanted: ResponseFormat | None) -> OutputFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat()
    if wanted.type == "json_schema" and wanted.json_schema is not None:
        given = wanted.json_schema
        return OutputFormat(
            schema=present(given.schema) or Raw(b"{}"),
            name=given.name,
            strict=given.strict,
            description=given.description,
        )
    raise InvalidRequest(
        f"response_format: {wanted.type!r} is not one, or lacks its schema", param="response_format"
    )


def _limits_to_wire(request: Request, profile: Profile) -> Wire:
    body: Wire = {}
    if request.output_tokens_max is not None:
        name = (
            "max_completion_tokens" if profile.capabilities.reasoning == "effort" else "max_tokens"
        )
        body[name] = min(request.output_tokens_max, profile.max_output_tokens)
    if request.stop:
        if len(request.stop) > _STOP_MAX:
            raise CannotSay(f"stop: at most {_STOP_MAX} sequences", param="stop")
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
    elif sampling.temperature is not None or sampling.top_p is not None:
        losses.drop("sampling")
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.top_k is not None:
        losses.drop("top_k")
    return body


def _reasoning_to_wire(request: Request, profile: Profile, losses: Losses) -> Wire:
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    if profile.capabilities.reasoning != "effort":
        if reasoning.effort != "off":
            losses.drop("reasoning")
        return {}
    effort = reasoning.effort or _effort_of(reasoning.budget_tokens)
    if effort is None:
        return {}
    word = "none" if effort == "off" else effort
    if word not in profile.capabilities.efforts:
        word = "high" if effort in {"xhigh", "max"} else profile.capabilities.efforts[0]
    return {"reasoning_effort": word}


def _effort_of(budget_tokens: int | None) -> str | None:
    """The level that stands for a budget, by the table that vendors' own shims use."""
    if budget_tokens is None:
        return None
    for limit, effort in (
        (0, "off"),
        (1024, "minimal"),
        (2048, "low"),
        (8192, "medium"),
        (24576, "high"),
    ):
        if budget_tokens <= limit:
            return effort
    return "xhigh"


def _format_to_wire(wanted: OutputFormat, profile: Profile, losses: Losses) -> Wire:
    if wanted.schema is None or profile.capabilities.structured == "json_only":
        return {"type": "json_object"}
    schema: Wire = {"name": wanted.name or "response", "schema": wanted.schema}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        if wanted.strict and not fits_strict_mode(wanted.schema):
            losses.drop("strict")
        else:
            schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}
