"""A customer brings an own Anthropic key: it is tried first, costs no tokens, is counted, and is never read again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import msgspec
import pytest
from anyio.from_thread import BlockingPortal

from aibridge_common.contracts.billing import OwnKeyUsage, UsagePage
from aibridge_common.contracts.router import OwnKeyShown
from aibridge_devstack.record import DevRecord
from aibridge_sandbox.script import directive
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.inside import service
from tests.fixtures.outside import Outside

SONNET, GPT = "claude-3-5-sonnet-20241022", "gpt-4o"
MINE = "sk-ant-the-customers-own-canary-1"
IN_FORCE_WITHIN_S = 2.0
TOKENS = 1_000_000


@pytest.fixture
def customer(stack: DevRecord, portal: BlockingPortal) -> Customer:
    return portal.call(open_account, stack, TOKENS)


@pytest.fixture
def router(stack: DevRecord) -> Iterator[httpx.Client]:
    """The router's API as the console calls it."""
    with service(stack.router_url, stack.service_token) as client:
        yield client


def keys_of(customer: Customer) -> str:
    return f"/v1/accounts/{customer.account_id}/own-keys"


def bring(router: httpx.Client, customer: Customer, key: str = MINE, **more: Any) -> OwnKeyShown:
    answer = router.post(keys_of(customer), json={"provider": "anthropic", "key": key} | more)
    assert answer.status_code == 201, answer.text
    return msgspec.json.decode(answer.content, type=OwnKeyShown)


def ask(stack: DevRecord, customer: Customer, model: str = SONNET, text: str = "hi") -> Any:
    """With the vendor's own SDK: the message and the headers."""
    with anthropic.Anthropic(base_url=stack.base_url, api_key=customer.key, max_retries=0) as sdk:
        raw = sdk.messages.with_raw_response.create(
            model=model, max_tokens=50, messages=[{"role": "user", "content": text}]
        )
    return raw.parse(), raw.headers


def whose_key(stack: DevRecord, customer: Customer) -> str:
    _, headers = ask(stack, customer)
    return str(headers["x-aibridge-key"])


def refusal(
    stack: DevRecord, customer: Customer, model: str = SONNET
) -> anthropic.APIStatusError | None:
    try:
        ask(stack, customer, model)
    except anthropic.APIStatusError as error:
        return error
    return None


