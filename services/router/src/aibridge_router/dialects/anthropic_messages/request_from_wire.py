"""Requests of Anthropic Messages to the hub."""

import re
from typing import Literal

import msgspec
from msgspec import Raw, Struct, structs

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Block,
    CacheMark,
    Document,
    Image,
    Text,
    ToolCall,
    ToolResult,
)
from aibridge_router.canonical.request import OutputFormat, Request, Sampling, Turn
from aibridge_router.dialects.anthropic_messages.block_from_wire import BlockReader, mark_from_wire
from aibridge_router.dialects.anthropic_messages.places import invalid_at
from aibridge_router.dialects.anthropic_messages.reasoning import reasoning_from_wire
from aibridge_router.dialects.anthropic_messages.structured import format_from_wire
from aibridge_router.dialects.anthropic_messages.tools import choice_from_wire, tools_from_wire
from aibridge_router.dialects.anthropic_messages.wire import ABSENT, Message, MessagesRequest
from aibridge_router.dialects.body import invalid_body

_decode = msgspec.json.Decoder(MessagesRequest).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_KNOWN = frozenset(MessagesRequest.__struct_fields__)

_NEEDS = frozenset({"container", "inference_geo", "mcp_servers", "thread"})
"""Members whose loss would change the answer, or where it is made."""

_DROPS = {
    "billing_policy": "service_tier",
    "compaction": "context_management",
    "context_management": "context_management",
    "diagnostics": "metadata",
    "safeguards": "safety_settings",
    "service_tier": "service_tier",
    "speed": "service_tier",
    "user_profile_id": "metadata",
    "workspace_id": "metadata",
}
"""Harmless members and the name of their loss; those that are not listed are `extras`."""

_ROLES: dict[str, Literal["user", "assistant", "system"]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_SESSION = re.compile(r"_session_([0-9a-fA-F-]{8,64})$")


class _UserId(Struct, frozen=True):
    """Claude Code's `metadata.user_id`, JSON inside a string."""

    device_id: str | None = None
    account_uuid: str | None = None
    session_id: str | None = None


_decode_user_id = msgspec.json.Decoder(_UserId).decode


def request_from_wire(body: bytes) -> Request:
    """Raises `InvalidRequest` naming the field that is wrong."""
    try:
        body.decode()
        wire = _decode(body)
        members = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    reader = BlockReader()
    turns = _turns(wire.messages, reader)
    if wire.cache_control is not None:
        _mark_last(turns, mark_from_wire(wire.cache_control))
    tools, server_tools = tools_from_wire(wire.tools, members["tools"]) if wire.tools else ([], [])
    others = {
        name: raw
        for name, raw in members.items()
        if name not in _KNOWN and bytes(raw) not in ABSENT
    }
    lost = dict.fromkeys(_DROPS.get(name, "extras") for name in others if name not in _NEEDS)
    user, session = _user(wire.metadata.user_id if wire.metadata is not None else None)
    choice = wire.tool_choice
    alone = choice.disable_parallel_tool_use if choice is not None else None
    config = wire.output_config
    return Request(
        model=wire.model,
        turns=turns,
        system=_system(wire),
        tools=tools,
        server_tools=server_tools,
        tool_choice=choice_from_wire(choice) if choice is not None else None,
        parallel_tools=None if alone is None else not alone,
        output_tokens_max=wire.max_tokens,
        sampling=Sampling(temperature=wire.temperature, top_p=wire.top_p, top_k=wire.top_k),
        stop=wire.stop_sequences or [],
        reasoning=reasoning_from_wire(wire.thinking, config.effort if config else None),
        output_format=_format(wire),
        stream=bool(wire.stream),
        user=user,
        session=session,
        extras={Dialect.ANTHROPIC_MESSAGES: others} if others else {},
        needs=[name for name in others if name in _NEEDS],
        drops=list(lost | reader.drops),
    )


def _turns(messages: list[Message], reader: BlockReader) -> list[Turn]:
    if not messages:
        raise invalid_at("messages", "at least one message is required")
    last_user = max(
        (index for index, message in enumerate(messages) if message.role == "user"), default=-1
    )
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        role = _ROLES.get(message.role)
        if role is None:
            raise invalid_at(f"messages.{index}.role", f"{message.role!r} is not a role")
        if role == "system":
            if message.clear_at == "next_user_message" and index < last_user:
                continue  # the vendor no longer shows it to the model
            if bytes(message.output_config) not in ABSENT:
                reader.drops["reasoning"] = None
        blocks = reader.read(message.content, f"messages.{index}.content")
        turns.append(Turn(role=role, blocks=blocks))
    return turns


def _system(wire: MessagesRequest) -> list[Text]:
    if not wire.system:
        return []
    if isinstance(wire.system, str):
        return [Text(text=wire.system)]
    return [
        Text(text=block.text, cache=mark_from_wire(block.cache_control))
        for block in wire.system
        if block.text
    ]


def _format(wire: MessagesRequest) -> OutputFormat | None:
    if wire.output_config is not None and wire.output_config.format is not None:
        return format_from_wire(wire.output_config.format, "output_config.format")
    if wire.output_format is not None:
        return format_from_wire(wire.output_format, "output_format")
    return None


def _user(user_id: str | None) -> tuple[str | None, str | None]:
    """Who asks and in which session; Claude Code says both in one string, in two ways."""
    if not user_id:
        return None, None
    if user_id.startswith("{"):
        try:
            said = _decode_user_id(user_id)
        except (msgspec.DecodeError, RecursionError):
            return user_id, None
        return said.account_uuid or said.device_id or user_id, said.session_id
    session = _SESSION.search(user_id)
    if session is None:
        return user_id, None
    return user_id[: session.start()], session[1]


def _mark_last(turns: list[Turn], mark: CacheMark | None) -> None:
    """A marker on the whole request stands for one on its last block."""
    said = next((turn.blocks for turn in reversed(turns) if turn.blocks), None)
    if said is not None:
        said[-1] = _marked(said[-1], mark)


def _marked(block: Block, mark: CacheMark | None) -> Block:
    if isinstance(block, Text | Image | Document | ToolCall | ToolResult) and block.cache is None:
        return structs.replace(block, cache=mark)
    return block
