"""The hub's turns as Google's contents.

Google's rules: the first content is the user's; a content of calls is followed at once by one content that answers
each of them, in their order; no part and no content is empty; Gemini 3 wants a signature on the first call of each
step. Results stand in a content of their own, since older models refuse pictures beside them.
"""

from collections.abc import Sequence

import msgspec

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
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Turn
from aibridge_router.dialects.gemini_generate.arguments import NoObject, arguments_to_wire
from aibridge_router.dialects.gemini_generate.media import media_to_wire
from aibridge_router.dialects.gemini_generate.results import result_to_wire
from aibridge_router.dialects.gemini_generate.signature import SKIP, native_signature
from aibridge_router.dialects.gemini_generate.tool_names import tool_name
from aibridge_router.dialects.gemini_generate.wire import Wire

_Part = Wire | msgspec.Raw
_STAND_IN: Wire = {"text": "."}
"""What the user said where a conversation does not begin with the user."""


class ContentsWriter:
    """Writes one conversation."""

    def __init__(self, profile: Profile, losses: Losses) -> None:
        self._profile = profile
        self._losses = losses
        self._contents: list[Wire] = []
        self._open_parts: list[_Part] | None = None
        """Parts of the last content, None where nothing may stand beside them."""
        self._calls: list[ToolCall] = []
        """Calls of the last content of the model that still want their results."""

    def write(self, turns: Sequence[Turn]) -> list[Wire]:
        """Raises `CannotSay` for what this model cannot be told."""
        position = 0
        while position < len(turns):
            is_model = turns[position].role == "assistant"
            blocks: list[Block] = []
            while position < len(turns) and (turns[position].role == "assistant") is is_model:
                blocks += turns[position].blocks
                position += 1
            if is_model:
                self._write_model(blocks)
            else:
                self._write_user(blocks)
        if self._calls:
            self._write_user(())
        if not self._contents or self._contents[0]["role"] == "model":
            self._contents.insert(0, {"role": "user", "parts": [_STAND_IN]})
        if self._contents[-1]["role"] == "model" and not self._profile.capabilities.prefill:
            raise CannotSay(
                f"{self._profile.upstream_model} cannot continue a turn of the assistant",
                param="messages",
            )
        return self._contents

    def _write_user(self, blocks: Sequence[Block]) -> None:
        """Results first, each call answered, then everything else."""
        results: dict[str, ToolResult] = {}
        answers: list[Wire] = []
        parts: list[_Part] = []
        others: list[_Part] = []
        for block in blocks:
            if isinstance(block, ToolResult):
                results[block.call_id] = block
            elif (part := self._part(block)) is not None:
                others.append(part)
        for call in self._calls:
            answer, media = result_to_wire(
                results.pop(call.id, None),
                call.id,
                tool_name(call.name),
                self._profile,
                self._losses,
            )
            answers.append(answer)
            parts += media
        self._calls = []
        if results:
            self._losses.drop("orphans")
        parts += others
        if answers:
            self._contents.append({"role": "user", "parts": answers})
            self._open_parts = None
        self._add("user", parts)

    def _write_model(self, blocks: Sequence[Block]) -> None:
        parts: list[_Part] = []
        held: str | None = None
        """A signature without text: the following call's, if one follows."""
        for block in blocks:
            if isinstance(block, ToolCall):
                parts.append(self._call(block, held, is_first=not self._calls))
                self._calls.append(block)
                held = None
                continue
            if held is not None:
                parts.append(_bare(held))
                held = None
            if isinstance(block, Thinking):
                held = self._think(block, parts)
                continue
            part = self._part(block)
            if part is not None:
                parts.append(part)
        if held is not None:
            parts.append(_bare(held))
        self._add("model", parts)

    def _add(self, role: str, parts: list[_Part]) -> None:
        """A content of its own, or more of the last one if that is of the same role and does not hold results."""
        if not parts:
            return
        if self._open_parts is not None and self._contents[-1]["role"] == role:
            self._open_parts += parts
            return
        self._open_parts = parts
        self._contents.append({"role": role, "parts": parts})

    def _think(self, block: Thinking, parts: list[_Part]) -> str | None:
        """Writes thoughts with their signature; a signature without thoughts is given back to be held."""
        signature = native_signature(block.state, self._profile.provider)
        if signature is None:
            self._losses.drop("thinking")
        elif not block.text:
            return signature
        else:
            parts.append({"text": block.text, "thought": True, "thoughtSignature": signature})
        return None

    def _call(self, call: ToolCall, held: str | None, *, is_first: bool) -> Wire:
        if call.cache is not None:
            self._losses.drop("cache_control")
        try:
            arguments = arguments_to_wire(call)
        except NoObject:
            raise CannotSay(
                f"the arguments of the call {call.id} of {call.name} are no JSON object",
                param="arguments",
            ) from None
        part: Wire = {
            "functionCall": {"name": tool_name(call.name), "args": arguments, "id": call.id}
        }
        signature = native_signature(call.state, self._profile.provider) or held
        if signature is None and is_first and self._profile.capabilities.reasoning == "level":
            signature = SKIP
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _part(self, block: Block) -> _Part | None:
        """A block that is one part in either role, None where nothing is left of it."""
        if isinstance(block, Text | Image | Document) and block.cache is not None:
            self._losses.drop("cache_control")
        match block:
            case Text() | Refusal():
                return {"text": block.text} if block.text else None
            case Image() | Document() | Audio():
                return media_to_wire(block, self._profile, self._losses)
            case Opaque(dialect=Dialect.GEMINI_GENERATE):
                return block.raw
            case Opaque() | Thinking() | ToolCall():
                self._losses.drop("extras")
                return None
            case ToolResult():
                self._losses.drop("orphans")
                return None


def _bare(signature: str) -> Wire:
    return {"text": "", "thoughtSignature": signature}
