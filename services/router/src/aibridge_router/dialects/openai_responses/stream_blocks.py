"""The blocks of a stream that is read: which have begun, what of them was sent."""

import msgspec

from aibridge_router.canonical.content import Refusal, State, Text, Thinking, ToolCall
from aibridge_router.canonical.events import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Event,
    Started,
    StateSeen,
    StreamedBlock,
    TextDelta,
)
from aibridge_router.dialects.openai_responses import wire
from aibridge_router.dialects.openai_responses.reasoning import text_of
from aibridge_router.dialects.openai_responses.tools import call_of
from aibridge_router.sse import FrameTooLong

BLOCKS_MAX = 4096
"""More blocks than any answer has."""

_WHOLE = -1
"""In place of a part's number, for items that are one block."""

_Key = tuple[int, int]


class _Block:
    """A block of the answer: its number, and what of it was sent."""

    __slots__ = ("index", "open", "piece", "sent")

    def __init__(self, index: int) -> None:
        self.index = index
        self.open = True
        self.sent = False
        self.piece: tuple[str, int] | None = None


class Blocks:
    """Notes the events of the blocks in `events`.

    Servers that leave out events between the first and the last are understood: a block begins with its first sign and
    is complete with its item, and text that only the last events bring is sent then.
    """

    def __init__(self, provider: str) -> None:
        self.events: list[Event] = []
        self.calls = False
        self.refuses = False
        self._provider = provider
        self._started = False
        self._blocks: dict[_Key, _Block] = {}

    @property
    def empty(self) -> bool:
        """Whether no block has begun."""
        return not self._blocks

    def start(self, response_id: str, model: str) -> None:
        """The answer begins, once."""
        if not self._started:
            self._started = True
            self.events.append(Started(id=response_id, model=model))

    def text(self, item: int, part: int, delta: str) -> None:
        """A piece of text."""
        block = self._blocks.get((item, part)) or self._open((item, part), Text(text=""))
        self._say(block, delta)

    def refusal(self, item: int, part: int, delta: str) -> None:
        """A piece of a refusal."""
        block = self._blocks.get((item, part)) or self._open((item, part), Refusal(text=""))
        self._say(block, delta)

    def thought(self, item: int, piece: tuple[str, int], delta: str) -> None:
        """A piece of reasoning; `piece` tells its paragraphs apart."""
        key = (item, _WHOLE)
        block = self._blocks.get(key) or self._open(key, Thinking())
        if block.sent and block.piece != piece:
            delta = "\n\n" + delta
        block.piece = piece
        self._say(block, delta)

    def arguments(self, item: int, delta: str) -> None:
        """A piece of a call's arguments; that of a call without a name cannot be told."""
        block = self._blocks.get((item, _WHOLE))
        if block is not None and block.open and delta:
            block.sent = True
            self.events.append(ArgumentsDelta(index=block.index, text=delta))

    def add_item(self, index: int, item: wire.Item | None) -> None:
        """An item begins; a message is blocks only by its parts."""
        key = (index, _WHOLE)
        if key in self._blocks:
            return
        if isinstance(item, wire.FunctionCall | wire.CustomToolCall):
            self._open(key, msgspec.structs.replace(call_of(item), arguments=""))
        elif isinstance(item, wire.ReasoningItem):
            self._open(key, Thinking())

    def add_part(self, item: int, part: int, kind: str) -> None:
        """A part of a message begins."""
        if (item, part) in self._blocks:
            return
        if kind == "output_text":
            self._open((item, part), Text(text=""))
        elif kind == "refusal":
            self._open((item, part), Refusal(text=""))

    def finish_part(self, item: int, part: int) -> None:
        """A part is complete; one without a piece may still come with its item."""
        block = self._blocks.get((item, part))
        if block is not None and block.sent:
            self._stop(block)

    def finish_item(self, index: int, item: wire.Item | None) -> None:
        """An item is complete."""
        if isinstance(item, wire.Message) and not isinstance(item.content, str):
            for number, part in enumerate(item.content):
                self._finish_said((index, number), part)
        elif isinstance(item, wire.FunctionCall | wire.CustomToolCall):
            self._finish_call((index, _WHOLE), item)
        elif isinstance(item, wire.ReasoningItem):
            self._finish_thinking((index, _WHOLE), item)

    def whole_text(self, item: int, part: int, text: str) -> None:
        """The text of a part, sent where no piece of it came."""
        self._complete((item, part), Text(text=""), text)

    def stop_all(self) -> None:
        """Nothing more comes."""
        for block in self._blocks.values():
            self._stop(block)

    def _open(self, key: _Key, block: StreamedBlock) -> _Block:
        self.start("", "")
        if len(self._blocks) >= BLOCKS_MAX:
            raise FrameTooLong
        opened = self._blocks[key] = _Block(len(self._blocks))
        self.calls = self.calls or isinstance(block, ToolCall)
        self.refuses = self.refuses or isinstance(block, Refusal)
        self.events.append(BlockStarted(index=opened.index, block=block))
        return opened

    def _stop(self, block: _Block) -> None:
        if block.open:
            block.open = False
            self.events.append(BlockStopped(index=block.index))

    def _say(self, block: _Block, text: str) -> None:
        if text and block.open:
            block.sent = True
            self.events.append(TextDelta(index=block.index, text=text))

    def _complete(self, key: _Key, block: Text | Refusal, text: str) -> None:
        opened = self._blocks.get(key)
        if opened is None and text:
            opened = self._open(key, block)
        if opened is not None and not opened.sent:
            self._say(opened, text)

    def _finish_said(self, key: _Key, part: wire.Part) -> None:
        if isinstance(part, wire.OutputText):
            self._complete(key, Text(text=""), part.text)
        elif isinstance(part, wire.RefusalText):
            self._complete(key, Refusal(text=""), part.refusal)
        if key in self._blocks:
            self._stop(self._blocks[key])

    def _finish_call(self, key: _Key, item: wire.FunctionCall | wire.CustomToolCall) -> None:
        call = call_of(item)
        block = self._blocks.get(key)
        if block is None:
            block = self._open(key, msgspec.structs.replace(call, arguments=""))
        if not block.sent:
            self.arguments(key[0], call.arguments)
        self._stop(block)

    def _finish_thinking(self, key: _Key, item: wire.ReasoningItem) -> None:
        block = self._blocks.get(key) or self._open(key, Thinking())
        if not block.sent:
            self._say(block, text_of(item))
        if item.encrypted_content and block.open:
            state = State(provider=self._provider, data=item.encrypted_content)
            self.events.append(StateSeen(index=block.index, state=state))
        self._stop(block)
