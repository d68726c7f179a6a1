"""What a Responses stream must be, checked frame by frame; shares nothing with the code that writes one."""

import json
from typing import Any

_TERMINALS = {"response.completed", "response.incomplete", "response.failed"}
_DELTAS = {
    "message": {"output_text": ("text", "output_text"), "refusal": ("refusal", "refusal")},
    "function_call": ("arguments", "function_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
}


def frames(stream: bytes) -> list[dict[str, Any]]:
    """The payloads of `stream`; each frame names its type twice and is numbered."""
    assert not stream or stream.endswith(b"\n\n")
    found: list[dict[str, Any]] = []
    for number, frame in enumerate(stream.decode().split("\n\n")[:-1]):
        event, data = frame.split("\n")
        payload = json.loads(data.removeprefix("data: "))
        assert event == f"event: {payload['type']}"
        assert payload["sequence_number"] == number
        found.append(payload)
    return found


class Checker:
    """Walks a stream; `output` are its items as the done events gave them."""

    def __init__(self, payloads: list[dict[str, Any]]) -> None:
        self._payloads = payloads
        self._at = 0
        self.output: list[dict[str, Any]] = []
        self.end: dict[str, Any] = {}

    def check(self) -> "Checker":
        created = self._next("response.created")["response"]
        assert self._next("response.in_progress")["response"] == created
        assert created["status"] == "in_progress"
        assert created["output"] == []
        while self._type() == "response.output_item.added":
            if not self._item():
                break
        self.end = self._payloads[self._at]
        assert self.end["type"] in _TERMINALS
        assert self._at == len(self._payloads) - 1, "something follows the end"
        response = self.end["response"]
        assert response["id"] == created["id"]
        assert self.end["type"] == f"response.{response['status']}"
        assert response["output"] == self.output
        assert (response["error"] is None) == (response["status"] != "failed")
        assert (response["incomplete_details"] is None) == (response["status"] != "incomplete")
        return self

    def _type(self) -> str:
        return self._payloads[self._at]["type"]

    def _next(self, kind: str) -> dict[str, Any]:
        payload = self._payloads[self._at]
        assert payload["type"] == kind, (payload["type"], kind)
        self._at += 1
        return payload

    def _cut(self) -> bool:
        """A failure may come anywhere; what is open then stays open."""
        return self._type() == "response.failed"

    def _item(self) -> bool:
        added = self._next("response.output_item.added")
        index, item = added["output_index"], added["item"]
        assert index == len(self.output)
        place = {"item_id": item["id"], "output_index": index}
        walk = {
            "message": self._message,
            "reasoning": self._reasoning,
            "function_call": self._call,
            "custom_tool_call": self._call,
        }[item["type"]]
        whole = walk(item, place)
        if whole is None:
            return False
        done = self._next("response.output_item.done")
        assert done["output_index"] == index
        assert done["item"] == whole | {
            key: done["item"][key] for key in ("encrypted_content",) if key in done["item"]
        }
        self.output.append(done["item"])
        return True

    def _message(self, item: dict[str, Any], place: dict[str, Any]) -> dict[str, Any] | None:
        assert item["content"] == []
        parts: list[dict[str, Any]] = []
        while self._type() == "response.content_part.added":
            at = place | {"content_index": len(parts)}
            added = self._next("response.content_part.added")
            assert {key: added[key] for key in at} == at
            member, kind = _DELTAS["message"][added["part"]["type"]]
            assert added["part"][member] == ""
            text = self._deltas(kind, at)
            if self._cut():
                return None
            assert text, "an empty part"
            done = self._next(f"response.{kind}.done")
            assert done[member] == text
            whole = self._next("response.content_part.done")
            assert whole["part"] == added["part"] | {member: text}
            parts.append(whole["part"])
            if self._cut():
                return None
        assert parts, "a message without parts"
        return item | {"content": parts, "status": "completed"}

    def _call(self, item: dict[str, Any], place: dict[str, Any]) -> dict[str, Any] | None:
        member, kind = _DELTAS[item["type"]]
        assert item[member] == ""
        text = self._deltas(kind, place)
        if self._cut():
            return None
        assert self._next(f"response.{kind}.done")[member] == text
        if member == "arguments":
            json.loads(text)
        return item | {member: text, "status": "completed"}

    def _reasoning(self, item: dict[str, Any], place: dict[str, Any]) -> dict[str, Any] | None:
        assert item["summary"] == []
        if self._type() != "response.reasoning_summary_part.added":
            return item
        at = place | {"summary_index": 0}
        self._next("response.reasoning_summary_part.added")
        text = self._deltas("reasoning_summary_text", at)
        if self._cut():
            return None
        assert self._next("response.reasoning_summary_text.done")["text"] == text
        part = self._next("response.reasoning_summary_part.done")["part"]
        assert part == {"type": "summary_text", "text": text}
        return item | {"summary": [part]}

    def _deltas(self, kind: str, at: dict[str, Any]) -> str:
        text = ""
        while self._type() == f"response.{kind}.delta":
            delta = self._next(f"response.{kind}.delta")
            assert {key: delta[key] for key in at} == at
            assert delta["delta"], "an empty delta"
            text += delta["delta"]
        return text


def check(stream: bytes) -> Checker:
    return Checker(frames(stream)).check()
