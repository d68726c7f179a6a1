"""The grammar of Chat Completions, as the official SDK and a plain client hear it."""

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import httpx
import openai
import pytest

from aibridge_tinyllm.sampling import Sampling

from .rig import CHAT, KEY, Body, Scripted, ask, scripted

PIECES = [b"The ", b"caf\xc3", b"\xa9", b" END", b" more"]


def events(answer: httpx.Response) -> list[Any]:
    frames = [frame.removeprefix("data: ") for frame in answer.text.split("\n\n") if frame]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame) for frame in frames]


def refused(body: Body, **options: Any) -> tuple[int, Body]:
    with scripted(Scripted(b"x")) as http:
        answer = http.post(CHAT, json=body, **options)
    error: Body = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error


def test_a_whole_answer() -> None:
    with scripted(Scripted(*PIECES)) as http:
        answer = http.post(CHAT, json=ask()).json()

    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", "scripted")
    assert answer["choices"][0]["message"]["content"] == "The café END more"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}


def test_a_streamed_answer() -> None:
    with scripted(Scripted(*PIECES)) as http:
        answer = http.post(CHAT, json=ask(stream=True, stream_options={"include_usage": True}))
    opening, *deltas, end, usage = events(answer)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    said = [event["choices"][0]["delta"]["content"] for event in deltas]
    assert said == ["The ", "caf", "é", " END", " more"]
    assert end["choices"][0]["delta"] == {}
    assert end["choices"][0]["finish_reason"] == "stop"
    assert (end["usage"], usage["choices"]) == (None, [])
    assert usage["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}


def test_usage_comes_only_when_asked_for() -> None:
    with scripted(Scripted(*PIECES)) as http:
        *_, last = events(http.post(CHAT, json=ask(stream=True)))

    assert last["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in last


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens(limit: str) -> None:
    with scripted(Scripted(*PIECES)) as http:
        answer = http.post(CHAT, json={**ask(), limit: 2}).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == "The caf�"
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("stop", ["END", ["never", "END"]])
def test_a_stop_sequence(stop: str | list[str]) -> None:
    model = Scripted(*PIECES)
    with scripted(model) as http:
        answer = http.post(CHAT, json=ask(stop=stop)).json()

    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["content"] == "The café "
    assert answer["usage"]["completion_tokens"] == model.generated == 4


def test_the_sdk_understands_both() -> None:
    with (
        scripted(Scripted(*PIECES)) as http,
        openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="any", max_retries=0) as client,
    ):
        messages: Any = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
        whole = client.chat.completions.create(model="scripted", messages=messages)
        stream = client.chat.completions.create(model="scripted", messages=messages, stream=True)
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        models = [model.id for model in client.models.list()]

    assert whole.choices[0].message.content == said == "The café END more"
    assert models == ["scripted"]


def test_how_tokens_are_chosen_reaches_the_model() -> None:
    model = Scripted(b"x")
    with scripted(model) as http:
        http.post(CHAT, json=ask(temperature=0, top_p=0.5, seed=7))
        http.post(CHAT, json=ask())

    assert model.sampled == [Sampling(temperature=0, top_p=0.5, seed=7), Sampling()]


def test_a_full_context_is_refused_and_a_nearly_full_one_shortens_the_answer() -> None:
    status, error = refused(ask("x" * 100))
    with scripted(Scripted(*PIECES)) as http:
        answer = http.post(CHAT, json=ask("x" * 97)).json()

    assert (status, error["code"]) == (400, "context_length_exceeded")
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 100


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content",
        ),
    ],
)
def test_what_is_wrong_is_named(wrong: Body, param: str) -> None:
    status, error = refused({**ask(), **wrong})
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


def test_a_missing_field_is_named() -> None:
    assert refused({"model": "scripted"})[1]["param"] == "messages"


def test_other_refusals() -> None:
    assert refused({**ask(), "model": "gpt-4o"})[1]["code"] == "model_not_found"
    assert refused(ask(), headers={"authorization": "Basic x"})[0] == 401
    assert refused(ask("x" * 1_100_000))[0] == 413
    with scripted(Scripted()) as http:
        assert http.post(CHAT, content=b"{").status_code == 400
        assert http.get("/v1/engines").status_code == 404
        assert http.get("/v1/models", headers={"authorization": ""}).status_code == 401
        assert http.get("/health", headers={"authorization": ""}).json() == {"status": "ok"}


def test_one_at_a_time_and_a_short_queue() -> None:
    model = Scripted(b"x")
    model.may_go_on.clear()
    with scripted(model, waiting_max=1) as http, ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(http.post, CHAT, json=ask()) for _ in range(3)]
        refusal = next(as_completed(answers)).result()
        model.may_go_on.set()
        statuses = sorted(answer.result().status_code for answer in answers)

    assert statuses == [200, 200, 429]
    assert refusal.json()["error"]["code"] == "rate_limit_exceeded"
    assert refusal.headers["retry-after"] == "5"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_model(stream: bool) -> None:
    model = Scripted(*PIECES)
    model.may_go_on.clear()
    with scripted(model, waiting_max=0) as http:
        with (
            httpx.Client(base_url=http.base_url, headers=KEY, timeout=0.3) as impatient,
            pytest.raises(httpx.ReadTimeout),
        ):
            impatient.post(CHAT, json=ask(stream=stream))
        assert model.abandoned.wait(5)
        model.may_go_on.set()
        assert http.post(CHAT, json=ask()).status_code == 200


def test_a_failure_is_an_error_in_either_shape(caplog: pytest.LogCaptureFixture) -> None:
    model = Scripted(b"x")
    model.fails = True
    with scripted(model) as http:
        whole = http.post(CHAT, json=ask())
        stream = http.post(CHAT, json=ask(stream=True))

    assert whole.status_code == 500
    assert whole.json()["error"]["type"] == "server_error"
    last = stream.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["message"] == "The model failed."
    assert "scripted" in caplog.text
