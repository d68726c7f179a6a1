"""generateContent, whole and streamed."""

from typing import Any

import msgspec

from aibridge_sandbox.call import Call
from aibridge_sandbox.google.candidate import Parts, finish_reason, usage_metadata
from aibridge_sandbox.google.envelope import status_word
from aibridge_sandbox.reply.answer import Answer, Thought
from aibridge_sandbox.reply.frame import Reply, Tape, whole
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.script import StreamError
from aibridge_sandbox.world.usage import Usage


def _chunk(
    call: Call, parts: list[dict[str, Any]], usage: Usage | None, finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    body: dict[str, Any] = {"candidates": [candidate]}
    if usage is not None:
        body["usageMetadata"] = usage_metadata(usage)
    return {**body, "modelVersion": call.model_id, "responseId": call.mint[:22]}


def write_whole(call: Call, answer: Answer, prompt: Usage) -> Reply:
    """The answer of generateContent."""
    truth = msgspec.structs.replace(
        prompt, output=answer.output_tokens, reasoning=answer.reasoning_tokens
    )
    report = reports_of(truth, call.script.usage)[-1]
    maker = Parts(call, answer)
    found = [part for part in map(maker.whole, answer.blocks) if part is not None]
    signature = maker.closing_signature()
    if signature is not None and found:
        found[-1] = {**found[-1], "thoughtSignature": signature}
    body = _chunk(call, found, report, finish_reason(answer))
    return whole(
        msgspec.json.encode(body),
        prompt=prompt,
        output=truth.output,
        reasoning=truth.reasoning,
        reports=report is not None,
    )


def write_stream(call: Call, answer: Answer, prompt: Usage) -> Reply:
    """SSE with `?alt=sse`; without, one JSON array that arrives piece by piece."""
    is_sse = call.request.query.get("alt") == "sse"
    stream = _Stream(call, answer, prompt, is_sse=is_sse)
    stream.write()

    def fail(sent: int, error: StreamError) -> bytes:
        code = int(error.code) if error.code and error.code.isdigit() else 503
        body = {
            "code": code,
            "message": error.message,
            "status": error.type or status_word(code),
        }
        data = stream.framed({"error": body}, first=sent == 0)
        return data if is_sse else data + b"]"

    return Reply(
        status=200,
        content_type="text/event-stream" if is_sse else "application/json; charset=UTF-8",
        frames=tuple(stream.tape.frames),
        prompt=prompt,
        stream=True,
        fail=fail,
        newline=b"\r\n",
    )


class _Stream:
    def __init__(self, call: Call, answer: Answer, prompt: Usage, *, is_sse: bool) -> None:
        self.tape = Tape()
        self._call = call
        self._answer = answer
        self._prompt = prompt
        self._is_sse = is_sse

    def framed(self, body: dict[str, Any], *, first: bool) -> bytes:
        data = msgspec.json.encode(body)
        if self._is_sse:
            return b"data: " + data + b"\r\n\r\n"
        return (b"[" if first else b",\r\n") + data

    def write(self) -> None:
        *before, (part, output, reasoning) = self._pieces()
        for earlier, tokens, thought in before:
            self._add(earlier, output=tokens, reasoning=thought)
        self._write_end(part, reasoning, content=output + reasoning > 0)
        if not self._is_sse:
            self.tape.add(b"]", terminal=True)

    def _pieces(self) -> list[tuple[dict[str, Any], int, int]]:
        """Every part with its output and reasoning tokens; never empty.

        Thoughts nobody is shown are billed with the part that follows them.
        """
        maker = Parts(self._call, self._answer)
        found: list[tuple[dict[str, Any], int, int]] = []
        hidden = 0
        for block in self._answer.blocks:
            for part, tokens in maker.pieces(block):
                if part is None:
                    hidden += tokens
                elif isinstance(block, Thought):
                    found.append((part, 0, tokens))
                else:
                    found.append((part, tokens, hidden))
                    hidden = 0
        if hidden or not found:
            found.append(({"text": ""}, 0, hidden))
        signature = maker.closing_signature()
        if signature is not None:
            part, output, reasoning = found[-1]
            found[-1] = ({**part, "thoughtSignature": signature}, output, reasoning)
        return found

    def _write_end(self, part: dict[str, Any], reasoning: int, *, content: bool) -> None:
        """The last part and why it is the last; more reports follow with empty parts."""
        output = self._answer.output_tokens - self.tape.output
        truth = msgspec.structs.replace(
            self._prompt,
            output=self._answer.output_tokens,
            reasoning=self._answer.reasoning_tokens,
        )
        for report in reports_of(truth, self._call.script.usage):
            body = _chunk(self._call, [part], report, finish_reason(self._answer))
            self.tape.add(
                self.framed(body, first=not self.tape.frames),
                content=content,
                terminal=True,
                reports=report is not None,
                output=output,
                reasoning=reasoning,
            )
            output = reasoning = 0
            part, content = {"text": ""}, False

    def _add(self, part: dict[str, Any], *, output: int = 0, reasoning: int = 0) -> None:
        so_far = msgspec.structs.replace(
            self._prompt,
            output=self.tape.output + output,
            reasoning=self.tape.reasoning + reasoning,
        )
        fault = self._call.script.usage
        report = reports_of(so_far, fault)[0]
        self.tape.add(
            self.framed(_chunk(self._call, [part], report), first=not self.tape.frames),
            content=True,
            reports=report is not None,
            output=output,
            reasoning=reasoning,
        )
