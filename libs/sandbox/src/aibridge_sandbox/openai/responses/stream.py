"""The events of a streamed response; `sequence_number` is the frame's own index."""

from typing import Any

import msgspec

from aibridge_sandbox.call import Call
from aibridge_sandbox.openai.envelope import openai_headers
from aibridge_sandbox.openai.responses.envelope import final_status, response_object
from aibridge_sandbox.openai.responses.items import Item, output_items
from aibridge_sandbox.reply.answer import Answer
from aibridge_sandbox.reply.frame import Reply, Tape
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.script import StreamError
from aibridge_sandbox.tokens import count_tokens, split_tokens
from aibridge_sandbox.world.usage import Usage

_DELTAS = {
    "function": ("response.function_call_arguments", "arguments"),
    "custom": ("response.custom_tool_call_input", "input"),
}
_TERMINAL_FAILURES = frozenset({"response.failed", "failed", None})


def write_stream(call: Call, answer: Answer, prompt: Usage) -> Reply:
    """The answer as Responses events."""
    stream = _Stream(call, answer)
    stream.write(prompt)

    def fail(sent: int, error: StreamError) -> bytes:
        return _failure(call, sent, error)

    return Reply(
        status=200,
        content_type="text/event-stream; charset=utf-8",
        frames=tuple(stream.tape.frames),
        prompt=prompt,
        stream=True,
        headers=openai_headers(call.mint),
        fail=fail,
    )


def _event(kind: str, number: int, fields: dict[str, Any]) -> bytes:
    body = {"type": kind, "sequence_number": number, **fields}
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode(body) + b"\n\n"


def _failure(call: Call, sent: int, error: StreamError) -> bytes:
    """`response.failed`, or the bare `error` event if the script's type is `error`."""
    code = error.code or "server_error"
    if error.type not in _TERMINAL_FAILURES:
        return _event("error", sent, {"code": code, "message": error.message, "param": None})
    failed = response_object(
        call,
        status="failed",
        output=[],
        usage=None,
        error={"code": code, "message": error.message},
    )
    return _event("response.failed", sent, {"response": failed})


class _Stream:
    def __init__(self, call: Call, answer: Answer) -> None:
        self.tape = Tape()
        self._call = call
        self._answer = answer
        self._items = output_items(call, answer)
        self._unsaid_reasoning = answer.reasoning_tokens

    def write(self, prompt: Usage) -> None:
        opening = response_object(self._call, status="in_progress", output=[], usage=None)
        self._add("response.created", {"response": opening})
        self._add("response.in_progress", {"response": opening})
        for index, item in enumerate(self._items):
            self._write_item(index, item)
        self._write_end(prompt)

    def _write_end(self, prompt: Usage) -> None:
        output = self._answer.output_tokens
        truth = msgspec.structs.replace(
            prompt, output=output, reasoning=self._answer.reasoning_tokens
        )
        status, reason = final_status(self._answer)
        for report in reports_of(truth, self._call.script.usage):
            final = response_object(
                self._call,
                status=status,
                output=[item.wire for item in self._items],
                usage=report,
                reason=reason,
            )
            self.tape.add(
                _event(f"response.{status}", len(self.tape.frames), {"response": final}),
                terminal=True,
                reports=report is not None,
                output=output - self.tape.output,
                reasoning=self._take_reasoning(),
            )

    def _write_item(self, index: int, item: Item) -> None:
        at = {"output_index": index}
        self._add("response.output_item.added", {**at, "item": _opened(item)})
        match item.kind:
            case "reasoning":
                self._write_summary(index, item)
            case "text" | "refusal":
                self._write_message(index, item)
            case _:
                self._write_arguments(index, item)
        self._add("response.output_item.done", {**at, "item": item.wire})

    def _write_summary(self, index: int, item: Item) -> None:
        if not item.text:
            return
        at = {"item_id": item.wire["id"], "output_index": index, "summary_index": 0}
        empty = {"type": "summary_text", "text": ""}
        self._add("response.reasoning_summary_part.added", {**at, "part": empty})
        for token in split_tokens(item.text):
            self._unsaid_reasoning -= 1
            self._add(
                "response.reasoning_summary_text.delta",
                {**at, "delta": token},
                reasoning=1,
            )
        self._add("response.reasoning_summary_text.done", {**at, "text": item.text})
        part = {"type": "summary_text", "text": item.text}
        self._add("response.reasoning_summary_part.done", {**at, "part": part})

    def _write_message(self, index: int, item: Item) -> None:
        at = {"item_id": item.wire["id"], "output_index": index, "content_index": 0}
        part: dict[str, Any] = item.wire["content"][0]
        field = "text" if item.kind == "text" else "refusal"
        kind = f"response.{'output_text' if item.kind == 'text' else 'refusal'}"
        logprobs: dict[str, Any] = {"logprobs": []} if item.kind == "text" else {}
        self._add("response.content_part.added", {**at, "part": {**part, field: ""}})
        for token in split_tokens(item.text):
            self._add(f"{kind}.delta", {**at, "delta": token, **logprobs}, output=1)
        self._add(f"{kind}.done", {**at, field: item.text, **logprobs})
        self._add("response.content_part.done", {**at, "part": part})

    def _write_arguments(self, index: int, item: Item) -> None:
        kind, field = _DELTAS[item.kind]
        at = {"item_id": item.wire["id"], "output_index": index}
        named = count_tokens(item.wire["name"])
        for token in split_tokens(item.text):
            self._add(f"{kind}.delta", {**at, "delta": token}, output=1 + named)
            named = 0
        self._add(f"{kind}.done", {**at, "name": item.wire["name"], field: item.text})

    def _take_reasoning(self) -> int:
        taken, self._unsaid_reasoning = self._unsaid_reasoning, 0
        return taken

    def _add(
        self, kind: str, fields: dict[str, Any], *, output: int = 0, reasoning: int = 0
    ) -> None:
        """One event; the first visible output also bills the reasoning nobody was shown."""
        self.tape.add(
            _event(kind, len(self.tape.frames), fields),
            content=bool(output or reasoning),
            output=output,
            reasoning=reasoning or (self._take_reasoning() if output else 0),
        )


def _opened(item: Item) -> dict[str, Any]:
    match item.kind:
        case "reasoning":
            return {**item.wire, "summary": []}
        case "text" | "refusal":
            return {**item.wire, "status": "in_progress", "content": []}
        case "custom":
            return {**item.wire, "status": "in_progress", "input": ""}
        case _:
            return {**item.wire, "status": "in_progress", "arguments": ""}
