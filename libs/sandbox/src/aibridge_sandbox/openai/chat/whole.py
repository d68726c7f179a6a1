from typing import Any

import msgspec

from aibridge_sandbox.call import Call
from aibridge_sandbox.clock import unix_s
from aibridge_sandbox.openai.chat.answers import (
    call_id,
    finish_reason,
    logprobs_of,
    refusal_text,
    tool_call,
)
from aibridge_sandbox.openai.envelope import openai_headers
from aibridge_sandbox.openai.usage import chat_usage
from aibridge_sandbox.reply.answer import Answer
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.world.usage import Usage


def write_whole(call: Call, answer: Answer, prompt: Usage, choices: int) -> Reply:
    """The answer as one object; all choices say the same."""
    truth = msgspec.structs.replace(
        prompt,
        output=answer.output_tokens * choices,
        reasoning=answer.reasoning_tokens * choices,
    )
    report = reports_of(truth, call.script.usage)[-1]
    body: dict[str, Any] = {
        "id": f"chatcmpl-{call.mint[:29]}",
        "object": "chat.completion",
        "created": unix_s(),
        "model": call.model_id,
        "choices": [_choice(call, answer, index) for index in range(choices)],
        **({} if report is None else {"usage": chat_usage(report)}),
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }
    return whole(
        msgspec.json.encode(body),
        prompt=prompt,
        output=truth.output,
        reasoning=truth.reasoning,
        reports=report is not None,
        headers=openai_headers(call.mint),
    )


def _choice(call: Call, answer: Answer, index: int) -> dict[str, Any]:
    refusal = refusal_text(answer)
    calls = [
        tool_call(invoke, call_id(call.mint, index, number))
        for number, invoke in enumerate(answer.calls)
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refusal is not None or (calls and not answer.text) else answer.text,
        "refusal": refusal,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    logprobs = logprobs_of(answer.text) if call.body.get("logprobs") is True else None
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": finish_reason(answer),
    }
