"""What Anthropic demands of one content block."""

import re
from typing import Any

from aibridge_sandbox.anthropic.words import extra, required, wrong
from aibridge_sandbox.call import Call
from aibridge_sandbox.shape import as_dict, as_list, as_str, words
from aibridge_sandbox.world.seal import is_sealed

_FIELDS: dict[str, frozenset[str]] = {
    name: frozenset({"type", *fields.split()})
    for name, fields in {
        "text": "text citations cache_control",
        "image": "source cache_control transformations",
        "document": "source title context citations cache_control",
        "search_result": "source title content citations cache_control",
        "thinking": "thinking signature",
        "redacted_thinking": "data",
        "tool_use": "id name input cache_control caller toolset_name",
        "tool_result": "tool_use_id content is_error cache_control toolset_name",
        "tool_reference": "tool_name cache_control",
    }.items()
}
_OPEN = words(
    "server_tool_use web_search_tool_result web_fetch_tool_result code_execution_tool_result "
    "bash_code_execution_tool_result text_editor_code_execution_tool_result "
    "tool_search_tool_result advisor_tool_result mcp_tool_use mcp_tool_result mcp_tool_listing "
    "container_upload compaction tool_addition tool_removal fallback browser_state"
)
"""Blocks of server tools and betas, accepted as they come."""

_USER_ONLY = frozenset({"tool_result", "image", "search_result"})
_ASSISTANT_ONLY = frozenset({"tool_use", "thinking", "redacted_thinking"})
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_CLOSED_VERSION = "2026-10-21"


def check_block(call: Call, block: dict[str, Any], role: str, where: str) -> None:
    """Refuse a block of an unknown type, in the wrong turn, or badly filled."""
    kind = as_str(block.get("type"))
    if not kind:
        raise required(f"{where}.type")
    if kind in _OPEN:
        return
    if kind not in _FIELDS:
        raise wrong(
            where,
            f"Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            + ", ".join(f"'{name}'" for name in sorted({*_FIELDS, *_OPEN})),
        )
    for name in block:
        if name not in _FIELDS[kind]:
            raise extra(f"{where}.{kind}.{name}")
    if role == "assistant" and kind in _USER_ONLY:
        raise wrong(where, f"`{kind}` blocks are not permitted in assistant messages")
    if role != "assistant" and kind in _ASSISTANT_ONLY:
        raise wrong(where, f"`{kind}` blocks are only permitted in assistant messages")
    _check_version(call, block, role, where)
    _check_kind(call, block, kind, where)


def _check_version(call: Call, block: dict[str, Any], role: str, where: str) -> None:
    if call.request.header("anthropic-version") != _CLOSED_VERSION:
        return
    if role == "assistant" and block.get("type") == "document":
        raise wrong(where, "`document` blocks are not permitted in assistant messages")
    if role == "user" and block.get("type") == "text" and block.get("citations"):
        raise wrong(f"{where}.text.citations", "citations are not permitted in user messages")


def _check_kind(call: Call, block: dict[str, Any], kind: str, where: str) -> None:
    match kind:
        case "text":
            _check_text(block, where)
        case "image":
            _check_image(as_dict(block.get("source")), where)
        case "tool_use":
            _check_tool_use(block, where)
        case "tool_result":
            _check_tool_result(call, block, where)
        case "thinking":
            _check_thinking(block, where)
        case "redacted_thinking":
            if not is_sealed("anthropic", as_str(block.get("data")), "redacted"):
                raise wrong(where, "Invalid `data` in `redacted_thinking` block")
        case _:
            return


def _check_text(block: dict[str, Any], where: str) -> None:
    if not isinstance(block.get("text"), str):
        raise required(f"{where}.text.text")
    if not block["text"]:
        raise wrong("messages", "text content blocks must be non-empty")


def _check_tool_result(call: Call, block: dict[str, Any], where: str) -> None:
    if not as_str(block.get("tool_use_id")):
        raise required(f"{where}.tool_result.tool_use_id")
    for number, inner in enumerate(as_list(block.get("content"))):
        check_block(call, as_dict(inner), "user", f"{where}.tool_result.content.{number}")


def _check_image(source: dict[str, Any], where: str) -> None:
    if source.get("type") == "base64" and source.get("media_type") not in _IMAGES:
        words = ", ".join(f"'{name}'" for name in _IMAGES)
        raise wrong(f"{where}.image.source.base64.media_type", f"Input should be {words}")
    if source.get("type") not in ("base64", "url", "file"):
        raise required(f"{where}.image.source")


def _check_tool_use(block: dict[str, Any], where: str) -> None:
    if not _TOOL_ID.fullmatch(as_str(block.get("id"))):
        raise wrong(f"{where}.tool_use.id", "String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not as_str(block.get("name")):
        raise required(f"{where}.tool_use.name")
    if not isinstance(block.get("input"), dict):
        raise wrong(f"{where}.tool_use.input", "Input should be a valid dictionary")


def _check_thinking(block: dict[str, Any], where: str) -> None:
    for name in ("thinking", "signature"):
        if not isinstance(block.get(name), str):
            raise required(f"{where}.thinking.{name}")
    if not is_sealed("anthropic", block["signature"], block["thinking"]):
        raise wrong(where, "Invalid `signature` in `thinking` block")
