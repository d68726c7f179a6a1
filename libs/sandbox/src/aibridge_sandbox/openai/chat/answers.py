"""What whole answers and streams of Chat Completions have in common."""

from typing import Any

from aibridge_sandbox.reply.answer import Answer, Decline, Invoke
from aibridge_sandbox.tokens import split_tokens

_FINISH = {
    "end": "stop",
    "tool": "tool_calls",
    "length": "length",
    "sequence": "stop",
    "refusal": "stop",
}


def finish_reason(answer: Answer) -> str:
    """The script's word, or the one for how the answer ended."""
    return answer.stop_word or _FINISH[answer.stop]


def refusal_text(answer: Answer) -> str | None:
    """None unless the model refused."""
    declined = [block.text for block in answer.blocks if isinstance(block, Decline)]
    return declined[0] if declined else None


def call_id(mint: str, choice: int, number: int) -> str:
    """26 characters, unique within the answer."""
    return f"call_{mint[:20]}{choice:02d}{number:02d}"


def tool_call(call: Invoke, identity: str, *, arguments: str | None = None) -> dict[str, Any]:
    """One finished call, or its head if `arguments` is given as empty."""
    text = call.arguments if arguments is None else arguments
    if call.kind == "custom":
        return {"id": identity, "type": "custom", "custom": {"name": call.name, "input": text}}
    function = {"name": call.name, "arguments": text}
    return {"id": identity, "type": "function", "function": function}


def logprobs_of(text: str) -> dict[str, Any]:
    """Every token was as good as certain."""
    tokens = [
        {"token": token, "logprob": -0.01, "bytes": list(token.encode()), "top_logprobs": []}
        for token in split_tokens(text)
    ]
    return {"content": tokens, "refusal": None}
