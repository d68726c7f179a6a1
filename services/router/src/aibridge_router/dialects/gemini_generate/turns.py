"""Google's contents as the hub's turns.

Clients that stream keep a model's answer as many contents of one piece each, so what the model said in a row is joined
again. Ids are optional at Google: a call without one is given one by its place, and a response finds its call by id or,
failing that, as the oldest unanswered call of its name.
"""

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Block, Opaque, Text, Thinking, ToolCall
from aibridge_router.canonical.request import Turn
from aibridge_router.dialects.gemini_generate.arguments import arguments_from_wire
from aibridge_router.dialects.gemini_generate.media import media_from_wire
from aibridge_router.dialects.gemini_generate.places import Misfit
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


class _RawBody(Struct, frozen=True):
    contents: list[_RawContent] | _RawContent


_decode_raw = msgspec.json.Decoder(_RawBody).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


class TurnsReader:
    """Reads one conversation. `needs` names the parts that no other dialect can say."""

    def __init__(self, body: bytes) -> None:
        self.turns: list[Turn] = []
        self.needs: list[str] = []
        self._body = body
        self._raw_parts: list[_RawContent] | None = None
        self._blocks: list[Block] = []
        self._said: list[str] = []
        self._is_thought = False
        self._calls = 0
        self._open: list[tuple[str, str, bool]] = []
        """Unanswered calls: id, name, and whether the id is ours."""

    def read(self, contents: list[Content]) -> None:
        """Raises `InvalidRequest` naming the field that is wrong."""
        index, number = 0, -1
        try:
            for index, content in enumerate(contents):
                number = -1
                read = self._begin(content)
                for number, part in enumerate(content.parts or ()):
                    read(part, index, number)
        except Misfit as misfit:
            part_place = f"contents.{index}.parts.{number}"
            place = part_place if number >= 0 else f"contents.{index}"
            raise misfit.within(place).refusal() from None
        self._end_run()
        self.turns = [turn for turn in self.turns if turn.blocks]

    def _begin(self, content: Content) -> Callable[[Part, int, int], None]:
        """Opens a turn, or goes on with what the model said; gives what reads its parts."""
        role = _ROLES.get(content.role)
        if role is None:
            raise Misfit("role", "user or model is expected")
        if role == "user" or not self.turns or self.turns[-1].role != role:
            self._end_run()
            self._blocks = []
            self.turns.append(Turn(role=role, blocks=self._blocks))
        return self._read_said if role == "assistant" else self._read_asked

    def _read_asked(self, part: Part, index: int, number: int) -> None:
        if part.text is not None:
            if part.text:
                self._blocks.append(Text(text=part.text))
        elif part.function_response is not None:
            response = part.function_response
            try:
                self._blocks.append(result_from_wire(response, self._answered(response)))
            except Misfit as misfit:
                raise misfit.within("functionResponse") from None
        else:
            self._blocks.append(self._other(part, index, number))

    def _read_said(self, part: Part, index: int, number: int) -> None:
        if part.function_call is not None:
            self._end_run()
            self._blocks.append(self._call(part.function_call, part.thought_signature))
        elif part.text is not None or self._is_bare_signature(part, index, number):
            self._say(part, part.text or "")
        else:
            self._end_run()
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
        if part.thought_signature is None:
            return
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

    def _call(self, call: FunctionCall, signature: str | None) -> ToolCall:
        if not call.name:
            raise Misfit("functionCall.name", "Field required")
        arguments = arguments_from_wire(call.args)
        if not arguments.startswith("{"):
            raise Misfit("functionCall.args", "Expected `object`")
        identifier = call.id or f"call_{self._calls}"
        self._calls += 1
        self._open.append((identifier, call.name, not call.id))
        return ToolCall(
            id=identifier, name=call.name, arguments=arguments, state=state_from_wire(signature)
        )

    def _answered(self, response: FunctionResponse) -> str:
        """The id of the call; a response without a call keeps its own id, or gets one that no call has."""
        for at, (identifier, _, _) in enumerate(self._open):
            if identifier == response.id:
                return self._open.pop(at)[0]
        for at, (_, name, is_ours) in enumerate(self._open):
            if name == response.name and (is_ours or not response.id):
                return self._open.pop(at)[0]
        return response.id or f"call_none_{response.name or ''}"

    def _other(self, part: Part, index: int, number: int) -> Block:
        media = media_from_wire(part.inline_data, part.file_data)
        if media is not None:
            return media
        raw = self._raw(index, number)
        kind = next((name for name in _decode_members(raw) if name not in _BESIDE), None)
        if kind is None:
            raise Misfit("", "a part needs content")
        if part.inline_data is not None or part.file_data is not None:
            self.needs.append(f"contents.{index}.parts.{number}.{kind}")
        return Opaque(dialect=Dialect.GEMINI_GENERATE, kind=kind, raw=raw)

    def _raw(self, index: int, number: int) -> Raw:
        if self._raw_parts is None:
            contents = _decode_raw(self._body).contents
            self._raw_parts = contents if isinstance(contents, list) else [contents]
        return (self._raw_parts[index].parts or [])[number]

    def _is_bare_signature(self, part: Part, index: int, number: int) -> bool:
        """Whether a part is a signature and nothing else, as the last one of a stream may be."""
        if part.thought_signature is None:
            return False
        return _decode_members(self._raw(index, number)).keys() <= _BESIDE
