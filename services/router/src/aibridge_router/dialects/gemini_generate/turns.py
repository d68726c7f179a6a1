"""Google's contents as the hub's turns.

Clients that stream keep a model's answer as many contents of one piece each, so what the model said in a row is joined
again. Ids are optional at Google: a call without one is given one by its place, and a response finds its call by id or,
failing that, as the oldest unanswered call of its name.
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Block, Opaque, Text, Thinking, ToolCall
from aibridge_router.canonical.request import Turn
from aibridge_router.dialects.gemini_generate.arguments import arguments_from_wire
from aibridge_router.dialects.gemini_generate.media import blob_from_wire, file_from_wire
from aibridge_router.dialects.gemini_generate.results import result_from_wire
from aibridge_router.dialects.gemini_generate.signature import state_from_wire
from aibridge_router.dialects.gemini_generate.wire import (
    Content,
    FunctionCall,
    FunctionResponse,
    Part,
)

_ROLES: dict[str | None, Literal["user", "assistant"]] = {
    None: "user",
    "": "user",
    "user": "user",
    "function": "user",
    "model": "assistant",
}
_BESIDE = frozenset({"partMetadata", "thought", "thoughtSignature", "videoMetadata"})
"""Members of a part that only say something about its content."""


class _RawContent(Struct, frozen=True):
    parts: list[Raw] | None = None


_decode_raw = msgspec.json.Decoder(list[_RawContent] | _RawContent).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


class TurnsReader:
    """Reads one conversation. `needs` names the parts that no other dialect can say."""

    def __init__(self, raw_contents: Raw) -> None:
        self.turns: list[Turn] = []
        self.needs: list[str] = []
        self._raw_contents = raw_contents
        self._raw_parts: list[_RawContent] | None = None
        self._blocks: list[Block] = []
        self._said: list[str] = []
        self._is_thought = False
        self._calls = 0
        self._open: list[tuple[str, str, bool]] = []
        """Unanswered calls: id, name, and whether the id is ours."""

    def read(self, contents: list[Content]) -> None:
        """Raises `InvalidRequest` naming the field that is wrong."""
        for index, content in enumerate(contents):
            place = f"contents.{index}"
            role = _ROLES.get(content.role)
            if role is None:
                raise InvalidRequest(
                    f"{place}.role: user or model is expected", param=f"{place}.role"
                )
            if role == "user" or not self.turns or self.turns[-1].role != role:
                self._end_run()
                self._blocks = []
                self.turns.append(Turn(role=role, blocks=self._blocks))
            for number, part in enumerate(content.parts or ()):
                if role == "assistant":
                    self._read_said(part, index, number)
                else:
                    self._read_asked(part, index, number)
        self._end_run()
        self.turns = [turn for turn in self.turns if turn.blocks]

    def _read_asked(self, part: Part, index: int, number: int) -> None:
        if part.text is not None:
            if part.text:
                self._blocks.append(Text(text=part.text))
        elif part.function_response is not None:
            place = f"contents.{index}.parts.{number}.functionResponse"
            response = part.function_response
            self._blocks.append(result_from_wire(response, self._answered(response), place))
        else:
            self._blocks.append(self._other(part, index, number))

    def _read_said(self, part: Part, index: int, number: int) -> None:
        if part.text is not None or self._is_bare_signature(part, index, number):
            self._say(part, part.text or "")
            return
        self._end_run()
        if part.function_call is not None:
            place = f"contents.{index}.parts.{number}.functionCall"
            state = state_from_wire(part.thought_signature)
            call = self._call(part.function_call, place)
            self._blocks.append(
                msgspec.structs.replace(call, state=state) if state is not None else call
            )
        else:
            self._blocks.append(self._other(part, index, number))

    def _say(self, part: Part, text: str) -> None:
        is_thought = part.thought is True
        # A signature without text closes the thoughts before it, whatever its part calls itself.
        is_other = self._said and is_thought is not self._is_thought
        if is_other and (text or not self._is_thought):
            self._end_run()
        if text:
            self._said.append(text)
            self._is_thought = is_thought
        state = state_from_wire(part.thought_signature)
        if state is None:
            return
        if self._is_thought and self._said:
            self._blocks.append(Thinking(text="".join(self._said), state=state))
            self._said = []
        else:
            self._end_run()
            self._blocks.append(Thinking(state=state))

    def _end_run(self) -> None:
        if self._said:
            text = "".join(self._said)
            self._blocks.append(Thinking(text=text) if self._is_thought else Text(text=text))
            self._said = []

    def _call(self, call: FunctionCall, place: str) -> ToolCall:
        if not call.name:
            raise InvalidRequest(f"{place}.name: Field required", param=f"{place}.name")
        arguments = arguments_from_wire(call.args)
        if not arguments.startswith("{"):
            raise InvalidRequest(f"{place}.args: Expected `object`", param=f"{place}.args")
        identifier = call.id or f"call_{self._calls}"
        self._calls += 1
        self._open.append((identifier, call.name, not call.id))
        return ToolCall(id=identifier, name=call.name, arguments=arguments)

    def _answered(self, response: FunctionResponse) -> str:
        """The id of the call; a response without a call keeps its own id, or gets one that no call has."""
        open_calls = enumerate(self._open)
        found = next((at for at, call in open_calls if call[0] == response.id), None)
        if found is None:
            found = next(
                (
                    at
                    for at, (_, name, is_ours) in enumerate(self._open)
                    if name == response.name and (is_ours or not response.id)
                ),
                None,
            )
        if found is None:
            return response.id or f"call_none_{response.name or ''}"
        return self._open.pop(found)[0]

    def _other(self, part: Part, index: int, number: int) -> Block:
        place = f"contents.{index}.parts.{number}"
        media = None
        if part.inline_data is not None:
            media = blob_from_wire(part.inline_data, f"{place}.inlineData")
        elif part.file_data is not None:
            media = file_from_wire(part.file_data, f"{place}.fileData")
        if media is not None:
            return media
        raw = self._raw(index, number)
        kind = next((name for name in _decode_members(raw) if name not in _BESIDE), None)
        if kind is None:
            raise InvalidRequest(f"{place}: a part needs content", param=place)
        if part.inline_data is not None or part.file_data is not None:
            self.needs.append(f"{place}.{kind}")
        return Opaque(dialect=Dialect.GEMINI_GENERATE, kind=kind, raw=raw)

    def _raw(self, index: int, number: int) -> Raw:
        if self._raw_parts is None:
            decoded = _decode_raw(self._raw_contents)
            self._raw_parts = decoded if isinstance(decoded, list) else [decoded]
        return (self._raw_parts[index].parts or [])[number]

    def _is_bare_signature(self, part: Part, index: int, number: int) -> bool:
        """Whether a part is a signature and nothing else, as the last one of a stream may be."""
        if part.thought_signature is None or part.function_call is not None:
            return False
        return _decode_members(self._raw(index, number)).keys() <= _BESIDE
