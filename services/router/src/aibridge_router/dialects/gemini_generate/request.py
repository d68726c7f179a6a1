"""Requests to the hub and back."""

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.dialects.body import invalid_body
from aibridge_router.dialects.gemini_generate.contents import ContentsWriter
from aibridge_router.dialects.gemini_generate.extras import Extras, with_extras
from aibridge_router.dialects.gemini_generate.generation import (
    generation_to_wire,
    logprobs_from_wire,
    sampling_from_wire,
)
from aibridge_router.dialects.gemini_generate.names import camelled
from aibridge_router.dialects.gemini_generate.output_format import (
    format_from_wire,
    format_to_wire,
)
from aibridge_router.dialects.gemini_generate.reasoning import (
    reasoning_from_wire,
    reasoning_to_wire,
)
from aibridge_router.dialects.gemini_generate.tools import (
    choice_from_wire,
    server_tools_from_wire,
    tool_from_wire,
    tools_to_wire,
)
from aibridge_router.dialects.gemini_generate.turns import TurnsReader
from aibridge_router.dialects.gemini_generate.wire import (
    Body,
    Content,
    ExactBody,
    GenerationConfig,
    Wire,
)

_decode = msgspec.json.Decoder(Body).decode
_decode_exact = msgspec.json.Decoder(ExactBody).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_tools = msgspec.json.Decoder(list[dict[str, Raw]] | None).decode

_BILLING_HEADER = "x-anthropic-billing-header:"
"""A line of Claude Code's that differs between conversations; left in, it would spoil the vendor's cache."""


def request_from_wire(body: bytes) -> Request:
    """The model and whether to stream are in the path. Raises `InvalidRequest` naming the field that is wrong."""
    try:
        body = camelled(body)
        wire, members = _read(body)
        server_tools = server_tools_from_wire(_decode_tools(members.get("tools", b"null")) or [])
        reader = TurnsReader(body)
        contents = wire.contents or []
        reader.read([contents] if isinstance(contents, Content) else contents)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    if not reader.turns:
        raise InvalidRequest("contents: at least one with content is needed", param="contents")
    config = wire.generation_config or GenerationConfig()
    declared = [one for tool in wire.tools or () for one in tool.function_declarations or ()]
    extras = Extras(members)
    extras.note(config, declared, reader.needs)
    calling = wire.tool_config.function_calling_config if wire.tool_config is not None else None
    return Request(
        model="",
        turns=reader.turns,
        system=_system_from_wire(wire.system_instruction),
        tools=[tool_from_wire(one) for one in declared],
        server_tools=server_tools,
        tool_choice=choice_from_wire(calling) if calling is not None else None,
        output_tokens_max=config.max_output_tokens or None,
        sampling=sampling_from_wire(config),
        stop=config.stop_sequences or [],
        choices=config.candidate_count or 1,
        logprobs=logprobs_from_wire(config),
        reasoning=(
            reasoning_from_wire(config.thinking_config)
            if config.thinking_config is not None
            else None
        ),
        output_format=format_from_wire(config),
        extras=extras.by_dialect,
        needs=extras.needs,
        drops=sorted(extras.drops),
    )


def request_to_wire(request: Request, profile: Profile, losses: Losses) -> bytes:
    """The request for a model at Google. Raises `CannotSay` naming the field that it cannot say."""
    own = request.extras.get(Dialect.GEMINI_GENERATE)
    if own is None:
        if request.needs:
            raise CannotSay(
                f"{request.needs[0]} is not supported on this model", param=request.needs[0]
            )
        for name in request.drops:
            losses.drop(name)
        if any(request.extras.values()):
            losses.drop("extras")
    if request.verbosity is not None:
        losses.drop("verbosity")
    if request.user is not None:
        losses.drop("metadata")
    tools = tools_to_wire(request, profile, losses)
    config = generation_to_wire(request, profile, losses)
    thinking = reasoning_to_wire(request.reasoning, profile.capabilities, losses)
    if thinking:
        config["thinkingConfig"] = thinking
    form, words = format_to_wire(
        request.output_format, profile.capabilities, losses, has_tools=bool(tools)
    )
    config |= form
    leading, turns = _leading(request)
    body: Wire = {"contents": ContentsWriter(profile, losses).write(turns)}
    system = _system_to_wire([*request.system, *leading], words, losses)
    if system:
        body["systemInstruction"] = {"parts": system}
    body |= tools
    if config:
        body["generationConfig"] = config
    return msgspec.json.encode(with_extras(body, own) if own else body)


def _read(body: bytes) -> tuple[Body, dict[str, Raw]]:
    """The body, and its members where some are not ours."""
    try:
        return _decode_exact(body), {}
    except msgspec.ValidationError:
        return _decode(body), _decode_members(body)


def _system_from_wire(system: Content | None) -> list[Text]:
    found: list[Text] = []
    for index, part in enumerate(system.parts or () if system is not None else ()):
        if part.text is None:
            place = f"systemInstruction.parts.{index}.text"
            raise InvalidRequest(f"{place}: Field required", param=place)
        if part.text:
            found.append(Text(text=part.text))
    return found


def _leading(request: Request) -> tuple[list[Text], list[Turn]]:
    """Instructions that stand before the conversation, and the conversation."""
    turns = request.turns
    texts: list[Text] = []
    at = 0
    while at < len(turns) and turns[at].role == "system":
        texts += [block for block in turns[at].blocks if isinstance(block, Text)]
        at += 1
    return texts, turns[at:]


def _system_to_wire(system: list[Text], words: str | None, losses: Losses) -> list[Wire]:
    parts: list[Wire] = []
    for text in system:
        if text.cache is not None:
            losses.drop("cache_control")
        if text.text and not text.text.startswith(_BILLING_HEADER):
            parts.append({"text": text.text})
    if words is not None:
        parts.append({"text": words})
    return parts
