"""POST /chat/completions, for OpenAI itself and for the compatibility endpoints of the others."""

from collections.abc import Callable

from aibridge_sandbox.call import Call, Endpoint
from aibridge_sandbox.openai.chat.checks import check_messages, check_request
from aibridge_sandbox.openai.chat.prompt import read_ask, segments, tail
from aibridge_sandbox.openai.chat.stream import write_stream
from aibridge_sandbox.openai.chat.whole import write_whole
from aibridge_sandbox.reply.author import compose
from aibridge_sandbox.reply.frame import Reply
from aibridge_sandbox.reply.prompt_usage import automatic_usage
from aibridge_sandbox.shape import as_int


def _reply(call: Call) -> Reply:
    answer = compose(read_ask(call), call.script)
    prompt = automatic_usage(call, segments(call.body))
    choices = max(1, as_int(call.body.get("n")) or 1)
    write = write_stream if call.stream else write_whole
    return write(call, answer, prompt, choices)


def _openai(call: Call) -> Reply:
    check_request(call)
    return _reply(call)


CHAT = Endpoint(name="chat", reply=_openai, tail=tail)


def compatible(check: Callable[[Call], None]) -> Endpoint:
    """Another vendor's chat endpoint: its own check of the model, OpenAI's rules for messages."""

    def reply(call: Call) -> Reply:
        check(call)
        if call.strict:
            check_messages(call)
        return _reply(call)

    return Endpoint(name="chat", reply=reply, tail=tail)
