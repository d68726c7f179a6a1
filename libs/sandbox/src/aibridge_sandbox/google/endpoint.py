"""generateContent, streamGenerateContent and countTokens."""

import msgspec

from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.google.answers import write_stream, write_whole
from aibridge_sandbox.google.checks import check_request, known_model
from aibridge_sandbox.google.names import normalised
from aibridge_sandbox.google.prompt import read_ask, segments, tail
from aibridge_sandbox.reply.author import compose
from aibridge_sandbox.reply.frame import Reply, whole
from aibridge_sandbox.reply.prompt_usage import automatic_usage, count_prompt
from aibridge_sandbox.shape import as_dict
from aibridge_sandbox.world.usage import Usage


def _reply(call: Call) -> Reply:
    check_request(call)
    answer = compose(read_ask(call), call.script)
    prompt = automatic_usage(call, segments(normalised(call.body)))
    write = write_stream if call.stream else write_whole
    return write(call, answer, prompt)


def _count(call: Call) -> Reply:
    known_model(call)
    body = normalised(call.body)
    tokens = count_prompt(segments(as_dict(body.get("generateContentRequest")) or body))
    answer = {
        "totalTokens": tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    }
    return whole(msgspec.json.encode(answer), prompt=Usage(), reports=False)


GENERATE = Endpoint(name="generate", reply=_reply, tail=tail)
COUNT_TOKENS = Endpoint(name="count_tokens", reply=_count, tail=tail)
