"""Gemini answers that pass through: every chunk carries the usage so far."""

import re

import msgspec
from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.dialects.gemini_generate.usage import UsageMetadata
from aibridge_router.dialects.tap import StreamTap
from aibridge_router.sse import payloads

_FINISH = re.compile(rb'"(?:finishReason|blockReason)"\s*:\s*"')
_ERROR = re.compile(rb'^data:\s*\{\s*"error"', re.MULTILINE)


class _Answer(Struct, frozen=True, rename="camel"):
    usage_metadata: UsageMetadata | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_array = msgspec.json.Decoder(list[_Answer]).decode


def answer_usage(body: bytes) -> Usage | None:
    """The usage of a whole answer, None where it says none. Raises `msgspec.DecodeError` for what is no answer.

    `streamGenerateContent` without `alt=sse` answers with an array of chunks; the last one counts.
    """
    if body.lstrip().startswith(b"["):
        answers = [a.usage_metadata for a in _decode_array(body) if a.usage_metadata is not None]
        return answers[-1].to_usage() if answers else None
    usage = _decode_answer(body).usage_metadata
    return usage.to_usage() if usage is not None else None


class GeminiTap(StreamTap):
    """Passes chunks on and keeps the newest usage."""

    delta_mark = b'"candidates"'

    def _pass_on(self, frames: bytes) -> bytes:
        newest: bytes | None = None
        for payload in payloads(frames):
            newest = payload
        if newest is not None:
            usage = _decode_answer(newest).usage_metadata
            self.started = True
            if usage is not None:
                self.usage = usage.to_usage()
        if _FINISH.search(frames) is not None:
            self.terminal = True
            self.usage_is_final = self.usage is not None
        elif _ERROR.search(frames) is not None:
            self.failed = True
        return frames
