"""POST /responses."""

import msgspec

from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.openai.envelope import openai_headers
from aibridge_sandbox.openai.responses.checks import check_request
from aibridge_sandbox.openai.responses.envelope import final_status, response_id, response_object
from aibridge_sandbox.openai.responses.items import output_items
from aibridge_sandbox.openai.responses.prompt import input_items, read_ask, segments, tail
from aibridge_sandbox.openai.responses.stream import write_stream
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.answer import Answer
from aibridge_sandbox.reply.author import compose
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.reply.prompt_usage import automatic_usage
from aibridge_sandbox.reply.reports import reports_of
from aibridge_sandbox.shape import as_str, dicts
from aibridge_sandbox.world.usage import Usage


def _reply(call: Call) -> Reply:
    earlier = as_str(call.body.get("previous_response_id"))
    kept = call.world.turns.find(earlier) if earlier else []
    if kept is None:
        raise Refusal(
            400,
            f"Previous response with id '{earlier}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    items = [*dicts(kept), *input_items(call.body)]
    check_request(call, items)
    answer = compose(read_ask(call), call.script)
    prompt = automatic_usage(call, segments(call.body, items))
    if call.body.get("store") is not False:
        said = [item.wire for item in output_items(call, answer)]
        call.world.turns.keep(response_id(call), [*items, *said])
    if call.stream:
        return write_stream(call, answer, prompt)
    return _write_whole(call, answer, prompt)


def _write_whole(call: Call, answer: Answer, prompt: Usage) -> Reply:
    truth = msgspec.structs.replace(
        prompt, output=answer.output_tokens, reasoning=answer.reasoning_tokens
    )
    report = reports_of(truth, call.script.usage)[-1]
    status, reason = final_status(answer)
    body = response_object(
        call,
        status=status,
        output=[item.wire for item in output_items(call, answer)],
        usage=report,
        reason=reason,
    )
    return whole(
        msgspec.json.encode(body),
        prompt=prompt,
        output=truth.output,
        reasoning=truth.reasoning,
        reports=report is not None,
        headers=openai_headers(call.mint),
    )


RESPONSES = Endpoint(name="responses", reply=_reply, tail=tail)
