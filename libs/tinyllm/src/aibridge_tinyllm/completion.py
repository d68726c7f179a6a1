"""An answer in the shapes of Chat Completions."""

import secrets
import time
from typing import Any

import msgspec
from msgspec import Struct, field

from aibridge_tinyllm.speech import Ended, Speech

DONE = b"data: [DONE]\n\n"


class Completion(Struct, frozen=True, kw_only=True):
    """One answer's identity; its methods render its parts."""

    model: str
    prompt_tokens: int
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(14)}")
    created: int = field(default_factory=lambda: time.time_ns() // 1_000_000_000)

    def whole(self, text: str, ended: Ended) -> bytes:
        """The answer as one object."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": ended.reason,
        }
        return msgspec.json.encode(
            self._object("chat.completion", [choice]) | {"usage": self._usage(ended)}
        )

    def opening(self) -> bytes:
        """The chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def chunk(self, speech: Speech) -> bytes:
        """The chunk or chunks of one part of a stream, the end's with everything that follows."""
        if not isinstance(speech, Ended):
            return self._chunk({"content": speech.text})
        last = self._chunk({}, finish=speech.reason)
        if self.include_usage:
            body = self._object("chat.completion.chunk", []) | {"usage": self._usage(speech)}
            last += _frame(body)
        return last + DONE

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        body = self._object("chat.completion.chunk", [choice])
        return _frame(body | {"usage": None} if self.include_usage else body)

    def _object(self, kind: str, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _usage(self, ended: Ended) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": ended.completion_tokens,
            "total_tokens": self.prompt_tokens + ended.completion_tokens,
        }


def _frame(body: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
