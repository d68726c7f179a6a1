"""Scripted faults, seen on the socket and in the log of the truth."""

import time
from typing import Any

import httpx
import pytest

from aibridge_sandbox.script import directive

from .rig import Rig, ask, events

STREAMS = ["chat", "responses", "messages", "gemini", "gemini-array"]


def _frames(pieces: list[bytes]) -> int:
    body = b"".join(pieces).partition(b"\r\n\r\n")[2]
    return body.count(b"data: ")


@pytest.mark.parametrize("name", STREAMS)
def test_cut_in_mid_stream_ends_without_the_last_chunk(rig: Rig, name: str) -> None:
    """The connection closes in the middle of a chunked body; what was generated is billed."""
    pieces, reset = rig.raw(name, ask(name, directive(cut="content:3", text="word " * 30)))
    truth = rig.truth()

    assert not reset
    assert not b"".join(pieces).endswith(b"0\r\n\r\n")
    assert truth["outcome"] == "cut"
    assert truth["usage"]["output"] == 3
    assert truth["usage"]["input"] > 0
    assert truth["reported"] is name.startswith("gemini")


def test_cut_before_content_bills_nothing(rig: Rig) -> None:
    for at, status in (("connect", 0), ("head", 200), (0, 200), (1, 200), ("content", 200)):
        pieces, _ = rig.raw("messages", ask("messages", directive(cut=at)))
        truth = rig.truth()

        assert bool(pieces) is bool(status)
        assert truth["status"] == status
        assert truth["outcome"] == "cut"
        assert sum(truth["usage"].values()) == 0


def test_reset_is_a_reset(rig: Rig) -> None:
    body = ask("chat", directive(cut={"at": "content:2", "reset": True}))
    pieces, reset = rig.raw("chat", body)

    assert reset
    assert _frames(pieces) == 3


def test_cut_of_a_whole_body(rig: Rig) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        rig.ask("chat", directive(cut=1), stream=False)

    assert rig.truth()["outcome"] == "cut"


@pytest.mark.parametrize("name", STREAMS)
def test_clean_end_without_the_terminal_event(rig: Rig, name: str) -> None:
    response = rig.ask(name, directive(eof="end", text="some text"))

    assert response.status_code == 200
    assert "[DONE]" not in response.text
    assert "message_stop" not in response.text
    assert "response.completed" not in response.text
    assert rig.truth()["outcome"] == "cut"


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("chat", {"error": {"message": "Overloaded", "type": "server_error"}}),
        ("messages", {"type": "error", "error": {"type": "overloaded_error"}}),
        ("responses", {"type": "response.failed"}),
        ("gemini", {"error": {"code": 503, "status": "UNAVAILABLE"}}),
    ],
)
@pytest.mark.parametrize("at", ["content", "content:2", "end"])
def test_error_event_in_a_stream(rig: Rig, name: str, sign: dict[str, Any], at: str) -> None:
    seen = events(rig.ask(name, directive(error=at)))
    last = seen[-1]

    for field, value in sign.items():
        have = last[field]
        assert value.items() <= have.items() if isinstance(value, dict) else value == have
    assert rig.truth()["outcome"] == "error"
    assert (rig.truth()["usage"]["output"] == 0) is (at == "content")
    numbers = [event["sequence_number"] for event in seen if "sequence_number" in event]
    assert numbers == list(range(len(numbers)))


def test_error_without_a_stream_is_a_status(rig: Rig) -> None:
    response = rig.ask("messages", directive(error="content"), stream=False)

    assert response.status_code == 529
    assert response.json()["error"]["type"] == "overloaded_error"


def test_status_with_body_and_headers(rig: Rig) -> None:
    spoken = rig.ask("chat", directive(status=429, headers={"retry-after": "7"}))
    dictated = rig.ask("messages", directive(status=502, body="<html>bad gateway</html>"))
    shaped = rig.ask("gemini", directive(status=418, body={"a": 1}))

    assert (spoken.status_code, spoken.headers["retry-after"]) == (429, "7")
    assert spoken.json()["error"]["code"] == "rate_limit_exceeded"
    assert dictated.text == "<html>bad gateway</html>"
    assert dictated.headers["content-type"].startswith("text/html")
    assert (shaped.status_code, shaped.json()) == (418, {"a": 1})


def test_hangs(rig: Rig) -> None:
    """Before the headers, before content, and in the middle; then the answer goes on."""
    for at in ("connect", "content", "content:2"):
        started = time.monotonic()
        response = rig.ask("chat", directive(hang={"at": at, "s": 0.15}, text="a few words"))

        assert time.monotonic() - started >= 0.15
        assert response.text.endswith("[DONE]\n\n")


def test_client_that_leaves_is_noticed(rig: Rig) -> None:
    body = ask("messages", directive(hang={"at": "content:1", "s": 30}))
    with pytest.raises(TimeoutError):
        rig.raw("messages", body, timeout_s=0.3)
    time.sleep(0.1)
    truth = rig.truth()

    assert truth["outcome"] == "client_gone"
    assert truth["usage"]["output"] == 1
    assert truth["reported"] is False


