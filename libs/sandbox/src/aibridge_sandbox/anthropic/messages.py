"""POST /messages and POST /messages/count_tokens."""

from typing import Any

import msgspec

from aibridge_sandbox.anthropic.checks import check_count, check_request
from aibridge_sandbox.anthropic.content import content_blocks, stop_fields
from aibridge_sandbox.anthropic.envelope import anthropic_headers
from aibridge_sandbox.anthropic.prompt import read_ask, segments, tail
from aibridge_sandbox.anthropic.stream import write_stream
from aibridge_sandbox.anthropic.usage import full_usage
from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.reply.answer import Answer
from aibridge_sandbox.reply.author import compose
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.reply.prompt_usage import count_prompt, marked_usage
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.world.usage import Usage


def _reply(call: Call) -> Reply:
    check_request(call)
    answer = compose(read_ask(call), call.script)
    prompt = marked_usage(call, segments(call.body))
    write = write_stream if call.stream else _write_whole
    return write(call, answer, prompt)


def _write_whole(call: Call, answer: Answer, prompt: Usage) -> Reply:
    truth = msgspec.structs.replace(
        prompt, output=answer.output_tokens, reasoning=answer.reasoning_tokens
    )
    report = reports_of(truth, call.script.usage)[-1]
    body: dict[str, Any] = {
        "id": f"msg_01{call.mint[:22]}",
        "type": "message",
        "role": "assistant",
        "model": call.model_id,
        "content": [block.wire for block in content_blocks(call, answer)],
        **stop_fields(answer),
    }
    if report is not None:
        body["usage"] = full_usage(report)
    return whole(
        msgspec.json.encode(body),
        prompt=prompt,
        output=truth.output,
        reasoning=truth.reasoning,
        reports=report is not None,
        headers=anthropic_headers(call.mint),
    )


def _count(call: Call) -> Reply:
    check_count(call)
    body = {"input_tokens": count_prompt(segments(call.body))}
    return whole(
        msgspec.json.encode(body),
        prompt=Usage(),
        reports=False,
        headers=anthropic_headers(call.mint),
    )


MESSAGES = Endpoint(name="messages", reply=_reply, tail=tail)
COUNT_TOKENS = Endpoint(name="count_tokens", reply=_count, tail=tail)