def within(seconds: float, happens: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < give_up_s, f"not within {seconds:g} s"
        time.sleep(0.05)


def charged(outside: Outside, customer: Customer) -> set[str]:
    answer = outside.http.get("/v1/usage", headers={"authorization": f"Bearer {customer.key}"})
    rows = msgspec.json.decode(answer.content, type=UsagePage).rows
    return {row.request_id for row in rows}


def counted(stack: DevRecord, customer: Customer) -> list[OwnKeyUsage]:
    with service(stack.billing_url, stack.service_token) as billing:
        answer = billing.get("/v1/own-usage", params={"account_id": str(customer.account_id)})
    return msgspec.json.decode(answer.content, type=list[OwnKeyUsage])


def counted_requests(stack: DevRecord, customer: Customer) -> int:
    return sum(day.requests for day in counted(stack, customer))


def test_it_is_tried_first_costs_no_tokens_and_is_counted(
    stack: DevRecord, router: httpx.Client, outside: Outside, customer: Customer
) -> None:
    assert whose_key(stack, customer) == "platform"

    shown = bring(router, customer)
    within(IN_FORCE_WITHIN_S, lambda: whose_key(stack, customer) == "own")
    before = counted_requests(stack, customer)
    message, headers = ask(stack, customer)
    own_id = headers["x-aibridge-request-id"]
    within(10, lambda: counted_requests(stack, customer) > before)
    assert router.delete(f"{keys_of(customer)}/{shown.id}").status_code == 204
    within(IN_FORCE_WITHIN_S, lambda: whose_key(stack, customer) == "platform")
    _, later = ask(stack, customer)
    within(10, lambda: later["x-aibridge-request-id"] in charged(outside, customer))

    assert headers["x-aibridge-key"] == "own"
    [entry] = outside.truth(own_id)
    assert ["x-api-key", MINE] in entry["headers"]
    assert customer.key not in str(entry["headers"])
    assert own_id not in charged(outside, customer)
    [day] = counted(stack, customer)
    assert (day.provider, day.model) == ("anthropic", SONNET)
    assert int(day.output_tokens) >= message.usage.output_tokens


def test_a_call_that_is_sent_again_brings_one_key(router: httpx.Client, customer: Customer) -> None:
    again = {"idempotency-key": "bring-1-" + customer.key[-8:]}
    body = {"provider": "anthropic", "key": MINE}
    first, second = (
        router.post(keys_of(customer), json=body, headers=again).json() for _ in range(2)
    )

    assert first == second
    assert [key["id"] for key in router.get(keys_of(customer)).json()] == [first["id"]]
    other = router.post(keys_of(customer), json=body | {"priority": 2}, headers=again)
    assert (other.status_code, other.json()["param"]) == (409, "Idempotency-Key")


def test_streamed_it_is_the_same(
    stack: DevRecord, router: httpx.Client, customer: Customer
) -> None:
    bring(router, customer)
    within(IN_FORCE_WITHIN_S, lambda: whose_key(stack, customer) == "own")

    with (
        anthropic.Anthropic(base_url=stack.base_url, api_key=customer.key, max_retries=0) as sdk,
        sdk.messages.stream(
            model=SONNET,
            max_tokens=100,
            messages=[{"role": "user", "content": directive(tokens=40)}],
        ) as stream,
    ):
        used = stream.get_final_message().usage
        assert stream.response.headers["x-aibridge-key"] == "own"

    within(
        10,  # nothing at all is counted at first
        lambda: any(
            int(row.output_tokens) >= used.output_tokens for row in counted(stack, customer)
        ),
    )


def test_without_any_tokens_it_still_serves_its_models_and_no_other(
    stack: DevRecord, router: httpx.Client, poor_customer: Customer
) -> None:
    bring(router, poor_customer)

    within(IN_FORCE_WITHIN_S, lambda: refusal(stack, poor_customer) is None)
    refused = refusal(stack, poor_customer, GPT)

    assert whose_key(stack, poor_customer) == "own"
    assert refused is not None
    assert refused.status_code == 402


class TestWhenItFails:
    @pytest.fixture(autouse=True)
    def refused_by_its_provider(self, outside: Outside) -> Iterator[None]:
        """From the second time on: the first is the one that asks whether it is good."""
        script = {"vendor": "anthropic", "key": MINE, "endpoint": "messages", "status": 401}
        [rule] = outside.sandbox.post("/_sandbox/faults", json=script).raise_for_status().json()
        yield
        outside.sandbox.delete("/_sandbox/faults", params={"rule_id": rule["id"]})

    def test_the_request_goes_on_with_tokens(
        self, stack: DevRecord, router: httpx.Client, outside: Outside, customer: Customer
    ) -> None:
        bring(router, customer)

        def tried_both() -> bool:
            _, headers = ask(stack, customer)
            assert headers["x-aibridge-key"] == "platform"
            return len(outside.truth(headers["x-aibridge-request-id"])) == 2

        within(IN_FORCE_WITHIN_S, tried_both)

    def test_or_stops_and_says_whose_key_it_was(
        self, stack: DevRecord, router: httpx.Client, customer: Customer
    ) -> None:
        shown = bring(router, customer, on_failure="stop")

        within(IN_FORCE_WITHIN_S, lambda: refusal(stack, customer) is not None)
        refused = refusal(stack, customer)
        assert refused is not None
        assert refused.status_code == 502
        assert "your own key" in str(refused)
        changed = router.put(
            f"{keys_of(customer)}/{shown.id}", json={"priority": 1, "on_failure": "go_on"}
        )
        assert changed.status_code == 200, changed.text
        within(IN_FORCE_WITHIN_S, lambda: refusal(stack, customer) is None)


class TestTheApi:
    def test_a_key_that_its_provider_refuses_is_not_kept(
        self, router: httpx.Client, customer: Customer
    ) -> None:
        answer = router.post(
            keys_of(customer), json={"provider": "anthropic", "key": "sk-ant-bad-key"}
        )

        assert (answer.status_code, answer.json()["code"]) == (422, "key_refused")
        assert answer.json()["param"] == "key"
        assert router.get(keys_of(customer)).json() == []

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"provider": "openai", "key": MINE}, "provider"),
            ({"provider": "nobody", "key": MINE}, "provider"),
            ({"provider": "anthropic", "key": "short"}, "key"),
            ({"provider": "anthropic", "key": "sk-ant-with\nanother: header"}, "key"),
            ({"provider": "anthropic", "key": MINE, "priority": 0}, "priority"),
            ({"provider": "anthropic", "key": MINE, "on_failure": "explode"}, "on_failure"),
            ({"provider": "anthropic", "key": MINE, "account_id": "x"}, "account_id"),
        ],
    )
    def test_bad_input_names_its_field(
        self, router: httpx.Client, customer: Customer, body: dict[str, Any], param: str
    ) -> None:
        answer = router.post(keys_of(customer), json=body)

        assert answer.status_code == 400
        assert answer.json()["param"] == param
        assert router.get(keys_of(customer)).json() == []

    def test_another_accounts_key_is_not_there(
        self, router: httpx.Client, customer: Customer, poor_customer: Customer
    ) -> None:
        mine = bring(router, customer)
        at = f"{keys_of(poor_customer)}/{mine.id}"

        assert router.get(keys_of(poor_customer)).json() == []
        assert router.delete(at).status_code == 404
        change = {"priority": 2, "on_failure": "stop"}
        assert router.put(at, json=change).status_code == 404
        [still] = router.get(keys_of(customer)).json()
        assert (still["priority"], still["on_failure"]) == (1, "go_on")

    def test_they_are_listed_in_the_order_in_which_they_are_tried(
        self, router: httpx.Client, customer: Customer
    ) -> None:
        bring(router, customer, MINE + "-b", priority=2, name="second")
        bring(router, customer, MINE + "-a", priority=1, name="first")

        shown = router.get(keys_of(customer)).json()

        assert [key["name"] for key in shown] == ["first", "second"]
        assert [key["hint"] for key in shown] == ["…-1-a", "…-1-b"]

    def test_an_account_has_ten_at_most(self, router: httpx.Client, customer: Customer) -> None:
        for number in range(10):
            bring(router, customer, f"{MINE}-{number}")

        answer = router.post(
            keys_of(customer), json={"provider": "anthropic", "key": f"{MINE}-one-more"}
        )

        assert answer.status_code == 409

    def test_nobody_can_read_it_again(
        self, stack_folder: Path, router: httpx.Client, customer: Customer
    ) -> None:
        shown = bring(router, customer, "sk-ant-canary-to-be-kept-7f3a")
        at = f"{keys_of(customer)}/{shown.id}"
        said = [
            router.get(keys_of(customer)).text,
            router.put(at, json={"priority": 5, "on_failure": "stop"}).text,
            router.get("/v1/admin/audit").text,
            router.delete(at).text,
        ]
        log = (stack_folder / "log").read_text(errors="replace")

        assert "own_key.add" in said[2]
        for place in (*said, log):
            assert "canary-to-be-kept" not in place
