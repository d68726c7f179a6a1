"""Gemini answers that pass through: every chunk carries the usage so far."""

import re

import msgspec
from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.canonical.response import UnfinishedAnswer
from aibridge_router.dialects.gemini_generate.response import usage_to_wire
from aibridge_router.dialects.gemini_generate.usage import UsageMetadata
from aibridge_router.dialects.tap import StreamTap
from aibridge_router.sse import payloads

_ERROR = re.compile(rb'^data:\s*\{\s*"error"', re.MULTILINE)


class _Error(Struct, frozen=True):
    pass


class _Answer(Struct, frozen=True, rename="camel"):
    usage_metadata: UsageMetadata | None = None
    error: _Error | None = None


class _Content(Struct, frozen=True):
    parts: list[msgspec.Raw] | None = None


class _Candidate(Struct, frozen=True, rename="camel"):
    finish_reason: str | None = None
    content: _Content | None = None


class _Feedback(Struct, frozen=True, rename="camel"):
    block_reason: str | None = None


class _Chunk(Struct, frozen=True, rename="camel"):
    usage_metadata: UsageMetadata | None = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None

    @property
    def has_parts(self) -> bool:
        return any(
            candidate.content is not None and candidate.content.parts
            for candidate in self.candidates or ()
        )

    @property
    def ends(self) -> bool:
        if self.prompt_feedback is not None and self.prompt_feedback.block_reason:
            return True
        return any(candidate.finish_reason for candidate in self.candidates or ())


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_array = msgspec.json.Decoder(list[_Answer]).decode


def answer_usage(body: bytes) -> Usage | None:
    """The usage of a whole answer, None where it says none.

    Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for an error under a good status.

    `streamGenerateContent` without `alt=sse` answers with an array of chunks; the last one counts.
    """
    if body.lstrip().startswith(b"["):
        chunks = _decode_array(body)
        if chunks and chunks[0].error is not None:
            raise UnfinishedAnswer("an error under a good status")
        answers = [a.usage_metadata for a in chunks if a.usage_metadata is not None]
        return answers[-1].to_usage() if answers else None
    answer = _decode_answer(body)
    if answer.error is not None:
        raise UnfinishedAnswer("an error under a good status")
    usage = answer.usage_metadata
    return usage.to_usage() if usage is not None else None


class GeminiTap(StreamTap):
    """Passes chunks on and keeps the newest usage."""

    delta_mark = b'"candidates"'

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """See `StreamTap`."""
        chunk = msgspec.json.decode([*payloads(self._last)][-1], type=dict[str, msgspec.Raw])
        chunk["candidates"] = msgspec.Raw(
            msgspec.json.encode(
                [
                    {
                        "content": {"parts": [{"text": ""}], "role": "model"},
                        "finishReason": "MAX_TOKENS",
                        "index": index,
                    }
                    for index in range(choices)
                ]
            )
        )
        chunk["usageMetadata"] = msgspec.Raw(msgspec.json.encode(usage_to_wire(usage)))
        return b"data: " + msgspec.json.encode(chunk) + b"\r\n\r\n"

    def _is_content(self, payload: bytes) -> bool:
        return _decode_chunk(payload).has_parts

    def _pass_on(self, frames: bytes) -> bytes:
        for payload in payloads(frames):
            chunk = _decode_chunk(payload)
            self.started = True
            if chunk.usage_metadata is not None:
                self.usage = chunk.usage_metadata.to_usage()
            if chunk.ends:
                self.terminal = True
        self.usage_is_final = self.terminal and self.usage is not None
        if b"error" in frames and _ERROR.search(frames) is not None:
            self.failed = True
        return frames
