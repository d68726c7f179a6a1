"""Chat answers that pass through: usage, and the two things we change (`provider` in, an unasked usage chunk out)."""

import re
from typing import Any

import msgspec
from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.canonical.response import UnfinishedAnswer
from aibridge_router.dialects.openai_chat.response import usage_to_wire
from aibridge_router.dialects.openai_chat.usage import ChatUsage
from aibridge_router.dialects.splice import name_provider
from aibridge_router.dialects.tap import StreamTap
from aibridge_router.sse import payloads

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_DONE = re.compile(rb"^data: ?\[DONE\]", re.MULTILINE)
_DELTA = re.compile(
    rb'"(?:content|refusal|reasoning_content|reasoning)"\s*:\s*"[^"]'
    rb'|"(?:tool_calls|function_call)"\s*:\s*[\[{]|"finish_reason"\s*:\s*"'
)
"""A piece of the answer or its end; the first chunk has a role and an empty content."""

_ERROR = re.compile(rb'^data:\s*\{\s*"error"', re.MULTILINE)


class _Error(Struct, frozen=True):
    pass


class _Answer(Struct, frozen=True):
    usage: ChatUsage | None = None
    choices: list[msgspec.Raw] | None = None
    error: _Error | None = None


class _Chunk(Struct, frozen=True):
    usage: ChatUsage | None = None
    choices: list[msgspec.Raw] | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def answer_usage(body: bytes) -> Usage | None:
    """The usage of a whole answer, None where it says none.

    Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for an error under a good status.
    """
    answer = _decode_answer(body)
    if answer.error is not None and not answer.choices:
        raise UnfinishedAnswer("an error under a good status")
    usage = answer.usage
    return usage.to_usage() if usage is not None else None


class ChatTap(StreamTap):
    """Passes chunks on; reads the usage chunk and hides it from a client that did not ask for it."""

    delta_mark = b'"delta"'

    def __init__(self, *, provider: str | None, hide_usage: bool) -> None:
        super().__init__()
        self._provider = provider
        self._hide_usage = hide_usage

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """See `StreamTap`."""
        chunk = msgspec.json.decode(next(payloads(self._last)), type=dict[str, Any])
        chunk.pop("provider", None)
        chunk["choices"] = [
            {"index": index, "delta": {}, "logprobs": None, "finish_reason": "length"}
            for index in range(choices)
        ]
        chunk["usage"] = None
        frames = [msgspec.json.encode(chunk)]
        if not self._hide_usage:
            frames.append(
                msgspec.json.encode(chunk | {"choices": [], "usage": usage_to_wire(usage)})
            )
        return b"".join(b"data: %b\n\n" % frame for frame in (*frames, b"[DONE]"))

    def _pass_on(self, frames: bytes) -> bytes:
        if not self.started:
            frames = self._first(frames)
        if _USAGE.search(frames) is not None:
            frames = self._read_usage(frames)
        if b"[DONE]" in frames and _DONE.search(frames) is not None:
            self.terminal = True
        if b"error" in frames and _ERROR.search(frames) is not None:
            self.failed = True
        return frames

    def _is_content(self, payload: bytes) -> bool:
        return _DELTA.search(payload) is not None

    def _first(self, frames: bytes) -> bytes:
        for payload in payloads(frames):
            if payload != b"[DONE]":
                msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
            self.started = True
            if self._provider is not None and not payload.startswith(b'{"error"'):
                return frames.replace(payload, name_provider(payload, self._provider), 1)
            break
        return frames

    def _read_usage(self, frames: bytes) -> bytes:
        kept: list[bytes] = []
        blank_line = b"\r\n\r\n" if b"\r\n\r\n" in frames else b"\n\n"
        for frame in frames.split(blank_line):
            hide = False
            for payload in payloads(frame):
                if _USAGE.search(payload) is None:
                    continue
                chunk = _decode_chunk(payload)
                if chunk.usage is not None:
                    self.usage = chunk.usage.to_usage()
                    self.usage_is_final = True
                    hide = self._hide_usage and not chunk.choices
            if not hide:
                kept.append(frame)
        return blank_line.join(kept) if self._hide_usage else frames
