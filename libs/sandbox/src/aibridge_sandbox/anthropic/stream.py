from typing import Any

import msgspec

from aibridge_sandbox.anthropic.content import Block, content_blocks, stop_fields
from aibridge_sandbox.anthropic.envelope import anthropic_headers, request_id
from aibridge_sandbox.anthropic.usage import delta_usage, full_usage
from aibridge_sandbox.call import Call
from aibridge_sandbox.reply.answer import Answer
from aibridge_sandbox.reply.frame import Reply, Tape
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.script import StreamError
from aibridge_sandbox.tokens import count_tokens, split_tokens
from aibridge_sandbox.world.usage import Usage

_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_OPENED: dict[str, dict[str, Any]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
_FIRST_OUTPUT_TOKENS = 1
"""What `message_start` claims was already generated."""


def write_stream(call: Call, answer: Answer, prompt: Usage) -> Reply:
    """The answer as Messages events."""
    stream = _Stream(call, answer)
    stream.write(prompt)

    def fail(_: int, error: StreamError) -> bytes:
        body = {"type": error.type or "overloaded_error", "message": error.message}
        return _event("error", {"error": body, "request_id": request_id(call.mint)})

    return Reply(
        status=200,
        content_type="text/event-stream; charset=utf-8",
        frames=tuple(stream.tape.frames),
        prompt=prompt,
        stream=True,
        headers=anthropic_headers(call.mint),
        fail=fail,
    )


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    body = msgspec.json.encode({"type": kind, **fields})
    return f"event: {kind}\ndata: ".encode() + body + b"\n\n"


class _Stream:
    def __init__(self, call: Call, answer: Answer) -> None:
        self.tape = Tape()
        self._call = call
        self._answer = answer
        self._unsaid_reasoning = answer.reasoning_tokens

    def write(self, prompt: Usage) -> None:
        truth = msgspec.structs.replace(
            prompt,
            output=self._answer.output_tokens,
            reasoning=self._answer.reasoning_tokens,
        )
        reports = reports_of(truth, self._call.script.usage)
        self._write_start(reports[0])
        for index, block in enumerate(content_blocks(self._call, self._answer)):
            self._write_block(index, block)
            if index == 0:
                continue
        for report in reports:
            self._write_delta(report)
        self.tape.add(_event("message_stop", {}), terminal=True)

    def _write_start(self, report: Usage | None) -> None:
        message: dict[str, Any] = {
            "id": f"msg_01{self._call.mint[:22]}",
            "type": "message",
            "role": "assistant",
            "model": self._call.model_id,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        if report is not None:
            first = msgspec.structs.replace(
                report, output=min(_FIRST_OUTPUT_TOKENS, report.generated), reasoning=0
            )
            message["usage"] = full_usage(first)
        self.tape.add(_event("message_start", {"message": message}))
        self.tape.add(_event("ping", {}))

    def _write_block(self, index: int, block: Block) -> None:
        kind: str = block.wire["type"]
        opened = {**block.wire, **_OPENED.get(kind, {})}
        self.tape.add(
            _event("content_block_start", {"index": index, "content_block": opened}),
            content=kind == "redacted_thinking",
        )
        if kind in _DELTAS:
            self._write_deltas(index, block, kind)
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": block.wire["signature"]}
            self._write_content(index, signed, reasoning=self._unsaid_reasoning)
        self.tape.add(_event("content_block_stop", {"index": index}))

    def _write_deltas(self, index: int, block: Block, kind: str) -> None:
        delta, field = _DELTAS[kind]
        pieces = split_tokens(block.text)
        if kind == "tool_use":
            self._write_content(index, {"type": delta, field: ""}, output=count_tokens(block.named))
        for piece in pieces:
            if kind == "thinking":
                self._write_content(index, {"type": delta, field: piece}, reasoning=1)
            else:
                self._write_content(index, {"type": delta, field: piece}, output=1)

    def _write_content(
        self, index: int, delta: dict[str, Any], *, output: int = 0, reasoning: int = 0
    ) -> None:
        self._unsaid_reasoning -= reasoning
        self.tape.add(
            _event("content_block_delta", {"index": index, "delta": delta}),
            content=True,
            output=output,
            reasoning=reasoning,
        )

    def _write_delta(self, report: Usage | None) -> None:
        usage = {} if report is None else {"usage": delta_usage(report)}
        self.tape.add(
            _event("message_delta", {"delta": stop_fields(self._answer), **usage}),
            terminal=True,
            reports=report is not None,
            output=self._answer.output_tokens - self.tape.output,
            reasoning=self._unsaid_reasoning,
        )
        self._unsaid_reasoning = 0
