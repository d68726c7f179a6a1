"""The parts of one candidate, and what Google says about its tokens."""

import json
from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.google.prompt import shows_thoughts
from aibridge_sandbox.reply.answer import Answer, Block, Decline, Invoke, Say, Thought
from aibridge_sandbox.shape import as_dict
from aibridge_sandbox.tokens import split_tokens
from aibridge_sandbox.world.seal import seal
from aibridge_sandbox.world.usage import Usage

_FINISH = {
    "end": "STOP",
    "tool": "STOP",
    "length": "MAX_TOKENS",
    "sequence": "STOP",
    "refusal": "SAFETY",
}


def finish_reason(answer: Answer) -> str:
    """STOP also ends an answer of function calls."""
    return answer.stop_word or _FINISH[answer.stop]


class Parts:
    """Makes parts; the first call of a step, or the last text of a thought, carries a signature."""

    def __init__(self, call: Call, answer: Answer) -> None:
        self._call = call
        self._shows = shows_thoughts(call)
        self._signature: str | None = seal("google", call.mint)
        model = call.model
        self._signs_calls = model is not None and model.thinking in ("budget", "level")
        self._signs_text = answer.reasoning_tokens > 0

    def pieces(self, block: Block) -> list[tuple[dict[str, Any] | None, int]]:
        """The block's parts as a stream writes them, each with its tokens.

        A thought that is not shown is one None with all its tokens.
        """
        match block:
            case Thought() if not self._shows:
                return [(None, len(split_tokens(block.text)))]
            case Thought():
                return [({"text": t, "thought": True}, 1) for t in split_tokens(block.text)]
            case Say() | Decline():
                return [({"text": token}, 1) for token in split_tokens(block.text)]
            case Invoke():
                tokens = len(split_tokens(block.name)) + len(split_tokens(block.arguments))
                return [(self._call_part(block), tokens)]

    def whole(self, block: Block) -> dict[str, Any] | None:
        """The block as one part; None for a thought that is not shown."""
        match block:
            case Thought():
                return {"text": block.text, "thought": True} if self._shows else None
            case Say() | Decline():
                return {"text": block.text}
            case Invoke():
                return self._call_part(block)

    def closing_signature(self) -> str | None:
        """The signature of an answer without calls, for its last text part."""
        return self._take() if self._signs_text else None

    def _call_part(self, invoke: Invoke) -> dict[str, Any]:
        part: dict[str, Any] = {
            "functionCall": {"name": invoke.name, "args": _arguments(invoke.arguments)}
        }
        signature = self._take() if self._signs_calls else None
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _take(self) -> str | None:
        taken, self._signature = self._signature, None
        return taken


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """Google counts cached tokens inside the prompt and thoughts outside the candidates."""
    metadata: dict[str, Any] = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.prompt + usage.generated,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.prompt}],
    }
    if usage.reasoning:
        metadata["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read:
        metadata["cachedContentTokenCount"] = usage.cache_read
    return metadata


def _arguments(text: str) -> dict[str, Any]:
    try:
        return as_dict(json.loads(text))
    except ValueError:
        return {}
