from typing import Any

import msgspec

from aibridge_sandbox.call import Call
from aibridge_sandbox.clock import unix_s
from aibridge_sandbox.openai.chat.answers import call_id, finish_reason, logprobs_of, tool_call
from aibridge_sandbox.openai.envelope import openai_headers
from aibridge_sandbox.openai.usage import chat_usage
from aibridge_sandbox.reply.answer import Answer, Decline, Invoke, Say, Thought
from aibridge_sandbox.reply.frame import Reply, Tape
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.script import StreamError
from aibridge_sandbox.shape import as_dict
from aibridge_sandbox.tokens import count_tokens, split_tokens
from aibridge_sandbox.world.usage import Usage


def write_stream(call: Call, answer: Answer, prompt: Usage, choices: int) -> Reply:
    """The answer as chunks; every choice is streamed to its end before the next."""
    stream = _Stream(call, answer)
    for index in range(choices):
        stream.write_choice(index)
    stream.write_end(prompt)
    return Reply(
        status=200,
        content_type="text/event-stream; charset=utf-8",
        frames=tuple(stream.tape.frames),
        prompt=prompt,
        stream=True,
        headers=openai_headers(call.mint),
        fail=_fail,
    )


def _fail(_: int, error: StreamError) -> bytes:
    body = {
        "message": error.message,
        "type": error.type or "server_error",
        "param": None,
        "code": error.code,
    }
    return b"data: " + msgspec.json.encode({"error": body}) + b"\n\n"


class _Stream:
    def __init__(self, call: Call, answer: Answer) -> None:
        self.tape = Tape()
        self._call = call
        self._answer = answer
        options = as_dict(call.body.get("stream_options"))
        self._includes_usage = options.get("include_usage") is True
        self._created = unix_s()
        self._unsaid_reasoning = 0

    def write_choice(self, index: int) -> None:
        starting = self.tape.output
        self._unsaid_reasoning = self._answer.reasoning_tokens
        self._delta(index, {"role": "assistant", "content": "", "refusal": None})
        number = 0
        for block in self._answer.blocks:
            match block:
                case Thought():
                    continue
                case Say():
                    for token in split_tokens(block.text):
                        self._delta(index, {"content": token}, token=token)
                case Decline():
                    for token in split_tokens(block.text):
                        self._delta(index, {"refusal": token}, token=token)
                case Invoke():
                    self._write_call(index, number, block)
                    number += 1
        missing = self._answer.output_tokens - (self.tape.output - starting)
        self.tape.add(
            self._chunk([self._choice(index, {}, finish_reason(self._answer))]),
            terminal=True,
            output=missing,
            reasoning=self._unsaid_reasoning,
        )
        self._unsaid_reasoning = 0

    def write_end(self, prompt: Usage) -> None:
        if self._includes_usage:
            truth = msgspec.structs.replace(
                prompt, output=self.tape.output, reasoning=self.tape.reasoning
            )
            for report in reports_of(truth, self._call.script.usage):
                if report is not None:
                    self.tape.add(
                        self._chunk([], usage=chat_usage(report)), terminal=True, reports=True
                    )
        self.tape.add(b"data: [DONE]\n\n", terminal=True)

    def _write_call(self, index: int, number: int, invoke: Invoke) -> None:
        head = tool_call(invoke, call_id(self._call.mint, index, number), arguments="")
        self._delta(
            index,
            {"tool_calls": [{"index": number, **head}]},
            token=invoke.name,
        )
        field = "input" if invoke.kind == "custom" else "arguments"
        for token in split_tokens(invoke.arguments):
            piece = {"index": number, invoke.kind: {field: token}}
            self._delta(index, {"tool_calls": [piece]}, token=token)

    def _delta(self, index: int, delta: dict[str, Any], *, token: str | None = None) -> None:
        reasoning = 0
        if token is not None:
            reasoning, self._unsaid_reasoning = self._unsaid_reasoning, 0
        self.tape.add(
            self._chunk([self._choice(index, delta, None)]),
            content=token is not None,
            output=0 if token is None else count_tokens(token),
            reasoning=reasoning,
        )

    def _choice(self, index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        logprobs = None
        if self._call.body.get("logprobs") is True and delta.get("content"):
            logprobs = logprobs_of(delta["content"])
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        body: dict[str, Any] = {
            "id": f"chatcmpl-{self._call.mint[:29]}",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._call.model_id,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
            "choices": choices,
        }
        if self._includes_usage:
            body["usage"] = usage
        return b"data: " + msgspec.json.encode(body) + b"\n\n"
