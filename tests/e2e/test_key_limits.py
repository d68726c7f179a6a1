"""A key does what it is limited to, within a second of being told, and says how much is left."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anyio.from_thread import BlockingPortal

from aibridge_devstack.record import DevRecord
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.inside import service

SONNET, GPT = "claude-3-5-sonnet-20241022", "gpt-4o"
TOKENS = 1_000_000
HEARD_WITHIN_S = 2.0


@pytest.fixture
def customer(stack: DevRecord, portal: BlockingPortal) -> Customer:
    return portal.call(open_account, stack, TOKENS)


@pytest.fixture
def auth(stack: DevRecord) -> Iterator[httpx.Client]:
    with service(stack.auth_url, stack.service_token) as client:
        yield client


def new_key(auth: httpx.Client, customer: Customer, **limits: Any) -> dict[str, str]:
    answer = auth.post(
        "/v1/keys",
        json={"account_id": str(customer.account_id), "name": "limited", "limits": limits},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def gpt(stack: DevRecord, key: str, model: str = GPT, text: str = "hi") -> Any:
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=key, max_retries=0) as sdk:
        return sdk.chat.completions.with_raw_response.create(
            model=model, max_tokens=50, messages=[{"role": "user", "content": text}]
        )


def claude(stack: DevRecord, key: str) -> Any:
    with anthropic.Anthropic(base_url=stack.base_url, api_key=key, max_retries=0) as sdk:
        return sdk.messages.with_raw_response.create(
            model=SONNET, max_tokens=50, messages=[{"role": "user", "content": "hi"}]
        )


def test_requests_a_minute(stack: DevRecord, auth: httpx.Client, customer: Customer) -> None:
    key = new_key(auth, customer, requests_per_minute=2)["key"]

    first = gpt(stack, key).headers
    assert first["x-ratelimit-limit-requests"] == "2"
    assert first["x-ratelimit-remaining-requests"] == "1"
    assert claude(stack, key).headers["anthropic-ratelimit-requests-remaining"] == "0"
    with pytest.raises(anthropic.RateLimitError, match="2 requests a minute") as refused:
        claude(stack, key)
    headers = refused.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 30
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"


def test_tokens_a_minute(stack: DevRecord, auth: httpx.Client, customer: Customer) -> None:
    key = new_key(auth, customer, tokens_per_minute=5)["key"]
    assert gpt(stack, key).headers["x-ratelimit-limit-tokens"] == "5"

    with pytest.raises(openai.RateLimitError, match="5 tokens a minute"):
        gpt(stack, key)


@pytest.mark.parametrize("period", ["day", "month"])
def test_charged_tokens_of_a_period(
    stack: DevRecord, auth: httpx.Client, customer: Customer, period: str
) -> None:
    key = new_key(auth, customer, **{f"spend_per_{period}_tokens": 1})["key"]
    gpt(stack, key)

    with pytest.raises(openai.RateLimitError, match=f"may in a {period}") as refused:
        gpt(stack, key)
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_only_its_models(stack: DevRecord, auth: httpx.Client, customer: Customer) -> None:
    key = new_key(auth, customer, models=[GPT])["key"]
    assert gpt(stack, key).headers["x-aibridge-model"] == GPT
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=key, max_retries=0) as sdk:
        assert [model.id for model in sdk.models.list()] == [GPT]

    with pytest.raises(anthropic.PermissionDeniedError, match=SONNET):
        claude(stack, key)


def test_no_stand_in_that_it_may_not_use(
    stack: DevRecord, auth: httpx.Client, customer: Customer
) -> None:
    limited = new_key(auth, customer, models=[GPT])["key"]

    assert would_try(stack, customer.key) > {GPT}
    assert would_try(stack, limited) == {GPT}


def would_try(stack: DevRecord, key: str) -> set[str]:
    body = {"model": GPT, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(
        f"{stack.base_url}/v1/route/explain",
        json={"path": "/v1/chat/completions", "body": body},
        headers={"authorization": f"Bearer {key}"},
        trust_env=False,
    )
    return {attempt["model"] for attempt in answer.json()["tries"]}


def test_only_from_its_networks(stack: DevRecord, auth: httpx.Client, customer: Customer) -> None:
    here = new_key(auth, customer, ip_ranges=["127.0.0.0/8", "::1"])["key"]
    elsewhere = new_key(auth, customer, ip_ranges=["203.0.113.0/24"])["key"]
    gpt(stack, here)

    with pytest.raises(openai.PermissionDeniedError, match="may not be used from"):
        gpt(stack, elsewhere)
    answer = httpx.get(
        f"{stack.base_url}/v1/balance",
        headers={"authorization": f"Bearer {elsewhere}", "x-forwarded-for": "203.0.113.7"},
        trust_env=False,
    )
    assert answer.status_code == 403


def test_until_it_expires(stack: DevRecord, auth: httpx.Client, customer: Customer) -> None:
    """Also while the gateway still believes what it heard of the key before."""
    at = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251 - the product has the real clock
    key = new_key(auth, customer, expires_at=at.isoformat())["key"]
    gpt(stack, key)
    time.sleep(2.1)

    with pytest.raises(openai.AuthenticationError, match="has expired"):
        gpt(stack, key)


def test_a_limit_is_in_force_soon_after_it_is_set(
    stack: DevRecord, auth: httpx.Client, customer: Customer
) -> None:
    issued = new_key(auth, customer)
    assert "x-ratelimit-limit-requests" not in gpt(stack, issued["key"]).headers
    auth.put(
        f"/v1/keys/{issued['key_id']}/limits",
        json={"account_id": str(customer.account_id), "limits": {"models": [SONNET]}},
    )
    give_up_s = time.monotonic() + HEARD_WITHIN_S
    while True:
        try:
            gpt(stack, issued["key"])
        except openai.PermissionDeniedError:
            break
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def test_a_rotated_key_and_its_successor_both_work(
    stack: DevRecord, auth: httpx.Client, customer: Customer
) -> None:
    old = new_key(auth, customer, requests_per_minute=50)
    new = auth.post(
        f"/v1/keys/{old['key_id']}/rotate", json={"account_id": str(customer.account_id)}
    ).json()

    for key in (old["key"], new["key"]):
        assert gpt(stack, key).headers["x-ratelimit-limit-requests"] == "50"
