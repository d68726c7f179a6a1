"""A vendor fails, another answers: rows 18 to 24 of the acceptance table, through the public interface.

The customer gets one whole answer, is told who gave it, and pays for that one alone.
"""

import json
import time
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.fixtures.asking import DIALECTS, VENDORS, ask
from tests.fixtures.trouble import (
    CLAUDE,
    GEMINI,
    GPT,
    IMPATIENT,
    PATIENCE_S,
    Trouble,
    scripted,
)

STANDS_IN = {CLAUDE: GPT, GPT: CLAUDE, GEMINI: CLAUDE, IMPATIENT: GPT}
"""Who is first in the chain of the shipped catalogue."""
OWN = {"chat": GPT, "responses": GPT, "messages": CLAUDE, "gemini": GEMINI}
"""The model whose vendor speaks the dialect, so that its stand-in is a conversion."""
PRICES = {
    GPT: {"input": "1", "cache_read": "0.5", "output": "4", "reasoning": "4"},
    CLAUDE: {"input": "1.2", "cache_read": "0.12", "cache_write_5m": "1.5", "output": "6"},
}
BEFORE_CONTENT: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503},
    "529": {"status": 529},
    "408": {"status": 408},
    "429": {"status": 429},
    "no connection to speak of": {"cut": "connect"},
    "a reset": {"cut": {"at": "connect", "reset": True}},
    "a cut after the head": {"cut": "head"},
    "an error event": {"error": "content"},
    "a page for people": {"garbage": "html"},
    "nothing": {"empty": True},
}
STREAMS_ONLY: dict[str, dict[str, Any]] = {
    "an end before content": {"eof": "content"},
    "a cut before content": {"cut": "content"},
    "events that are none": {"garbage": "sse"},
}
WHOLE_ONLY: dict[str, dict[str, Any]] = {"half a document": {"garbage": "truncated"}}
UNANSWERED = {"no connection to speak of", "a reset"}
FAULTS = [
    *((name, False) for name in WHOLE_ONLY),
    *((name, stream) for name in BEFORE_CONTENT for stream in (False, True)),
    *((name, True) for name in STREAMS_ONLY),
]
TERMINAL = {
    "chat": "[DONE]",
    "responses": "response.completed",
    "messages": "message_stop",
    "gemini": '"STOP"',
}


