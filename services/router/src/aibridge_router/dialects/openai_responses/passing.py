"""Responses answers that pass through: only their terminal event carries usage."""

import re

import msgspec
from msgspec import Struct

from aibridge_common.usage import Usage
from aibridge_router.canonical.response import UnfinishedAnswer
from aibridge_router.dialects.openai_responses.ending import Passed
from aibridge_router.dialects.openai_responses.usage import ResponsesUsage
from aibridge_router.dialects.tap import StreamTap
from aibridge_router.sse import payloads

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TERMINAL = re.compile(rb'"type"\s*:\s*"response\.(?:completed|incomplete|failed)"')
_ERROR = re.compile(rb'^event:\s*error|^data:\s*\{\s*"type"\s*:\s*"error"', re.MULTILINE)


class _Error(Struct, frozen=True):
    pass


class _Answer(Struct, frozen=True):
    id: str = ""
    status: str = "completed"
    created_at: float = 0
    usage: ResponsesUsage | None = None
    error: _Error | None = None


class _Event(Struct, frozen=True):
    type: str = ""
    response: _Answer | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def answer_usage(body: bytes) -> Usage | None:
    """The usage of a whole answer, None where it says none.

    Raises `msgspec.DecodeError` for what is no answer, `UnfinishedAnswer` for one that failed.
    """
    answer = _decode_answer(body)
    if answer.status == "failed" or answer.error is not None:
        raise UnfinishedAnswer("an error under a good status")
    usage = answer.usage
    return usage.to_usage() if usage is not None else None


class ResponsesTap(StreamTap):
    """Passes events on and reads the usage of the last one."""

    delta_mark = b'.delta"'

    def __init__(self) -> None:
        super().__init__()
        self._answer = _Answer()
        self._events = 0
        self._passed = Passed()

    def failed_response(self, kind: str, message: str, model: str) -> bytes:
        """The event that ends this stream as failed; Codex retries on `server_error`."""
        response = {
            "id": self._answer.id,
            "object": "response",
            "created_at": int(self._answer.created_at),
            "status": "failed",
            "error": {"code": kind, "message": message},
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }
        event = {
            "type": "response.failed",
            "sequence_number": self._events,
            "response": response,
        }
        return b"event: response.failed\ndata: " + msgspec.json.encode(event) + b"\n\n"

    def end_early(self, usage: Usage, choices: int) -> bytes:
        """See `StreamTap`."""
        assert choices == 1, "there is one response"
        return self._passed.end_early(usage, self._events)

    def _pass_on(self, frames: bytes) -> bytes:
        self._passed.keep(frames)
        if not self.started:
            for payload in payloads(frames):
                self._answer = _decode_event(payload).response or self._answer
                self.started = True
                break
        self._events += frames.count(b'"sequence_number"')
        if _TERMINAL.search(frames) is not None:
            for payload in payloads(frames):
                if _TERMINAL.search(payload) is not None:
                    self._read_terminal(payload)
        if b"error" in frames and _ERROR.search(frames) is not None:
            self.failed = True
        return frames

    def _is_content(self, payload: bytes) -> bool:
        kind = _decode_event(payload).type
        return kind.endswith(".delta") or kind == "response.output_item.done"

    def _read_terminal(self, payload: bytes) -> None:
        event = _decode_event(payload)
        if event.type not in _ENDS:
            return  # the request's own metadata and tools are echoed in other events
        self.terminal = True
        self.failed = self.failed or event.type == "response.failed"
        if event.response is not None and event.response.usage is not None:
            self.usage = event.response.usage.to_usage()
            self.usage_is_final = True
