"""Requests of clients."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Text
from aibridge_router.canonical.request import Request, Sampling
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.invalid import Malformed, invalid
from aibridge_router.dialects.openai_responses.items_in import Conversation
from aibridge_router.dialects.openai_responses.output_format import (
    format_from_wire,
)
from aibridge_router.dialects.openai_responses.reasoning import (
    ENCRYPTED,
    reasoning_from_wire,
)
from aibridge_router.dialects.openai_responses.tools import (
    Tools,
    choice_from_wire,
)

_DIALECT = Dialect.OPENAI_RESPONSES
_LOGPROBS = "message.output_text.logprobs"


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

_STORE = "store"
"""Not kept: nothing is stored where a request is converted."""

_NEEDS = frozenset({"background", "conversation", "previous_response_id", "prompt"})
"""Members that only the vendor's own memory can honour."""

_DROPS: dict[str, str] = {
    "client_metadata": "metadata",
    "context_management": "context_management",
    "metadata": "metadata",
    "prompt_cache_options": "cache_control",
    "prompt_cache_retention": "cache_control",
    "service_tier": "service_tier",
    "stream_options": "stream_options",
    "truncation": "context_management",
}
"""Members that another dialect leaves out, and as what; those not named here are `extras`."""

_SAYS_NOTHING = frozenset({b"null", b"false", b"{}", b"[]"})
_DEFAULTS = {"service_tier": b'"auto"', "truncation": b'"disabled"'}


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
    rest = [name for name in include if name not in {_LOGPROBS, ENCRYPTED}]
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
        reasoning=reasoning_from_wire(reasoning),
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
        if not body.isascii():
            body.decode()  # what stays as it came is not decoded again
        members = wire.decode_members(body)
    except Malformed as error:
        raise invalid(error) from None
    known: dict[str, Any] = {}
    extras: dict[str, Raw] = {}
    for name, raw in members.items():
        decode = _FIELDS.get(name)
        if decode is None:
            if name != _STORE:
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
        if bytes(raw) in _SAYS_NOTHING or bytes(raw) == _DEFAULTS.get(name):
            continue
        if name in _NEEDS:
            needs.append(name)
        else:
            drops.append(_DROPS.get(name, "extras"))


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
