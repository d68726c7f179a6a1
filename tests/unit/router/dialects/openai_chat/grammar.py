"""What a Chat stream must be, checked chunk by chunk; shares nothing with the code that writes one."""

import json
from typing import Any

_HEAD = {"id", "object", "created", "model", "system_fingerprint", "choices"}
_FINISHES = {"stop", "length", "tool_calls", "content_filter"}


class Read:
    """What a stream said."""

    def __init__(self) -> None:
        self.text = ""
        self.refusal = ""
        self.calls: list[dict[str, Any]] = []
        self.finish: str | None = None
        self.usage: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.provider: str | None = None


def check(stream: bytes) -> Read:
    """Walks a stream that began; one that failed has no `[DONE]`, and nothing follows either."""
    assert stream.endswith(b"\n\n")
    frames = stream.decode().split("\n\n")[:-1]
    payloads = [frame.removeprefix("data: ") for frame in frames]
    assert all(len(frame) == len(load) + 6 for frame, load in zip(frames, payloads, strict=True))
    read = Read()
    if payloads[-1] == "[DONE]":
        payloads.pop()
    else:
        error = json.loads(payloads.pop())["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        read.error = error
    for number, payload in enumerate(payloads):
        _chunk(json.loads(payload), number, read)
    assert (read.finish is None) == (read.error is not None)
    return read


def _chunk(chunk: dict[str, Any], number: int, read: Read) -> None:
    assert read.usage is None, "something follows the usage"
    if number == 0:
        read.provider = chunk.pop("provider")
    if not chunk["choices"]:
        assert read.finish is not None, "the usage comes after the finish"
        read.usage = chunk.pop("usage")
        assert chunk.keys() == _HEAD
        return
    assert chunk.keys() == _HEAD
    assert chunk["object"] == "chat.completion.chunk"
    assert read.finish is None, "a choice after the finish"
    (choice,) = chunk["choices"]
    assert choice.keys() == {"index", "delta", "logprobs", "finish_reason"}
    delta, finish = choice["delta"], choice["finish_reason"]
    if number == 0:
        assert delta == {"role": "assistant", "content": "", "refusal": None}
        assert finish is None
    elif finish is not None:
        assert delta == {}
        assert finish in _FINISHES
        read.finish = finish
    else:
        _delta(delta, read)


def _delta(delta: dict[str, Any], read: Read) -> None:
    ((member, value),) = delta.items()
    assert value, "an empty delta"
    if member == "tool_calls":
        (piece,) = value
        _call(piece, read)
    elif member == "content":
        read.text += value
    else:
        assert member == "refusal"
        read.refusal += value


def _call(piece: dict[str, Any], read: Read) -> None:
    at = piece.pop("index")
    if "id" in piece:
        assert at == len(read.calls), "calls are numbered without gaps"
        assert piece[piece["type"]].pop("name")
        assert piece.keys() == {"id", "type", piece["type"]}
        read.calls.append({"id": piece["id"], "type": piece["type"], "text": ""})
    else:
        assert piece.keys() == {read.calls[at]["type"]}
    call = read.calls[at]
    member = "arguments" if call["type"] == "function" else "input"
    assert piece[call["type"]].keys() == {member}
    call["text"] += piece[call["type"]][member]
