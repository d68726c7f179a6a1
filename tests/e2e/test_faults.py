"""Vendors that fail in every way, clients that leave: the caller gets an honest end, the ledger an exact charge."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from aibridge_sandbox.script import directive
from tests.fixtures.outside import Outside
from tests.fixtures.trouble import Trouble

MESSAGES = "/v1/messages"


@pytest.fixture
def outside(trouble: Trouble) -> Trouble:
    """The product whose vendors may fail."""
    return trouble


def messages(text: str, **more: object) -> dict[str, object]:
    return {
        "model": "claude-3-5-sonnet-20241022",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": text}],
    } | more


class TestAVendorThatAnswersGarbage:
    @pytest.mark.parametrize(
        ("kind", "stream"),
        [
            ("text", False),
            ("html", False),
            ("truncated", False),
            ("text", True),
            ("html", True),
            ("sse", True),
        ],
    )
    def test_is_a_502_and_costs_nothing(self, kind: str, stream: bool, outside: Outside) -> None:
        answer = outside.chat(directive(garbage=kind), stream=stream)

        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "upstream_failed"
        assert outside.never_settled(answer.headers["x-aibridge-request-id"])

    def test_speaks_to_an_anthropic_client_in_its_own_words(self, outside: Outside) -> None:
        answer = outside.post(MESSAGES, messages(directive(garbage="html")))

        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "api_error")


class TestEveryVendorThatRefusesOurKey:
    @pytest.fixture(autouse=True)
    def forgotten(self, trouble: Trouble) -> Iterator[None]:
        """A refused key is left alone for ten minutes; another router knows nothing of it."""
        yield
        trouble.restart_router()

    def test_is_not_shown_as_the_customers_fault(self, outside: Outside) -> None:
        answer = outside.chat(directive(status=401))

        assert answer.status_code == 502
        assert "sandbox-stand-in-key" not in answer.text


@pytest.mark.parametrize("status", [502, 503, 529, 429])
def test_every_vendor_in_trouble(status: int, outside: Outside) -> None:
    answer = outside.chat(directive(status=status))

    assert answer.status_code == (502 if status == 502 else 503)
    assert status == 502 or int(answer.headers["retry-after"]) >= 1
    assert outside.never_settled(answer.headers["x-aibridge-request-id"])


class TestAStreamThatIsCut:
    def test_ends_with_an_error_event_and_is_charged_for_what_came(self, outside: Outside) -> None:
        answer = outside.post(
            MESSAGES, messages(directive(tokens=100, cut="content:20"), stream=True)
        )

        frames = answer.text.strip().split("\n\n")
        assert frames[-1].startswith("event: error\n")
        assert "message_stop" not in answer.text
        row = outside.settled(answer.headers["x-aibridge-request-id"])
        assert row.outcome == "upstream_cut"
        assert row.usage.input > 0
        assert 10 <= row.usage.output <= 100

    def test_never_says_done_to_a_chat_client(self, outside: Outside) -> None:
        answer = outside.chat(directive(tokens=100, cut="content:5"), stream=True)

        frames = answer.text.strip().split("\n\n")
        assert "error" in json.loads(frames[-1].removeprefix("data: "))
        assert "[DONE]" not in answer.text

    def test_also_when_the_vendor_ends_it_politely(self, outside: Outside) -> None:
        answer = outside.chat(directive(tokens=50, eof="content:5"), stream=True)

        assert "[DONE]" not in answer.text
        assert "error" in answer.text

    def test_of_responses_fails_once_and_keeps_counting(self, outside: Outside) -> None:
        body = {
            "model": "gpt-4o",
            "input": directive(tokens=50, cut="content:5"),
            "stream": True,
        }
        events = [
            json.loads(line.removeprefix("data: "))
            for line in outside.post("/v1/responses", body).text.splitlines()
            if line.startswith("data: ")
        ]

        kinds = [event["type"] for event in events]
        assert (kinds[-1], kinds.count("response.created")) == ("response.failed", 1)
        assert list(range(len(events))) == [event["sequence_number"] for event in events]
        assert events[0]["response"]["id"] == events[-1]["response"]["id"]

    def test_before_anything_came_is_a_plain_error(self, outside: Outside) -> None:
        answer = outside.chat(directive(cut="connect"), stream=True)

        assert answer.status_code == 502


class TestAClientThatLeaves:
    def test_mid_stream_is_charged_what_the_vendor_counted(self, outside: Outside) -> None:
        body = messages(directive(tokens=60, delay_ms=10), stream=True)
        with outside.http.stream("POST", MESSAGES, json=body, headers=outside.bearer) as answer:
            request_id = answer.headers["x-aibridge-request-id"]
            seen = 0
            for line in answer.iter_lines():
                seen += "content_block_delta" in line
                if seen == 5:
                    break

        row = outside.settled(request_id)
        [entry] = outside.truth(request_id)
        assert row.usage_source == "final"
        assert entry["usage"]["output"] == row.usage.output

    def test_a_slow_vendor_is_not_waited_for_longer_than_five_seconds(
        self, outside: Outside
    ) -> None:
        body = messages(directive(tokens=2000, delay_ms=100), stream=True, max_tokens=4000)
        with outside.http.stream("POST", MESSAGES, json=body, headers=outside.bearer) as answer:
            request_id = answer.headers["x-aibridge-request-id"]
            for line in answer.iter_lines():
                if "content_block_delta" in line:
                    break
        left_at = time.monotonic()

        row = outside.settled(request_id)
        assert time.monotonic() - left_at < 9
        assert row.outcome == "client_gone"
        assert row.usage_source in {"partial", "estimated"}
        assert 0 < row.usage.output < 400

    def test_a_whole_answer_is_charged_though_nobody_reads_it(self, outside: Outside) -> None:
        before = len(outside.truth())
        with (
            httpx.Client(base_url=outside.base_url, timeout=0.5, trust_env=False) as impatient,
            pytest.raises(httpx.ReadTimeout),
        ):
            impatient.post(
                MESSAGES, json=messages(directive(first_ms=1500)), headers=outside.bearer
            )

        give_up = time.monotonic() + 10
        while len(outside.truth()) == before and time.monotonic() < give_up:
            time.sleep(0.1)
        assert outside.settled(outside.truth()[-1]["request_id"]).usage_source == "final"


class TestUsageThatCannotBe:
    @pytest.mark.parametrize("fault", ["negative", "huge"])
    def test_is_not_charged(self, fault: str, outside: Outside) -> None:
        answer = outside.chat(directive(usage=fault))

        assert answer.status_code == 200
        assert outside.never_settled(answer.headers["x-aibridge-request-id"])

    def test_that_is_missing_is_estimated_and_says_so(self, outside: Outside) -> None:
        answer = outside.chat(directive(usage="missing"))

        row = outside.settled(answer.headers["x-aibridge-request-id"])
        assert row.usage_source == "estimated"
        assert 0 < row.usage.output < 500

    def test_that_is_zero_is_believed(self, outside: Outside) -> None:
        answer = outside.chat(directive(usage="zero"))

        row = outside.settled(answer.headers["x-aibridge-request-id"])
        assert (row.usage_source, row.charge_microtokens) == ("final", "0")
