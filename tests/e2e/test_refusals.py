"""What is refused, in each caller's own words, with nothing charged and nothing lost."""

import time
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from aibridge_common.clients.auth import AuthClient
from aibridge_common.settings import Secret
from aibridge_devstack.record import DevRecord
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.outside import Outside

CHAT = "/v1/chat/completions"
NATIVE = "/v1/openai/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.0-flash-exp:generateContent"
PATHS = [CHAT, NATIVE, RESPONSES, MESSAGES, GEMINI]

GOOD: dict[str, dict[str, Any]] = {
    CHAT: {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
    NATIVE: {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
    RESPONSES: {"model": "gpt-4o", "input": "hi"},
    MESSAGES: {
        "model": "claude-3-5-haiku-20241022",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hi"}],
    },
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def kind_of(path: str, answer: httpx.Response) -> str:
    """The error's kind in the words of the path's dialect; fails where the envelope is not that dialect's."""
    document = answer.json()
    error = document["error"]
    if path == MESSAGES:
        assert document["type"] == "error"
        return error["type"]
    if path == GEMINI:
        assert answer.status_code == error["code"]
        return error["status"]
    assert {"message", "type", "param", "code"} == set(error)
    return error["code"] or error["type"]


@pytest.mark.parametrize("path", PATHS)
class TestEveryDialect:
    def test_no_key(self, path: str, outside: Outside) -> None:
        answer = outside.http.post(path, json=GOOD[path])

        assert answer.status_code == 401
        assert answer.headers["x-should-retry"] == "false"
        assert kind_of(path, answer) in {
            "invalid_api_key",
            "authentication_error",
            "UNAUTHENTICATED",
        }

    def test_no_balance(self, path: str, outside: Outside, poor_customer: Customer) -> None:
        answer = outside.http.post(path, json=GOOD[path], headers={"x-api-key": poor_customer.key})

        expected = {
            MESSAGES: (402, "billing_error"),
            GEMINI: (402, "RESOURCE_EXHAUSTED"),
        }.get(path, (429, "insufficient_quota"))
        assert expected == (answer.status_code, kind_of(path, answer))
        assert answer.headers["x-should-retry"] == "false"

    def test_malformed_json(self, path: str, outside: Outside) -> None:
        answer = outside.http.post(
            path,
            content=b'{"model": "gpt-4o", ',
            headers=outside.bearer | {"content-type": "application/json"},
        )

        assert answer.status_code == 400
        assert kind_of(path, answer) == "INVALID_ARGUMENT" or "invalid" in kind_of(path, answer)

    def test_a_body_that_is_nested_too_deep(self, path: str, outside: Outside) -> None:
        answer = outside.http.post(
            path,
            content=b'{"model": "gpt-4o", "x": ' + b"[" * 200_000,
            headers=outside.bearer | {"content-type": "application/json"},
        )

        assert answer.status_code == 400
        assert "nests" in answer.json()["error"]["message"]

    def test_a_body_of_33_mib(self, path: str, outside: Outside) -> None:
        answer = outside.http.post(
            path,
            content=b'{"model": "gpt-4o", "x": "' + b"x" * (33 * 2**20) + b'"}',
            headers=outside.bearer | {"content-type": "application/json"},
        )

        assert answer.status_code == 413
        assert "32 MiB" in answer.json()["error"]["message"]

    def test_a_body_that_is_not_json(self, path: str, outside: Outside) -> None:
        answer = outside.http.post(path, data={"model": "gpt-4o"}, headers=outside.bearer)

        assert answer.status_code == 415
        assert "content-type" in answer.json()["error"]["message"]

    def test_an_unknown_model(self, path: str, outside: Outside) -> None:
        if path == GEMINI:
            answer = outside.post("/v1beta/models/no-such:generateContent", GOOD[path])
        else:
            answer = outside.post(path, GOOD[path] | {"model": "no-such"})

        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "model: no-such"

    def test_a_wrong_method(self, path: str, outside: Outside) -> None:
        assert outside.http.put(path, headers=outside.bearer).status_code == 405

    def test_the_vendors_own_refusal_comes_back_in_its_own_words(
        self, path: str, outside: Outside
    ) -> None:
        answer = outside.post(path, GOOD[path] | {"no_such_field": 1})

        assert answer.status_code == 400
        assert "no_such_field" in answer.json()["error"]["message"]
        assert outside.never_settled(answer.headers["x-aibridge-request-id"])


class TestFieldsThatAreWrong:
    @pytest.mark.parametrize(
        ("path", "field", "value"),
        [
            (CHAT, "model", 7),
            (CHAT, "stream", "yes"),
            (CHAT, "n", 0),
            (CHAT, "max_tokens", -1),
            (RESPONSES, "max_output_tokens", "many"),
            (RESPONSES, "background", True),
            (NATIVE, "model", "claude-3-5-sonnet-20241022"),
        ],
    )
    def test_are_named(self, path: str, field: str, value: object, outside: Outside) -> None:
        answer = outside.post(path, GOOD[path] | {field: value})

        assert answer.status_code == 400
        assert field == answer.json()["error"]["param"]

    def test_a_missing_model_is_named(self, outside: Outside) -> None:
        answer = outside.post(CHAT, {"messages": []})

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")

    def test_a_model_given_twice_is_refused(self, outside: Outside) -> None:
        answer = outside.http.post(
            CHAT,
            content=b'{"model":"gpt-4o-mini","messages":[],"model":"gpt-4o"}',
            headers=outside.bearer | {"content-type": "application/json"},
        )

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


def test_a_websocket_is_told_to_use_http(outside: Outside) -> None:
    answer = outside.http.get(
        "/v1/openai/responses",
        headers=outside.bearer | {"connection": "Upgrade", "upgrade": "websocket"},
    )

    assert answer.status_code == 426


def test_what_cannot_be_metered_is_not_served(outside: Outside) -> None:
    answer = outside.post("/v1/openai/images/generations", {"model": "gpt-4o", "prompt": "x"})

    assert answer.status_code == 404
    assert "metered" in answer.json()["error"]["message"]


class TestARevokedKey:
    def test_is_refused_within_a_second(
        self, stack: DevRecord, outside: Outside, portal: BlockingPortal
    ) -> None:
        customer = portal.call(open_account, stack, 1_000_000)
        header = {"x-api-key": customer.key}
        assert outside.http.post(CHAT, json=GOOD[CHAT], headers=header).status_code == 200

        async def revoke() -> None:
            async with AuthClient(stack.auth_url, Secret(stack.service_token)) as auth:
                await auth.revoke_key(customer.key_id)

        portal.call(revoke)
        time.sleep(1.0)
        answer = outside.http.post(CHAT, json=GOOD[CHAT], headers=header)

        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert "revoked" in answer.json()["error"]["message"]


def test_the_last_tokens_are_spent_and_never_more(
    stack: DevRecord, outside: Outside, portal: BlockingPortal
) -> None:
    customer = portal.call(open_account, stack, 500)
    header = {"x-api-key": customer.key}
    body = GOOD[CHAT] | {"max_tokens": 20}
    statuses = [outside.http.post(CHAT, json=body, headers=header).status_code for _ in range(12)]

    assert statuses[0] == 200
    assert statuses[-1] == 429
    balance = outside.http.get("/v1/balance", headers=header).json()
    assert balance["debt_microtokens"] == "0"
