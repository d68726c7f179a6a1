"""A balance that ends in the middle of a stream, seen by the vendors' own SDKs: the answer ends as at its limit."""

import time
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import msgspec
import openai
import pytest
from anyio.from_thread import BlockingPortal
from google import genai
from google.genai import types

from aibridge_common.contracts.billing import Balance, UsagePage
from aibridge_devstack.record import DevRecord
from aibridge_sandbox.script import directive
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.outside import Outside

SONNET, GPT, FLASH = "claude-3-5-sonnet-20241022", "gpt-4o", "gemini-2.0-flash-exp"
TOKENS = 2500
"""Output tokens that the balance covers, input aside."""
RATES = {SONNET: 6.0, GPT: 4.0, FLASH: 0.16}
LONG = directive(tokens=7000, delay_ms=0.3)

Ask = Callable[[str, str, str], tuple[str, str, int]]
"""Address, key and model to text, why it ended, and the output tokens it was told."""


def by_chat(address: str, key: str, model: str) -> tuple[str, str, int]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as sdk:
        chunks = list(
            sdk.chat.completions.create(
                model=model,
                max_tokens=8000,
                messages=[{"role": "user", "content": LONG}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    usage = chunks[-1].usage
    assert usage is not None
    text = "".join(choice.delta.content or "" for choice in choices)
    return text, str(choices[-1].finish_reason), usage.completion_tokens


def by_responses(address: str, key: str, model: str) -> tuple[str, str, int]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as sdk:
        events = list(
            sdk.responses.create(model=model, max_output_tokens=8000, input=LONG, stream=True)
        )
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.usage is not None
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert last.response.output_text == told
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return told, str(last.response.incomplete_details.reason), last.response.usage.output_tokens


def by_messages(address: str, key: str, model: str) -> tuple[str, str, int]:
    with (
        anthropic.Anthropic(base_url=address, api_key=key, max_retries=0) as sdk,
        sdk.messages.stream(
            model=model, max_tokens=8000, messages=[{"role": "user", "content": LONG}]
        ) as stream,
    ):
        message = stream.get_final_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, str(message.stop_reason), message.usage.output_tokens


def by_gemini(address: str, key: str, model: str) -> tuple[str, str, int]:
    options = types.HttpOptions(base_url=address)
    with genai.Client(api_key=key, http_options=options) as sdk:
        chunks = list(sdk.models.generate_content_stream(model=model, contents=LONG))
    last = chunks[-1]
    assert last.candidates
    assert last.candidates[0].finish_reason is not None
    assert last.usage_metadata is not None
    text = "".join(chunk.text or "" for chunk in chunks)
    reason = last.candidates[0].finish_reason.value
    return text, str(reason), last.usage_metadata.candidates_token_count or 0


WAYS: list[tuple[Ask, str, str]] = [
    (by_chat, GPT, "length"),
    (by_chat, SONNET, "length"),
    (by_responses, GPT, "max_output_tokens"),
    (by_responses, SONNET, "max_output_tokens"),
    (by_messages, SONNET, "max_tokens"),
    (by_messages, GPT, "max_tokens"),
    (by_gemini, FLASH, "MAX_TOKENS"),
    (by_gemini, SONNET, "MAX_TOKENS"),
]


@pytest.mark.parametrize(
    ("ask", "model", "reason"), WAYS, ids=[f"{ask.__name__} {model}" for ask, model, _ in WAYS]
)
def test_it_ends_as_at_its_limit_and_charges_what_was_given(
    ask: Ask, model: str, reason: str, stack: DevRecord, outside: Outside, portal: BlockingPortal
) -> None:
    bought = int(TOKENS * RATES[model]) + 200
    customer: Customer = portal.call(open_account, stack, bought)

    text, ended, told_tokens = ask(stack.base_url, customer.key, model)
    row = charged(outside, customer.key)

    assert ended == reason
    assert len(text) > TOKENS
    assert (row["outcome"], row["usage_source"]) == ("hold_spent", "estimated")
    assert row["usage"]["output"] == told_tokens
    assert TOKENS // 2 < told_tokens < bought / RATES[model]
    balance = ask_for(outside, customer.key, "/v1/balance", Balance)
    left = bought * 1_000_000 - int(row["charge_microtokens"])
    assert (balance.posted_microtokens, balance.debt_microtokens) == (str(left), "0")


def charged(outside: Outside, key: str) -> Any:
    """The one charge of a customer, waiting for it."""
    give_up_s = time.monotonic() + 10
    while time.monotonic() < give_up_s:
        if rows := ask_for(outside, key, "/v1/usage", UsagePage).rows:
            (row,) = rows
            return msgspec.to_builtins(row)
        time.sleep(0.05)
    raise AssertionError("nothing was charged")


def ask_for(outside: Outside, key: str, path: str, kind: type[Any]) -> Any:
    answer: httpx.Response = outside.http.get(path, headers={"authorization": f"Bearer {key}"})
    return msgspec.json.decode(answer.content, type=kind)


def test_without_stream_the_limit_is_what_the_balance_covers(
    stack: DevRecord, portal: BlockingPortal
) -> None:
    customer: Customer = portal.call(open_account, stack, int(TOKENS * RATES[GPT]))
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=customer.key, max_retries=0) as sdk:
        answer = sdk.chat.completions.with_raw_response.create(
            model=GPT,
            max_tokens=8000,
            messages=[{"role": "user", "content": directive(tokens=7000)}],
        )
        completion = answer.parse()
    limit = int(answer.headers["x-aibridge-output-limit"])

    assert TOKENS // 2 < limit < TOKENS
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == limit