def said_by(dialect: str, answer: httpx.Response, *, stream: bool) -> str:
    """The text of an answer."""
    if not stream:
        return _TEXTS[dialect](answer.json())
    return "".join(_DELTAS[dialect](event) for event in events_of(answer))


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The payloads of a stream."""
    lines = (line.removeprefix("data: ") for line in answer.text.splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def named_by(dialect: str, answer: httpx.Response, *, stream: bool) -> set[str]:
    """Every model that an answer names in its body."""
    documents = events_of(answer) if stream else [answer.json()]
    key = "modelVersion" if dialect == "gemini" else "model"
    holders = [part for whole in documents for part in (whole, *_inner(whole))]
    return {holder[key] for holder in holders if key in holder}


def _inner(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [document[name] for name in ("message", "response") if name in document]


_TEXTS: dict[str, Any] = {
    "chat": lambda whole: whole["choices"][0]["message"]["content"],
    "responses": lambda whole: whole["output"][0]["content"][0]["text"],
    "messages": lambda whole: whole["content"][0]["text"],
    "gemini": lambda whole: whole["candidates"][0]["content"]["parts"][0]["text"],
}
_DELTAS: dict[str, Any] = {
    "chat": lambda event: (
        (event["choices"][0]["delta"].get("content") or "") if event.get("choices") else ""
    ),
    "responses": lambda event: (
        event["delta"] if event["type"] == "response.output_text.delta" else ""
    ),
    "messages": lambda event: event.get("delta", {}).get("text", ""),
    "gemini": lambda event: "".join(
        part.get("text", "")
        for candidate in event.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
    ),
}


def charge_of(model: str, usage: dict[str, int]) -> str:
    """What a vendor's own count costs at a model's price, in microtokens."""
    price = PRICES[model]
    total = sum(
        (count * Decimal(price[kind]) for kind, count in usage.items() if count), Decimal(0)
    )
    return f"{total * 1_000_000:.0f}"


TRIED = sorted(
    {(DIALECTS[number % len(DIALECTS)], *fault) for number, fault in enumerate(FAULTS)}
    | {(dialect, "503", stream) for dialect in DIALECTS for stream in (False, True)}
)
"""Every fault once, and one of them in every dialect; the unit tests of the exchange try each with each."""


class TestAFaultBeforeTheFirstContent:
    @pytest.mark.parametrize(("dialect", "fault", "stream"), TRIED)
    def test_is_not_seen_by_the_customer(
        self, dialect: str, fault: str, stream: bool, trouble: Trouble
    ) -> None:
        model = OWN[dialect]
        stand_in, vendor = STANDS_IN[model], VENDORS[model]
        script = (BEFORE_CONTENT | STREAMS_ONLY | WHOLE_ONLY)[fault] | {"vendor": vendor}

        answer = trouble.ask(dialect, model, scripted(**script), stream=stream)

        assert answer.status_code == 200, answer.text
        assert "What is the weather?" in said_by(dialect, answer, stream=stream)
        assert named_by(dialect, answer, stream=stream) == {stand_in}
        assert answer.headers["x-aibridge-model"] == stand_in
        assert answer.headers["x-aibridge-provider"] == VENDORS[stand_in]
        request_id = answer.headers["x-aibridge-request-id"]
        calls = trouble.truth(request_id)
        assert [call["vendor"] for call in calls[:-1]] == [vendor] * (len(calls) - 1)
        # A kept connection that ends without a byte may have been stale: the transport asks once more.
        repeats = {0, 1} if fault in UNANSWERED else {0}
        assert len(calls) - int(answer.headers["x-aibridge-attempts"]) in repeats
        assert len(calls) in {2, 3}
        row = trouble.settled(request_id)
        assert (row.requested_model, row.model, row.provider) == (
            model,
            stand_in,
            VENDORS[stand_in],
        )
        assert row.charge_microtokens == charge_of(stand_in, calls[-1]["usage"])
        assert row.usage_source == "final"

    def test_at_two_vendors_leaves_the_third(self, trouble: Trouble) -> None:
        text = scripted(status=503, vendor="anthropic") + scripted(status=529, vendor="openai")

        answer = trouble.ask("messages", CLAUDE, text)

        assert answer.status_code == 200
        assert answer.headers["x-aibridge-model"] == GEMINI
        assert trouble.vendors_of(answer)[-1] == "google"
        assert trouble.settled(answer.headers["x-aibridge-request-id"]).model == GEMINI

    def test_that_passes_is_retried_at_the_same_vendor(self, trouble: Trouble) -> None:
        answer = trouble.ask("messages", CLAUDE, scripted("Once more.", status=503, times=1))

        assert answer.headers["x-aibridge-model"] == CLAUDE
        assert trouble.vendors_of(answer) == ["anthropic", "anthropic"]

    def test_is_charged_once_though_three_calls_were_made(self, trouble: Trouble) -> None:
        answer = trouble.ask("chat", GPT, scripted("Count me.", status=503, vendor="openai"))

        request_id = answer.headers["x-aibridge-request-id"]
        assert len(trouble.truth(request_id)) == 3
        trouble.settled(request_id)
        trouble.settled(trouble.chat("a later one").headers["x-aibridge-request-id"])
        assert [row.request_id for row in trouble.rows()].count(request_id) == 1


class TestOfficialSdks:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the model's age
    def test_anthropic(self, trouble: Trouble) -> None:
        asked: Any = {
            "model": CLAUDE,
            "max_tokens": 100,
            "messages": [
                {"role": "user", "content": scripted("Hello there", status=529, vendor="anthropic")}
            ],
        }

        with anthropic.Anthropic(base_url=trouble.base_url, api_key=trouble.key) as client:
            whole = client.messages.create(**asked)
            with client.messages.stream(**asked) as stream:
                said = "".join(stream.text_stream)
                streamed = stream.get_final_message()

        assert isinstance(whole.content[0], anthropic.types.TextBlock)
        assert "Hello there" in whole.content[0].text
        assert "Hello there" in said
        assert {whole.model, streamed.model} == {GPT}
        assert (whole.stop_reason, streamed.stop_reason) == ("end_turn", "end_turn")

    def test_openai_chat(self, trouble: Trouble) -> None:
        asked: Any = {
            "model": GPT,
            "messages": [
                {"role": "user", "content": scripted("Hello there", status=500, vendor="openai")}
            ],
        }

        with openai.OpenAI(base_url=trouble.base_url + "/v1", api_key=trouble.key) as client:
            raw = client.chat.completions.with_raw_response.create(**asked)
            chunks = list(client.chat.completions.create(**asked, stream=True))

        assert "Hello there" in (raw.parse().choices[0].message.content or "")
        assert raw.headers["x-aibridge-model"] == CLAUDE
        assert "Hello there" in "".join(c.choices[0].delta.content or "" for c in chunks)
        assert {chunk.model for chunk in chunks} == {CLAUDE}
        assert chunks[-1].choices[0].finish_reason == "stop"

    def test_openai_responses(self, trouble: Trouble) -> None:
        asked: Any = {
            "model": GPT,
            "input": scripted("Hello there", cut="connect", vendor="openai"),
        }

        with openai.OpenAI(base_url=trouble.base_url + "/v1", api_key=trouble.key) as client:
            whole = client.responses.create(**asked)
            events = list(client.responses.create(**asked, stream=True))

        assert "Hello there" in whole.output_text
        assert whole.model == CLAUDE
        assert events[-1].type == "response.completed"
        assert events[-1].response.model == CLAUDE

    def test_google(self, trouble: Trouble) -> None:
        client = genai.Client(
            api_key=trouble.key,
            http_options=types.HttpOptions(base_url=trouble.base_url, api_version="v1beta"),
        )
        asked: Any = {
            "model": GEMINI,
            "contents": scripted("Hello there", garbage="html", vendor="google"),
        }

        whole = client.models.generate_content(**asked)
        chunks = list(client.models.generate_content_stream(**asked))

        assert "Hello there" in (whole.text or "")
        assert whole.model_version == CLAUDE
        assert "Hello there" in "".join(chunk.text or "" for chunk in chunks)
        assert {chunk.model_version for chunk in chunks} == {CLAUDE}

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_see_one_error_that_is_not_retried_when_the_chain_is_exhausted(
        self, trouble: Trouble
    ) -> None:
        began_s = time.monotonic()

        with (
            anthropic.Anthropic(
                base_url=trouble.base_url, api_key=trouble.key, max_retries=5
            ) as client,
            pytest.raises(anthropic.InternalServerError) as raised,
        ):
            client.messages.create(
                model=CLAUDE,
                max_tokens=10,
                messages=[{"role": "user", "content": scripted(status=503)}],
            )

        assert raised.value.response.headers["x-should-retry"] == "false"
        assert raised.value.status_code == 529
        assert time.monotonic() - began_s < 5
        assert len(trouble.truth(raised.value.response.headers["x-aibridge-request-id"])) <= 5


class TestWhatIsTheRequestsOwnFault:
    @pytest.mark.parametrize("status", [400, 413, 422])
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_comes_back_word_for_word_after_one_call(
        self, dialect: str, status: int, trouble: Trouble
    ) -> None:
        body = {
            "chat": {"error": {"message": "no such thing", "type": "invalid_request_error"}},
            "responses": {"error": {"message": "no such thing", "type": "invalid_request_error"}},
            "messages": {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "no such thing"},
            },
            "gemini": {
                "error": {"code": status, "message": "no such thing", "status": "INVALID_ARGUMENT"}
            },
        }[dialect]
        model = OWN[dialect]

        answer = trouble.ask(dialect, model, scripted(status=status, body=body))

        assert (answer.status_code, answer.json()) == (status, body)
        assert trouble.vendors_of(answer) == [VENDORS[model]]
        assert answer.headers["x-aibridge-attempts"] == "1"
        assert trouble.never_settled(answer.headers["x-aibridge-request-id"])

    def test_is_said_in_the_clients_envelope_where_the_vendor_speaks_another(
        self, trouble: Trouble
    ) -> None:
        body = {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "no such thing"},
        }

        answer = trouble.ask("chat", CLAUDE, scripted(status=400, body=body))

        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "no such thing"
        assert trouble.vendors_of(answer) == ["anthropic"]

    def test_does_not_count_against_the_vendor(self, trouble: Trouble) -> None:
        for _ in range(8):
            assert trouble.ask("messages", CLAUDE, scripted(status=400)).status_code == 400

        assert trouble.ask("messages", CLAUDE, "Hello").headers["x-aibridge-model"] == CLAUDE

    def test_is_suspected_when_two_vendors_break_over_it(self, trouble: Trouble) -> None:
        answer = trouble.ask("messages", CLAUDE, scripted("poison", status=500))

        assert answer.status_code == 400
        assert "google" not in trouble.vendors_of(answer)


class TestAnErrorAfterContent:
    @pytest.mark.parametrize("how", ["error", "cut", "eof"])
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_ends_the_stream_with_the_dialects_error(
        self, dialect: str, how: str, trouble: Trouble
    ) -> None:
        model = OWN[dialect]
        fault: dict[str, Any] = {how: "content:5", "tokens": 60, "delay_ms": 2}

        answer = trouble.ask(dialect, model, scripted(**fault), stream=True)

        assert answer.status_code == 200
        assert answer.headers["x-aibridge-model"] == model
        assert trouble.vendors_of(answer) == [VENDORS[model]]
        assert TERMINAL[dialect] not in answer.text
        last = events_of(answer)[-1]
        kind = last.get("type")
        assert kind in {"response.failed", "error"} if dialect == "responses" else "error" in last
        row = trouble.settled(answer.headers["x-aibridge-request-id"])
        assert row.model == model
        assert row.outcome in {"upstream_cut", "upstream_error"}
        assert 0 < row.usage.output <= 12, "five pieces came, and a stand-in's words are short"

    @pytest.mark.parametrize("dialect", ["chat", "messages"])
    def test_of_a_stand_in_is_in_the_clients_dialect_too(
        self, dialect: str, trouble: Trouble
    ) -> None:
        model = OWN[dialect]
        stand_in = STANDS_IN[model]
        text = scripted("", status=503, vendor=VENDORS[model]) + scripted(
            vendor=VENDORS[stand_in], tokens=40, cut="content:4"
        )

        answer = trouble.ask(dialect, model, text, stream=True)

        assert answer.headers["x-aibridge-model"] == stand_in
        assert TERMINAL[dialect] not in answer.text
        assert "error" in events_of(answer)[-1]
        assert set(trouble.vendors_of(answer)) == {VENDORS[model], VENDORS[stand_in]}
        assert trouble.settled(answer.headers["x-aibridge-request-id"]).model == stand_in


class TestSilence:
    @pytest.fixture(autouse=True)
    def well(self, trouble: Trouble) -> None:
        trouble.heal([IMPATIENT])

    @pytest.mark.parametrize(
        ("fault", "stream"),
        [
            ({"hang": "connect"}, False),
            ({"hang": "connect"}, True),
            ({"hang": "head"}, False),
            ({"hang": "content"}, True),
            ({"drip_s": 0.5}, True),
        ],
    )
    def test_before_content_is_waited_for_as_long_as_the_model_may_take(
        self, fault: dict[str, Any], stream: bool, trouble: Trouble
    ) -> None:
        began_s = time.monotonic()

        answer = trouble.ask(
            "messages", IMPATIENT, scripted(vendor="anthropic", **fault), stream=stream
        )

        assert answer.status_code == 200
        assert answer.headers["x-aibridge-model"] == GPT
        assert PATIENCE_S <= time.monotonic() - began_s < 2 * PATIENCE_S
        assert trouble.vendors_of(answer)[-1] == "openai"

    def test_is_paid_for_by_one_request_only(self, trouble: Trouble) -> None:
        text = scripted(vendor="anthropic", hang="connect")
        trouble.ask("messages", IMPATIENT, text)
        began_s = time.monotonic()

        answer = trouble.ask("messages", IMPATIENT, text)

        assert answer.headers["x-aibridge-model"] == GPT
        assert answer.headers["x-aibridge-attempts"] == "1"
        assert time.monotonic() - began_s < PATIENCE_S

    def test_after_content_ends_the_stream(self, trouble: Trouble) -> None:
        began_s = time.monotonic()

        answer = trouble.ask(
            "messages", IMPATIENT, scripted(hang="content:3", tokens=40), stream=True
        )

        assert PATIENCE_S <= time.monotonic() - began_s < 2 * PATIENCE_S
        assert events_of(answer)[-1]["type"] == "error"
        row = trouble.settled(answer.headers["x-aibridge-request-id"])
        assert (row.model, row.outcome) == (IMPATIENT, "upstream_cut")


class TestOurKeys:
    """What the vendor says of the operator's key is not the customer's fault, nor that of the next request."""

    @pytest.fixture(autouse=True)
    def forgotten(self, trouble: Trouble) -> Any:
        yield
        trouble.restart_router()

    @pytest.mark.parametrize(
        "script",
        [
            {"status": 401},
            {"status": 402},
            {"status": 403},
            {"status": 429, "body": {"error": {"code": "insufficient_quota", "message": "pay"}}},
            {"status": 404, "body": {"error": {"code": "model_not_found", "message": "gone"}}},
        ],
        ids=["401", "402", "403", "no money", "no model"],
    )
    def test_that_are_refused_are_left_alone(
        self, script: dict[str, Any], trouble: Trouble
    ) -> None:
        refused = trouble.ask("messages", CLAUDE, scripted(vendor="anthropic", **script))
        afterwards = trouble.ask("messages", CLAUDE, "Hello")

        assert (refused.status_code, afterwards.status_code) == (200, 200)
        assert trouble.vendors_of(refused) == ["anthropic", "openai"]
        assert trouble.vendors_of(afterwards) == ["openai"]
        assert afterwards.headers["x-aibridge-attempts"] == "1"


class TestARateLimit:
    def test_is_waited_out_when_the_vendor_asks_for_a_moment(self, trouble: Trouble) -> None:
        began_s = time.monotonic()

        answer = trouble.ask(
            "chat", GPT, scripted("A moment.", status=429, headers={"retry-after": "1"}, times=1)
        )

        assert trouble.vendors_of(answer) == ["openai", "openai"]
        assert time.monotonic() - began_s >= 1

    def test_rests_the_key_for_as_long_as_the_vendor_says(self, trouble: Trouble) -> None:
        headers = {"retry-after": "3"}
        limited = trouble.ask("chat", GPT, scripted(status=429, headers=headers, vendor="openai"))
        until_s = time.monotonic() + 2.5
        meanwhile = trouble.ask("chat", GPT, "Hello")
        in_time = time.monotonic() < until_s

        assert trouble.vendors_of(limited) == ["openai", "anthropic"]
        assert not in_time or trouble.vendors_of(meanwhile) == ["anthropic"]

    def test_of_the_whole_chain_is_a_503_that_says_when_to_come_back(
        self, trouble: Trouble
    ) -> None:
        answer = trouble.ask("chat", GPT, scripted(status=429, headers={"retry-after": "4"}))

        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 4
        assert answer.headers["x-should-retry"] == "false"
        assert sorted(trouble.vendors_of(answer)) == ["anthropic", "google", "openai"]
        assert trouble.never_settled(answer.headers["x-aibridge-request-id"])


class TestTheNativePath:
    @pytest.mark.parametrize("stream", [False, True])
    def test_never_leaves_the_protocol(self, stream: bool, trouble: Trouble) -> None:
        asked = ask("chat", GPT, scripted(status=503), stream=stream, key=trouble.key)
        answer = trouble.http.post(
            "/v1/openai/chat/completions", content=asked.body, headers=asked.headers
        )

        assert answer.status_code == 503
        assert set(trouble.vendors_of(answer)) == {"openai"}

    def test_of_responses_never_leaves_either(self, trouble: Trouble) -> None:
        asked = ask("responses", GPT, scripted(cut="connect"), stream=True, key=trouble.key)
        answer = trouble.http.post(
            "/v1/openai/responses", content=asked.body, headers=asked.headers
        )

        assert answer.status_code == 502
        assert set(trouble.vendors_of(answer)) == {"openai"}


class TestAVendorThatIsDown:
    def test_is_left_alone_and_used_again_within_ten_seconds(self, trouble: Trouble) -> None:
        trouble.set_faults({"vendor": "anthropic", "status": 503})
        down = [trouble.ask("messages", CLAUDE, f"Question {n}") for n in range(30)]

        assert {answer.status_code for answer in down} == {200}
        assert {answer.headers["x-aibridge-model"] for answer in down} == {GPT}
        tried = sum("anthropic" in trouble.vendors_of(answer) for answer in down)
        assert tried <= 8

        trouble.clear_faults()
        trouble.heal([CLAUDE])

    def test_with_all_the_others_is_a_quick_503_and_no_storm(self, trouble: Trouble) -> None:
        trouble.set_faults({"status": 503})
        for number in range(10):
            trouble.ask("chat", GPT, f"Question {number}")
        before = len(trouble.truth())
        took_s: list[float] = []
        for number in range(40):
            began_s = time.monotonic()
            answer = trouble.ask("chat", GPT, f"Another {number}")
            took_s.append(time.monotonic() - began_s)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
        called = len(trouble.truth()) - before

        assert sorted(took_s)[len(took_s) // 2] < 0.1
        assert called <= 40
        trouble.clear_faults()
        trouble.heal()
