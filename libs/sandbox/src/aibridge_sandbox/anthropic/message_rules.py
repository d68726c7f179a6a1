"""What Anthropic demands of messages: roles, content, and calls and their results."""

from typing import Any

from aibridge_sandbox.anthropic.block_rules import check_block
from aibridge_sandbox.anthropic.prompt import blocks_of
from aibridge_sandbox.anthropic.words import extra, required, wrong
from aibridge_sandbox.call import Call
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.shape import as_dict, as_list, as_str
from aibridge_sandbox.world.catalogue import Model

_FIELDS: dict[str, frozenset[str]] = {
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content"}),
    "system": frozenset({"role", "content", "clear_at", "output_config"}),
}


def check_messages(call: Call, model: Model) -> None:
    """Roles, content and the end of the conversation, each message by itself."""
    messages = call.body.get("messages")
    if not isinstance(messages, list):
        raise wrong("messages", "Input should be a valid list")
    if not messages:
        raise wrong("messages", "at least one message is required")
    last = len(messages) - 1
    for index, message in enumerate(as_list(messages)):
        if not isinstance(message, dict):
            raise wrong(f"messages.{index}", "Input should be a valid dictionary")
        _check_message(call, model, as_dict(message), index, last=index == last)
    if as_dict(messages[0]).get("role") != "user":
        raise wrong("messages", 'first message must use the "user" role')
    _check_end(as_dict(messages[-1]), model)


def _check_message(
    call: Call, model: Model, message: dict[str, Any], index: int, *, last: bool
) -> None:
    where = f"messages.{index}"
    role = as_str(message.get("role"))
    if not role:
        raise required(f"{where}.role")
    if role == "system" and not model.system_mid:
        raise wrong(f"{where}.role", "role 'system' is not supported on this model")
    if role not in _FIELDS:
        raise wrong(f"{where}.role", "Input should be 'user' or 'assistant'")
    for name in message:
        if name not in _FIELDS[role]:
            raise extra(f"{where}.{name}")
    content = message.get("content")
    if not content and content is not None and last and role == "assistant":
        return
    _check_content(call, content, role, where)


def _check_content(call: Call, content: Any, role: str, where: str) -> None:
    if content is None:
        raise required(f"{where}.content")
    if not isinstance(content, str | list):
        raise wrong(f"{where}.content", "Input should be a valid list")
    if not content:
        raise wrong(
            where,
            "all messages must have non-empty content except for the optional final assistant message",
        )
    for number, block in enumerate(as_list(content)):
        check_block(call, as_dict(block), role, f"{where}.content.{number}")


def _check_end(message: dict[str, Any], model: Model) -> None:
    if message.get("role") != "assistant":
        return
    if not model.prefill:
        raise Refusal(
            400,
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message.",
        )
    blocks = blocks_of(message.get("content"))
    text = as_str(blocks[-1].get("text")) if blocks else ""
    if text != text.rstrip():
        raise wrong("messages", "final assistant content cannot end with trailing whitespace")


def check_turns(messages: list[dict[str, Any]]) -> None:
    """Every `tool_use` is answered at the start of the next user turn, and nothing else is."""
    open_ids: list[str] = []
    caller = 0
    seen: set[str] = set()
    for index, message in enumerate(messages):
        blocks = blocks_of(message.get("content"))
        if message.get("role") == "user":
            _check_results(blocks, open_ids, index)
            _check_answered(open_ids, caller)
        elif message.get("role") == "assistant":
            called = [as_str(b.get("id")) for b in blocks if b.get("type") == "tool_use"]
            for identity in called:
                if identity in seen:
                    raise wrong(f"messages.{index}", "`tool_use` ids must be unique")
                seen.add(identity)
            open_ids.extend(called)
            caller = index if called else caller
    _check_answered(open_ids, caller)


def _check_results(blocks: list[dict[str, Any]], open_ids: list[str], index: int) -> None:
    """Take the answered ids off the list; results come before anything else in the turn."""
    leading = True
    for number, block in enumerate(blocks):
        if block.get("type") != "tool_result":
            leading = False
            continue
        identity = as_str(block.get("tool_use_id"))
        if identity in open_ids and leading:
            open_ids.remove(identity)
        elif identity not in open_ids:
            raise wrong(
                f"messages.{index}.content.{number}",
                f"unexpected `tool_use_id` found in `tool_result` blocks: {identity}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message.",
            )


def _check_answered(open_ids: list[str], caller: int) -> None:
    if open_ids:
        raise wrong(
            f"messages.{caller}",
            "`tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(open_ids)}. Each `tool_use` block must have a corresponding "
            "`tool_result` block in the next message.",
        )
