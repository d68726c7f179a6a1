"""What OpenAI demands of each message, and of calls and their results."""

from typing import Any

from aibridge_sandbox.openai import wrong
from aibridge_sandbox.openai.rules import check_tool_name
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.shape import as_dict, as_list, as_str, dicts

_FIELDS: dict[str, frozenset[str]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset(
        {
            *("role", "content", "name", "refusal", "audio", "tool_calls", "function_call"),
            *("annotations", "reasoning_content"),
        }
    ),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
    "function": frozenset({"role", "content", "name"}),
}
_PARTS: dict[str, frozenset[str]] = {
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "refusal"}),
}
_PART_FIELDS = frozenset({"type", "text", "image_url", "input_audio", "file", "refusal"})
_CALL_ID_CHARACTERS_MAX = 64


def check_message(message: dict[str, Any], index: int) -> None:
    """Role, fields, content and calls of one message."""
    param = f"messages[{index}]"
    role = message.get("role")
    if role is None:
        raise wrong.missing(f"{param}.role")
    if not isinstance(role, str) or role not in _FIELDS:
        raise wrong.not_one_of(f"{param}.role", role, tuple(_FIELDS))
    for name in message:
        if name not in _FIELDS[role]:
            raise wrong.unknown(f"{param}.{name}")
    if role == "tool" and not as_str(message.get("tool_call_id")):
        raise wrong.missing(f"{param}.tool_call_id")
    _check_content(message, as_str(role), index)
    for number, call in enumerate(as_list(message.get("tool_calls"))):
        _check_call(as_dict(call), f"{param}.tool_calls[{number}]")
    if message.get("tool_calls") == []:
        raise wrong.array_empty(f"{param}.tool_calls")


def _check_content(message: dict[str, Any], role: str, index: int) -> None:
    content = message.get("content")
    param = f"messages.[{index}].content"
    if content is None:
        spoken = ("tool_calls", "function_call", "refusal", "audio")
        if role == "assistant" and any(message.get(name) for name in spoken):
            return
        raise wrong.invalid(param, "Invalid value for 'content': expected a string, got null.")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong.wrong_type(f"messages[{index}].content", "a string or an array of objects")
    if not content:
        raise wrong.array_empty(f"messages[{index}].content")
    for number, part in enumerate(as_list(content)):
        _check_part(as_dict(part), role, f"messages[{index}].content[{number}]")


def _check_part(part: dict[str, Any], role: str, param: str) -> None:
    allowed = _PARTS.get(role, frozenset({"text"}))
    kind = part.get("type")
    if as_str(kind) not in allowed:
        raise wrong.not_one_of(f"{param}.type", kind, (*sorted(allowed - {"text"}), "text"))
    for name in part:
        if name not in _PART_FIELDS:
            raise wrong.unknown(f"{param}.{name}")
    if part.get(as_str(kind)) is None:
        raise wrong.missing(f"{param}.{kind}")
    if kind == "image_url" and not as_str(as_dict(part["image_url"]).get("url")):
        raise wrong.wrong_type(f"{param}.image_url", "an object with a url")


def _check_call(call: dict[str, Any], param: str) -> None:
    identity = as_str(call.get("id"))
    if not identity:
        raise wrong.missing(f"{param}.id")
    if len(identity) > _CALL_ID_CHARACTERS_MAX:
        raise wrong.too_long(f"{param}.id", _CALL_ID_CHARACTERS_MAX, len(identity))
    kind = call.get("type")
    if kind not in ("function", "custom"):
        raise wrong.missing(f"{param}.type")
    inner = as_dict(call.get(as_str(kind)))
    check_tool_name(inner.get("name"), f"{param}.{kind}.name")
    text = inner.get("arguments" if kind == "function" else "input")
    if not isinstance(text, str):
        raise wrong.wrong_type(f"{param}.{kind}.arguments", "a string")


def check_results(messages: list[dict[str, Any]]) -> None:
    """Every call is answered directly after it, and nothing else is."""
    open_ids: list[str] = []
    caller = -1
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_ids:
                raise wrong.invalid(
                    f"messages.[{index}].role",
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                )
            open_ids.remove(as_str(message.get("tool_call_id")))
            continue
        _check_answered(open_ids, caller)
        open_ids = [as_str(call.get("id")) for call in dicts(message.get("tool_calls"))]
        caller = index
    _check_answered(open_ids, caller)


def _check_answered(open_ids: list[str], caller: int) -> None:
    if open_ids:
        raise Refusal(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(open_ids),
            param=f"messages.[{caller}].role",
        )
