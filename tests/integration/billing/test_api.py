"""Balance, usage and leases as the other services see them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aibridge_billing.leases import sweeper
from aibridge_billing.receipts.chain import read_export, verify
from aibridge_common.bus.nats import Bus
from aibridge_common.contracts.billing import Balance, RequestReceipts
from aibridge_common.ids import public_request_id, uuid7
from tests.fixtures.books import Books, charge, envelope, usage_event
from tests.fixtures.services import http_to, running_billing, until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def http(billing_url: str, clean_stream: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a service token; the sweeper does not wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeper, "EVERY_S", 0.05)
        async with running_billing(billing_url, clean_stream) as url, http_to(url) as client:
            yield client


def is_problem(answer: httpx.Response, status: int, code: str, param: str | None = None) -> bool:
    """A document as RFC 9457 wants it, that says which field was wrong."""
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= document.keys()
    assert document["type"] == f"urn:aibridge:problem:{code}"
    found = (answer.status_code, document["status"], document["code"], document.get("param"))
    assert found == (status, status, code, param)
    return True


class TestBalance:
    async def test_it_shows_what_is_free_in_tokens(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(3_500_000)
        await books.settle(charge(account, 1_000_000))
        await books.lease(account, 250_000)

        answer = await http.get("/v1/balance", params={"account_id": str(account)})

        assert msgspec.json.decode(answer.content, type=Balance) == Balance(
            account_id=account,
            posted_microtokens="2500000",
            reserved_microtokens="250000",
            spendable_microtokens="2250000",
            spent_microtokens="1000000",
            spendable_tokens="2.25",
        )

    async def test_an_amount_beyond_two_to_the_53rd_is_exact(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(10**18 - 1)

        answer = await http.get("/v1/balance", params={"account_id": str(account)})

        assert answer.json()["posted_microtokens"] == "999999999999999999"
        assert answer.json()["spendable_tokens"] == "999999999999.999999"

    async def test_who_never_bought_has_nothing(self, http: httpx.AsyncClient) -> None:
        account = uuid7()

        answer = await http.get("/v1/balance", params={"account_id": str(account)})

        assert msgspec.json.decode(answer.content, type=Balance) == Balance(account_id=account)

    async def test_an_account_must_be_named(self, http: httpx.AsyncClient) -> None:
        none = await http.get("/v1/balance")
        assert is_problem(none, 400, "invalid_request")
        assert "account_id" in none.json()["detail"]
        odd = await http.get("/v1/balance", params={"account_id": "me"})
        assert is_problem(odd, 400, "invalid_request", "account_id")


class TestUsage:
    async def test_pages_follow_each_other_newest_first(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account, other = await books.account(1000), await books.account(1000)
        charges = [charge(account, number) for number in range(7)]
        await books.settle(*charges, charge(other, 1))
        expected = sorted((each.event.event_id for each in charges), reverse=True)

        pages = [page async for page in self.pages(http, account=str(account), limit=3)]

        assert [len(page) for page in pages] == [3, 3, 1]
        found = [row["request_id"] for page in pages for row in page]
        assert found == [public_request_id(event_id) for event_id in expected]

    async def pages(
        self, http: httpx.AsyncClient, *, account: str, limit: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        params = {"account_id": account, "limit": str(limit)}
        while True:
            page = (await http.get("/v1/usage", params=params)).json()
            yield page["rows"]
            if "next" not in page:
                return
            params["cursor"] = page["next"]

    async def test_a_row_says_everything_about_its_exchange(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account, key = await books.account(1000), uuid7()
        one = charge(account, 42, key_id=key, requested_model="gpt-4o")
        await books.settle(one)

        page = (await http.get("/v1/usage", params={"account_id": str(account)})).json()

        assert page == {
            "rows": [
                {
                    "request_id": public_request_id(one.event.event_id),
                    "occurred_at": "2026-01-01T12:00:00Z",
                    "key_id": str(key),
                    "requested_model": "gpt-4o",
                    "model": "unit",
                    "provider": "openai",
                    "usage": {"input": 42},
                    "charge_microtokens": "42",
                    "price_version": 1,
                    "usage_source": "final",
                    "outcome": "completed",
                }
            ]
        }

    @pytest.mark.parametrize("cursor", ["", "req_", "req_xyz", "1", "req_" + "0" * 31, "' OR 1=1"])
    async def test_a_cursor_of_somebody_else_is_refused(
        self, http: httpx.AsyncClient, cursor: str
    ) -> None:
        params = {"account_id": str(uuid7()), "cursor": cursor}

        answer = await http.get("/v1/usage", params=params)

        assert is_problem(answer, 400, "invalid_request", "cursor")

    @pytest.mark.parametrize(
        ("limit", "taken"),
        [("1", True), ("1000", True), ("0", False), ("1001", False), ("-1", False), ("ten", False)],
    )
    async def test_a_page_has_one_to_a_thousand_rows(
        self, http: httpx.AsyncClient, limit: str, taken: bool
    ) -> None:
        params = {"account_id": str(uuid7()), "limit": limit}

        answer = await http.get("/v1/usage", params=params)

        if taken:
            assert answer.json() == {"rows": []}
        else:
            assert is_problem(answer, 400, "invalid_request", "limit")


class TestReceipts:
    async def test_a_request_shows_its_receipt_to_its_own_account_only(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account, other = await books.account(100), await books.account(100)
        one = charge(account, 42)
        await books.settle(one, charge(other, 1))
        path = f"/v1/receipts/{public_request_id(one.event.event_id)}"

        mine = await http.get(path, params={"account_id": str(account)})
        theirs = await http.get(path, params={"account_id": str(other)})
        unknown = await http.get(
            f"/v1/receipts/{public_request_id(uuid7())}", params={"account_id": str(account)}
        )

        found = msgspec.json.decode(mine.content, type=RequestReceipts)
        assert found.charge_microtokens == "42"
        assert [row.event_id for row in found.receipts] == [str(one.event.event_id)]
        assert is_problem(theirs, 404, "not_found", "request_id")
        assert is_problem(unknown, 404, "not_found", "request_id")

    async def test_what_the_api_gives_is_what_can_be_verified(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(1000)
        await books.settle(*(charge(account, number) for number in range(7)))
        params = {"account_id": str(account), "limit": "3"}
        text = ""
        while True:
            page = await http.get("/v1/receipts", params=params)
            text += page.text
            if "next" not in page.json():
                break
            params["cursor"] = page.json()["next"]

        found = verify(read_export(text))

        assert (found.receipts, found.misfit) == (7, None)

    @pytest.mark.parametrize("name", ["x", "req_", "req_" + "g" * 32])
    async def test_what_is_no_request_id_is_refused(
        self, http: httpx.AsyncClient, name: str
    ) -> None:
        answer = await http.get(f"/v1/receipts/{name}", params={"account_id": str(uuid7())})

        assert is_problem(answer, 400, "invalid_request", "request_id")

    @pytest.mark.parametrize("cursor", ["", "-1", "x", "1.5", "٣", "9" * 20])
    async def test_a_cursor_of_somebody_else_is_refused(
        self, http: httpx.AsyncClient, cursor: str
    ) -> None:
        params = {"account_id": str(uuid7()), "cursor": cursor}

        answer = await http.get("/v1/receipts", params=params)

        assert is_problem(answer, 400, "invalid_request", "cursor")


class TestLeases:
    def command(self, account: object, **changes: object) -> dict[str, object]:
        return {
            "lease_id": str(uuid7()),
            "account_id": str(account),
            "holder": "router/1/1",
            "want_microtokens": "60",
            "min_microtokens": "10",
        } | changes

    async def test_the_same_command_again_is_the_same_lease(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(100)
        command = self.command(account)

        answers = [await http.post("/v1/leases", json=command) for _ in range(3)]

        assert {answer.status_code for answer in answers} == {201}
        granted = {"lease_id": command["lease_id"], "granted_microtokens": "50", "ttl_s": 30}
        assert [answer.json() for answer in answers] == [granted] * 3
        assert (await books.state(account)).reserved_microtokens == 50

    async def test_the_same_command_many_times_at_once_is_one_lease(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(100)
        command = self.command(account)

        answers = await asyncio.gather(*(http.post("/v1/leases", json=command) for _ in range(10)))

        assert {answer.json()["granted_microtokens"] for answer in answers} == {"50"}
        assert (await books.state(account)).reserved_microtokens == 50

    async def test_less_is_granted_when_less_is_free(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(25)

        answer = await http.post("/v1/leases", json=self.command(account))

        assert answer.json()["granted_microtokens"] == "12"  # half: another worker may ask too

    async def test_below_the_minimum_nothing_is_granted(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(9)

        answer = await http.post("/v1/leases", json=self.command(account))

        assert is_problem(answer, 402, "insufficient_balance")
        nobody = await http.post("/v1/leases", json=self.command(uuid7()))
        assert is_problem(nobody, 402, "insufficient_balance")

    async def test_it_is_given_back_in_parts(self, books: Books, http: httpx.AsyncClient) -> None:
        account = await books.account(100)
        command = self.command(account)
        await http.post("/v1/leases", json=command)
        path = f"/v1/leases/{command['lease_id']}/release"

        for body, left in (({"keep_microtokens": "20"}, 20), ({}, 0), ({}, 0)):
            answer = await http.post(path, json=body)

            assert (answer.status_code, answer.content) == (204, b"")
            assert (await books.state(account)).reserved_microtokens == left

    async def test_an_unknown_one_is_given_back_without_complaint(
        self, http: httpx.AsyncClient
    ) -> None:
        assert (await http.post(f"/v1/leases/{uuid7()}/release", json={})).status_code == 204

    async def test_one_whose_holder_is_gone_is_swept(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(100)
        await books.lease(account, 60, hard_ttl_s=0)
        kept = await books.lease(account, 30)

        async def swept() -> bool:
            return (await books.state(account)).reserved_microtokens == 30

        await until(swept)
        assert await books.release(kept) == 30
        assert (await http.get("/livez")).status_code == 200

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"lease_id": "1"}, "lease_id"),
            ({"account_id": None}, "account_id"),
            ({"holder": ""}, "holder"),
            ({"holder": "x" * 201}, "holder"),
            ({"want_microtokens": 60}, "want_microtokens"),
            ({"want_microtokens": "-60"}, "want_microtokens"),
            ({"want_microtokens": "6e1"}, "want_microtokens"),
            ({"want_microtokens": "060"}, "want_microtokens"),
            ({"want_microtokens": "9" * 20}, "want_microtokens"),
            ({"min_microtokens": "61"}, "min_microtokens"),
            ({"min_microtokens": "0"}, "min_microtokens"),
        ],
    )
    async def test_a_wrong_field_is_named(
        self, http: httpx.AsyncClient, changes: dict[str, object], param: str
    ) -> None:
        answer = await http.post("/v1/leases", json=self.command(uuid7(), **changes))

        assert is_problem(answer, 400, "invalid_request", param)

    async def test_an_unknown_field_is_refused(self, http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/leases", json=self.command(uuid7(), wnat="60"))

        assert answer.status_code == 400
        assert "wnat" in answer.json()["detail"]

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
    async def test_a_body_that_is_no_command_is_refused(
        self, http: httpx.AsyncClient, body: bytes
    ) -> None:
        headers = {"content-type": "application/json"}

        answer = await http.post("/v1/leases", content=body, headers=headers)

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_the_largest_amount_that_can_be_written_is_just_more_than_there_is(
        self, books: Books, http: httpx.AsyncClient
    ) -> None:
        account = await books.account(100)
        most = "9" * 19

        answer = await http.post("/v1/leases", json=self.command(account, want_microtokens=most))

        assert answer.json()["granted_microtokens"] == "50"
        path = f"/v1/leases/{answer.json()['lease_id']}/release"
        assert (await http.post(path, json={"keep_microtokens": most})).status_code == 204
        assert (await books.state(account)).reserved_microtokens == 50
        none = self.command(account, want_microtokens=most, min_microtokens=most)
        assert is_problem(await http.post("/v1/leases", json=none), 402, "insufficient_balance")


async def test_prices_are_listed_with_all_their_multipliers(http: httpx.AsyncClient) -> None:
    [card] = (await http.get("/v1/rate-cards")).json()

    assert card.pop("valid_from")
    assert card == {
        "model": "unit",
        "version": 1,
        "multipliers": {
            "input": 1,
            "output": 2,
            "cache_read": 3,
            "cache_write_5m": 5,
            "cache_write_1h": 7,
            "reasoning": 11,
        },
    }


class TestMetrics:
    async def read(self, http: httpx.AsyncClient) -> dict[str, float]:
        answer = await http.get("/metrics")
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.text)
        return {each.name: each.value for family in families for each in family.samples}

    async def test_debt_is_seen(self, books: Books, http: httpx.AsyncClient) -> None:
        before = await self.read(http)
        await books.settle(charge(await books.account(10), 25))
        after = await self.read(http)

        assert after["aibridge_billing_debt_microtokens"] == (
            before["aibridge_billing_debt_microtokens"] + 15
        )
        assert after["aibridge_billing_accounts_in_debt"] == (
            before["aibridge_billing_accounts_in_debt"] + 1
        )

    async def test_settling_is_seen(
        self, books: Books, http: httpx.AsyncClient, clean_stream: str
    ) -> None:
        before = await self.read(http)
        event = usage_event(await books.account(100), 10)
        bad = usage_event(uuid7(), 10)
        bus = await Bus.connect(clean_stream, "a test")
        await bus.publish("usage.v1.router-0", envelope(event, event, bad))
        await bus.close()

        async def seen() -> bool:
            after = await self.read(http)
            grew = {name: after[name] - before[name] for name in after}
            return (
                grew["aibridge_billing_usage_applied_total"] == 1
                and grew["aibridge_billing_usage_duplicates_total"] >= 1
                and grew["aibridge_billing_usage_dead_letters_total"] == 1
                and grew["aibridge_billing_dead_letters_unresolved"] == 1
                and 0 <= after["aibridge_billing_usage_lag_seconds"] < 5
            )

        await until(seen)
