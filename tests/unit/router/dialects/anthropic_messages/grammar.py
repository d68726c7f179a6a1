"""A strict reader of Messages streams: what the vendor's own clients rely on, and nothing that is lenient."""

from typing import Any

import msgspec
from msgspec import Struct

_ERROR = "error"
_DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "redacted_thinking": {},
    "tool_use": {"input_json_delta": "partial_json"},
}


class Read(Struct):
    """What a stream said."""

    message: dict[str, Any] | None
    blocks: list[dict[str, Any]]
    delta: dict[str, Any] | None
    usage: dict[str, Any] | None
    error: dict[str, Any] | None

    @property
    def ended(self) -> bool:
        return self.delta is not None


def frames(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Every frame is an event line and a data line that agree."""
    assert stream == b"" or stream.endswith(b"\n\n")
    read: list[tuple[str, dict[str, Any]]] = []
    for frame in stream.split(b"\n\n")[:-1]:
        event, data = frame.split(b"\n")
        assert event.startswith(b"event: ")
        assert data.startswith(b"data: ")
        payload = msgspec.json.decode(data[6:])
        assert payload["type"] == event[7:].decode()
        read.append((payload["type"], payload))
    return read


def read_stream(stream: bytes) -> Read:
    """Asserts the grammar and returns what was said."""
    read = Read(message=None, blocks=[], delta=None, usage=None, error=None)
    is_open = over = False
    for kind, payload in frames(stream):
        assert not over, "nothing follows the end"
        if kind == _ERROR:
            assert set(payload["error"]) == {"type", "message"}
            read.error = payload["error"]
            over = True
        elif kind == "message_start":
            assert read.message is None
            read.message = _checked_head(payload["message"])
        elif kind == "content_block_start":
            assert read.message is not None
            assert read.delta is None
            assert not is_open
            assert payload["index"] == len(read.blocks)
            read.blocks.append(_started(payload["content_block"]))
            is_open = True
        elif kind == "content_block_delta":
            assert is_open
            assert payload["index"] == len(read.blocks) - 1
            _add(read.blocks[-1], payload["delta"])
        elif kind == "content_block_stop":
            assert is_open
            assert payload["index"] == len(read.blocks) - 1
            _check_finished(read.blocks[-1])
            is_open = False
        elif kind == "message_delta":
            assert read.message is not None
            assert not is_open
            assert read.delta is None
            read.delta, read.usage = payload["delta"], payload["usage"]
            _check_stop(read)
        elif kind == "message_stop":
            assert read.delta is not None
            over = True
        else:
            raise AssertionError(kind)
    return read


def _checked_head(message: dict[str, Any]) -> dict[str, Any]:
    assert message["type"] == "message"
    assert message["role"] == "assistant"
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert {"input_tokens", "output_tokens"} <= set(message["usage"])
    return message


def _started(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"type": "text", "text": ""}:
            return {"type": "text", "text": ""}
        case {"type": "thinking", "thinking": "", "signature": ""}:
            return {"type": "thinking", "thinking": "", "signature": ""}
        case {"type": "tool_use", "id": str(), "name": str(), "input": {}}:
            return block | {"partial_json": ""}
        case {"type": "redacted_thinking", "data": str()}:
            return block
        case _:
            raise AssertionError(block)


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    member = _DELTAS[block["type"]][delta["type"]]
    assert set(delta) == {"type", member}
    assert delta[member] != ""
    assert not block.get("signature"), "the signature comes last, and once"
    block[member] += delta[member]


def _check_finished(block: dict[str, Any]) -> None:
    if block["type"] == "text":
        assert block["text"] != ""
    elif block["type"] == "thinking":
        assert block["thinking"] or block["signature"]
    elif block["type"] == "redacted_thinking":
        assert block["data"]


def _check_stop(read: Read) -> None:
    assert read.delta is not None
    assert read.usage is not None
    assert {"stop_reason", "stop_sequence"} <= set(read.delta)
    assert read.usage["output_tokens"] >= 0
    answered = any(block["type"] in {"text", "tool_use"} for block in read.blocks)
    assert not answered or not _is_bare_state(read.blocks[-1]), "the last block is the answer"
    called = any(block["type"] == "tool_use" for block in read.blocks)
    assert called or read.delta["stop_reason"] != "tool_use"
    assert not called or read.delta["stop_reason"] != "end_turn"


def _is_bare_state(block: dict[str, Any]) -> bool:
    return block["type"] == "redacted_thinking" or block.get("thinking") == ""
