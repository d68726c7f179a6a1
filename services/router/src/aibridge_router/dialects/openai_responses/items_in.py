"""The items of a client's input, read as turns."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Block,
    Document,
    Image,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from aibridge_router.canonical.request import Turn
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.content import blocks_from_wire
from aibridge_router.dialects.openai_responses.invalid import Malformed, invalid
from aibridge_router.dialects.openai_responses.reasoning import read_slot, text_of
from aibridge_router.dialects.openai_responses.tools import Tools, call_of

_Role = Literal["user", "assistant", "system"]
_ROLES: dict[str, _Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}

_OUTPUTS = (Text, Image, Document)
"""What a tool's output may hold."""

_STORED = frozenset(
    {"item_reference", "compaction", "compaction_trigger", "mcp_approval_response", "program"}
)
"""Items that stand for something only their vendor knows."""

_OURS = frozenset({"mcp_approval_response", "compaction_trigger", "item_reference"})
"""Items of the client that do not end in `_output`."""


class Conversation:
    """Turns as they grow, item by item.

    Items have no turns. A run of items of one role is one turn, but a message that follows a message begins another.
    """

    def __init__(self, tools: Tools) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.needs: list[str] = []
        self.drops: list[str] = []
        self.updates: list[wire.ConfigurationUpdate] = []
        self._tools = tools
        self._after_message = False
        self._adders: dict[type, Callable[[Any], None]] = {
            wire.Message: self._add_message,
            wire.FunctionCall: self._add_call,
            wire.CustomToolCall: self._add_call,
            wire.FunctionCallOutput: self._add_output,
            wire.CustomToolCallOutput: self._add_output,
            wire.ReasoningItem: self._add_reasoning,
            wire.AdditionalTools: self._add_tools,
            wire.ConfigurationUpdate: self._add_update,
        }

    def add(self, raws: list[Raw]) -> None:
        """Raises `InvalidRequest`."""
        for index, raw in enumerate(raws):
            try:
                item = wire.decode_item(raw)
            except Malformed as error:
                item = self._untyped(raw, f"input.{index}", error)
                if item is None:
                    continue
            try:
                self._adders[type(item)](item)
            except InvalidRequest as error:
                error.param = f"input.{index}.{error.param}"
                raise

    def say(self, text: str) -> None:
        """An input that is only a text."""
        self._extend("user", [Text(text=text)], message=True)

    def _untyped(self, raw: Raw, at: str, error: Exception) -> wire.Message | None:
        try:
            kind = wire.decode_kind(raw)
        except Malformed:
            raise invalid(error, at) from None
        if kind.type is None and kind.role is not UNSET:
            try:
                return wire.decode_message(raw)
            except Malformed as wrong:
                raise invalid(wrong, at) from None
        if kind.type in wire.ITEM_KINDS:
            raise invalid(error, at) from None
        self._add_opaque(kind.type or "item_reference", raw)
        return None

    def _add_opaque(self, kind: str, raw: Raw) -> None:
        if kind in _STORED:
            self.needs.append(kind)
        role: _Role = "user" if kind.endswith("_output") or kind in _OURS else "assistant"
        self._extend(role, [Opaque(dialect=Dialect.OPENAI_RESPONSES, kind=kind, raw=raw)])

    def _add_call(self, item: wire.FunctionCall | wire.CustomToolCall) -> None:
        self._extend("assistant", [call_of(item)])

    def _add_output(self, item: wire.FunctionCallOutput | wire.CustomToolCallOutput) -> None:
        self._extend("user", [_result(item)])

    def _add_tools(self, item: wire.AdditionalTools) -> None:
        self._tools.add(item.tools, "tools")

    def _add_update(self, item: wire.ConfigurationUpdate) -> None:
        self.updates.append(item)

    def _add_message(self, message: wire.Message) -> None:
        try:
            blocks = blocks_from_wire(message.content)
        except InvalidRequest as error:
            error.param = f"content.{error.param}"
            raise
        if message.role == "assistant" and _cites(message.content):
            self.drops.append("citations")
        role = _ROLES[message.role]
        if role == "system":
            self._add_instructions(blocks)
        elif blocks:
            self._extend(role, blocks, message=True)

    def _add_instructions(self, blocks: list[Block]) -> None:
        texts = [block for block in blocks if isinstance(block, Text)]
        if len(texts) < len(blocks):
            raise InvalidRequest("content: instructions are text", param="content")
        if not self.turns:
            self.system.extend(texts)
        elif blocks:
            self._extend("system", blocks, message=True)

    def _add_reasoning(self, item: wire.ReasoningItem) -> None:
        text = text_of(item)
        if not item.encrypted_content:
            self._extend("assistant", [Thinking(text=text)])
            return
        state, mark = read_slot(item.encrypted_content)
        last = self.turns[-1].blocks if self.turns else []
        if mark != "call":
            redacted = mark == "redacted"
            self._extend("assistant", [Thinking(text=text, state=state, redacted=redacted)])
        elif last and isinstance(last[-1], ToolCall):
            last[-1] = msgspec.structs.replace(last[-1], state=state)

    def _extend(self, role: _Role, blocks: list[Block], *, message: bool = False) -> None:
        last = self.turns[-1] if self.turns else None
        if last is None or last.role != role or (message and self._after_message):
            self.turns.append(Turn(role=role, blocks=blocks))
        else:
            last.blocks.extend(blocks)
        self._after_message = message


def _result(item: wire.FunctionCallOutput | wire.CustomToolCallOutput) -> ToolResult:
    try:
        blocks = blocks_from_wire(item.output)
    except InvalidRequest as error:
        error.param = f"output.{error.param}"
        raise
    said: list[Text | Image | Document | Opaque] = [
        block for block in blocks if isinstance(block, _OUTPUTS)
    ]
    if len(said) < len(blocks):
        raise InvalidRequest("output: text, images and files are expected here", param="output")
    if item.output == "":
        said = []
    custom = isinstance(item, wire.CustomToolCallOutput)
    return ToolResult(call_id=item.call_id, blocks=said, custom=custom)


def _cites(content: str | list[wire.Part]) -> bool:
    return not isinstance(content, str) and any(
        isinstance(part, wire.OutputText) and part.annotations for part in content
    )