@pytest.mark.parametrize("stream", [True, False])
def test_garbage(rig: Rig, *, stream: bool) -> None:
    text = rig.ask("chat", directive(garbage="text"), stream=stream)
    html = rig.ask("chat", directive(garbage="html"), stream=stream)
    sse = rig.ask("chat", directive(garbage="sse"), stream=stream)
    typed = rig.ask("chat", directive(garbage="content_type"), stream=stream)
    half = rig.ask("chat", directive(garbage="truncated"), stream=stream)
    empty = rig.ask("chat", directive(empty=True), stream=stream)

    assert all(r.status_code == 200 for r in (text, html, sse, typed, half, empty))
    assert text.text.startswith("upstream connect error")
    assert "<html>" in html.text
    assert "{not json" in sse.text
    assert typed.headers["content-type"].startswith("text/plain")
    assert not half.text.endswith(("}", "\n"))
    assert empty.content == b""


@pytest.mark.parametrize(
    ("fault", "prompts"),
    [
        ("zero", [0]),
        ("huge", [10**12]),
        ("duplicate", [9, 9]),
        ("decreasing", [9, 9]),
        ({"input": 5, "cache_read": 6}, [11]),
        ("missing", []),
    ],
)
def test_false_usage_leaves_the_truth_alone(rig: Rig, fault: Any, prompts: list[int]) -> None:
    body = ask("chat", directive(usage=fault, text="hello"), stream_options={"include_usage": True})
    usages = [chunk["usage"] for chunk in events(rig.post("chat", body)) if chunk.get("usage")]
    truth = rig.truth()
    expected = [truth["usage"]["input"] if prompt == 9 else prompt for prompt in prompts]

    assert [usage["prompt_tokens"] for usage in usages] == expected
    assert truth["usage"]["output"] == 2
    assert truth["reported"] is bool(prompts)
    if fault == "decreasing":
        assert usages[1]["completion_tokens"] < usages[0]["completion_tokens"]


@pytest.mark.parametrize("name", ["responses", "messages", "gemini"])
@pytest.mark.parametrize("fault", ["missing", "negative"])
def test_false_usage_everywhere(rig: Rig, name: str, fault: str) -> None:
    response = rig.ask(name, directive(usage=fault))

    assert ("-1" in response.text or "-2" in response.text) is (fault == "negative")
    if fault == "missing":
        assert '"usage":{' not in response.text
        assert "usageMetadata" not in response.text


@pytest.mark.parametrize("size", [1, 7])
def test_split_writes_tear_frames_and_characters(rig: Rig, size: int) -> None:
    """Many small TCP writes, the same bytes."""
    plain = rig.ask("chat", directive(text="né 你好 🙂")).text
    torn, _ = rig.raw("chat", ask("chat", directive(text="né 你好 🙂", split=size)))
    joined = b"".join(torn)

    assert "🙂".encode() not in joined
    assert joined.count(f"\r\n{size:x}\r\n".encode()) >= len(plain.encode()) // size - 1
    again = events(rig.ask("chat", directive(text="né 你好 🙂", split=size)))
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in again)
    assert text == "né 你好 🙂"


def test_comments_pace_and_drip(rig: Rig) -> None:
    commented = rig.ask("messages", directive(comments=2)).text
    started = time.monotonic()
    rig.ask("chat", directive(text="12345678", delay_ms=10, first_ms=60))
    slow_s = time.monotonic() - started
    dripped = rig.ask("chat", directive(drip_s=0.0001, text="x")).text

    assert commented.startswith(": sandbox\n\n")
    assert slow_s >= 0.1
    assert dripped.endswith("[DONE]\n\n")


def test_directive_for_one_vendor(rig: Rig) -> None:
    """Several directives may stand in one text; none is echoed."""
    text = (
        f"{directive(vendor='anthropic', status=529)} hello "
        f"{directive(vendor='openai', text='from the backup')}"
    )
    refused = rig.ask("messages", text, stream=False)
    answered = rig.ask("chat", text, stream=False).json()
    other = rig.ask("gemini-whole", text).json()

    assert refused.status_code == 529
    assert answered["choices"][0]["message"]["content"] == "from the backup"
    assert 'You wrote: "hello"' in other["candidates"][0]["content"]["parts"][0]["text"]


def test_directive_that_wears_out(rig: Rig) -> None:
    text = directive(status=500, times=2) + " wears out"
    statuses = [rig.ask("chat", text).status_code for _ in range(4)]

    assert statuses == [500, 500, 200, 200]


def test_directive_with_an_unknown_word_is_loud(rig: Rig) -> None:
    response = rig.ask("messages", '[[sandbox {"statsu": 500}]]')

    assert response.status_code == 400
    assert "bad directive" in response.json()["error"]["message"]


def test_directive_in_a_tool_result(rig: Rig) -> None:
    """After a tool result, the user's directive is spent and the result's own counts."""
    wish = directive(tool="f")
    body = ask("chat", "", stream=False)
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body["tools"] = [{"type": "function", "function": {"name": "f"}}]
    body["messages"] = [
        {"role": "user", "content": wish},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": f"ok {directive(status=503)}"},
    ]
    refused = rig.post("chat", body)
    body["messages"][-1]["content"] = "ok"
    answered = rig.post("chat", body).json()

    assert refused.status_code == 503
    assert answered["choices"][0]["message"]["content"] == "The tool answered: ok"
