"""Turns, written as the items of a request."""

import re
from collections import Counter

from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Audio,
    Block,
    Document,
    Image,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.naming import fitting_id, short_tool_name
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.content import part_to_wire
from aibridge_router.dialects.openai_responses.tools import NAME_CHARACTERS_MAX

OutItem = wire.Item | Raw

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_BILLING = "x-anthropic-billing-header:"
_SAID = (Text, Image, Document, Audio, Refusal)
"""Blocks that are parts of messages; all others are items."""

_NO_OUTPUT = "[no output]"
_ERROR = "Error: "


def spoken(system: list[Text]) -> list[Text]:
    """Without what Claude Code tells its vendor's accounts: it varies and would spoil every cached prefix."""
    return [text for text in system if text.text and not text.text.startswith(_BILLING)]


class Items:
    """The items of a request as they grow, turn by turn."""

    def __init__(self, request: Request, profile: Profile, losses: Losses) -> None:
        self.items: list[OutItem] = []
        self._profile = profile
        self._losses = losses
        self._parts: list[wire.Part] = []
        self._answers = Counter(
            block.call_id
            for turn in request.turns
            for block in turn.blocks
            if isinstance(block, ToolResult)
        )
        self._waiting: dict[str, ToolCall] = {}

    def add(self, turns: list[Turn]) -> None:
        """Raises `CannotSay` naming the turn."""
        for index, turn in enumerate(turns):
            try:
                self._add_turn(turn)
            except CannotSay as refusal:
                refusal.param = refusal.param or f"messages.{index}"
                raise

    def say_developer(self, texts: list[Text]) -> None:
        """Instructions where they stand in the conversation."""
        texts = spoken(texts)
        if texts:
            parts: list[wire.Part] = [wire.InputText(text=text.text) for text in texts]
            self.items.append(wire.Message(role="developer", content=parts))

    def _add_turn(self, turn: Turn) -> None:
        if turn.role == "system":
            self._note_marks(turn.blocks)
            self.say_developer([block for block in turn.blocks if isinstance(block, Text)])
            return
        for block in turn.blocks:
            if isinstance(block, _SAID):
                self._parts.append(self._part(turn.role, block))
            else:
                self._close_message(turn.role)
                self._add_block(block)
        self._close_message(turn.role)
        if turn.role == "assistant":
            self._answer_for(turn)

    def _close_message(self, role: wire.Role) -> None:
        if self._parts:
            self.items.append(wire.Message(role=role, content=self._parts))
            self._parts = []

    def _part(self, role: str, block: Text | Image | Document | Audio | Refusal) -> wire.Part:
        if role == "user":
            if isinstance(block, Refusal):
                return wire.InputText(text=block.text)
            return part_to_wire(block, self._profile.capabilities, self._losses)
        match block:
            case Text(text=text):
                if block.cache is not None:
                    self._losses.drop("cache_control")
                return wire.OutputText(text=text)
            case Refusal(text=text):
                return wire.RefusalText(refusal=text)
            case _:
                raise CannotSay("the model's own turns can hold text only for this model")

    def _add_block(self, block: Thinking | ToolCall | ToolResult | Opaque) -> None:
        match block:
            case Thinking():
                self._add_thinking(block)
            case ToolCall():
                self.items.append(self._call(block))
            case ToolResult():
                self._add_result(block)
            case _:
                self._add_opaque(block)

    def _add_opaque(self, block: Opaque) -> None:
        if block.dialect is Dialect.OPENAI_RESPONSES:
            self.items.append(block.raw)
        else:
            self._losses.drop("extras")

    def _add_thinking(self, block: Thinking) -> None:
        state = block.state
        reasons = self._profile.capabilities.reasoning != "none"
        if not reasons or state is None or state.provider != self._profile.provider:
            self._losses.drop("thinking")
            return
        summary = [wire.SummaryText(text=block.text)] if block.text else []
        # Without an id: the vendor looks it up, and takes the item as it is where there is none.
        self.items.append(wire.ReasoningItem(summary=summary, encrypted_content=state.data))

    def _call(self, block: ToolCall) -> wire.FunctionCall | wire.CustomToolCall:
        if block.cache is not None:
            self._losses.drop("cache_control")
        self._waiting[block.id] = block
        call_id = fitting_id(block.id, _CALL_ID)
        name = short_tool_name(block.name, NAME_CHARACTERS_MAX)
        if block.custom:
            return wire.CustomToolCall(call_id=call_id, name=name, input=block.arguments)
        return wire.FunctionCall(call_id=call_id, name=name, arguments=block.arguments or "{}")

    def _add_result(self, block: ToolResult) -> None:
        self._answers[block.call_id] -= 1
        call = self._waiting.pop(block.call_id, None)
        if call is None:
            self._losses.drop("orphans")
            return
        if block.cache is not None:
            self._losses.drop("cache_control")
        self.items.append(_output(call, self._output_of(block)))

    def _output_of(self, block: ToolResult) -> str | list[wire.Part]:
        parts: list[wire.Part] = []
        for inner in block.blocks:
            if isinstance(inner, Opaque):
                self._losses.drop("extras")
            else:
                parts.append(part_to_wire(inner, self._profile.capabilities, self._losses))
        if block.is_error:
            parts.insert(0, wire.InputText(text=_ERROR))
        texts = [part.text for part in parts if isinstance(part, wire.InputText)]
        if len(texts) == len(parts) and len(parts) <= (2 if block.is_error else 1):
            return "".join(texts)
        return parts

    def _answer_for(self, turn: Turn) -> None:
        """A call that no later turn answers would be refused, so it is answered here."""
        for block in turn.blocks:
            if isinstance(block, ToolCall) and self._answers[block.id] <= 0:
                self._waiting.pop(block.id, None)
                self.items.append(_output(block, _NO_OUTPUT))

    def _note_marks(self, blocks: list[Block]) -> None:
        if any(isinstance(block, Text) and block.cache is not None for block in blocks):
            self._losses.drop("cache_control")


def _output(
    call: ToolCall, output: str | list[wire.Part]
) -> wire.FunctionCallOutput | wire.CustomToolCallOutput:
    call_id = fitting_id(call.id, _CALL_ID)
    if call.custom:
        return wire.CustomToolCallOutput(call_id=call_id, output=output)
    return wire.FunctionCallOutput(call_id=call_id, output=output)
